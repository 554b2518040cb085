"""What a reviewer of security looks for: the profile `restricted`, secrets by reference, closed ports."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from manifests import BUILDS, K8S, OVERLAYS, ROOT, Object, all_pods, build, cluster_spec, of_kind, pods

METRICS = {8080, 44217, 44227}


def containers(made: Object) -> Iterator[Object]:
    """The containers of an object's pods, and what the operator puts beside them."""
    for pod in pods(made):
        yield from pod["spec"]["containers"]
    spec = cluster_spec(made)
    if spec is not None:
        yield {"name": "autoscaler", **spec["autoscalerOptions"]}


@pytest.mark.parametrize("name", BUILDS)
def test_the_profile_restricted_takes_every_pod_and_sidecar(name: str) -> None:
    objects = build(name)
    (space,) = of_kind(objects, "Namespace") or [None]
    if "jobs" not in name:
        assert space is not None
        assert space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for made in objects:
        for pod in pods(made):
            spec = pod["spec"]
            assert spec["securityContext"]["runAsNonRoot"] is True
            assert spec["securityContext"]["runAsUser"] > 0
            assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
            allowed = {"configMap", "emptyDir", "persistentVolumeClaim"}
            assert all(set(volume) - {"name"} <= allowed for volume in spec.get("volumes", []))
        for container in containers(made):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("name", BUILDS)
def test_every_container_has_limits(name: str) -> None:
    for made in build(name):
        for container in containers(made):
            assert {"cpu", "memory"} <= set(container["resources"]["limits"])
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])


@pytest.mark.parametrize("name", BUILDS)
def test_every_volume_that_is_mounted_is_there_and_can_be_written(name: str) -> None:
    for pod in all_pods(build(name)):
        volumes = {volume["name"] for volume in pod["spec"].get("volumes", [])}
        for container in pod["spec"]["containers"]:
            mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
            if container["name"] == "ray":
                assert set(mounts.values()) == volumes
                written = {
                    env["value"] for env in container["env"] if env["name"] in ("HOME", "HUMMINGBIRD_SCRATCH")
                }
                assert {"/tmp", "/dev/shm", *written} <= set(mounts)


@pytest.mark.parametrize("name", OVERLAYS)
def test_accounts_exist_and_workers_have_no_token_of_kubernetes(name: str) -> None:
    accounts = {made["metadata"]["name"]: made for made in of_kind(build(name), "ServiceAccount")}
    used = {pod["spec"]["serviceAccountName"] for pod in all_pods(build(name) + build(f"{name}/jobs"))}
    assert used == set(accounts)
    assert accounts["hummingbird-worker"]["automountServiceAccountToken"] is False


@pytest.mark.parametrize("name", OVERLAYS)
def test_ports_of_the_network_policy_are_those_of_the_pods(name: str) -> None:
    objects = build(name)
    policies = {made["metadata"]["name"]: made["spec"] for made in of_kind(objects, "NetworkPolicy")}
    ray = policies["hummingbird-ray"]
    assert ray["policyTypes"] == ["Ingress", "Egress"]
    opened = {port["port"] for rule in ray["ingress"] for port in rule.get("ports", [])}
    named = {
        port["containerPort"]
        for pod in all_pods(objects)
        for container in pod["spec"]["containers"]
        for port in container.get("ports", [])
    }
    assert opened == {8000, 8265} | METRICS
    assert opened < named
    # Without ports a rule opens all: only to pods of our own.
    for rule in ray["ingress"]:
        own = {"podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "hummingbird"}}}
        assert rule.get("ports") or rule["from"] == [own]
    for policy in policies.values():
        chosen = policy["podSelector"]
        labels = [{**pod["metadata"]["labels"]} for pod in all_pods(objects)]
        assert any(_chosen(chosen, one) for one in labels)


def _chosen(selector: Object, labels: dict[str, str]) -> bool:
    exact = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    return exact and all(labels.get(e["key"]) in e["values"] for e in selector.get("matchExpressions", []))


def test_monitors_scrape_ports_that_pods_name() -> None:
    objects = build("production")
    ports = {
        made["metadata"]["name"]: {end["port"] for end in made["spec"]["podMetricsEndpoints"]}
        for made in of_kind(objects, "PodMonitor")
    }
    assert ports == {
        "hummingbird-heads": {"metrics", "as-metrics", "dash-metrics"},
        "hummingbird-workers": {"metrics"},
    }
    for made in objects:
        spec = cluster_spec(made)
        if spec is None:
            continue
        groups = [(spec["headGroupSpec"], "hummingbird-heads")]
        groups += [(group, "hummingbird-workers") for group in spec["workerGroupSpecs"]]
        for group, monitor in groups:
            (container,) = group["template"]["spec"]["containers"]
            named = {port["name"]: port["containerPort"] for port in container["ports"]}
            assert {named[port] for port in ports[monitor]} <= METRICS


@pytest.mark.parametrize(
    "path", sorted([*K8S.rglob("*.yaml"), *ROOT.glob("ray_*.yaml")]), ids=lambda path: path.stem
)
def test_no_secret_stands_in_a_file(path: Path) -> None:
    text = path.read_text()
    assert "kind: Secret" not in text
    assert not re.search(r"(?i)(password|secret_?access_?key|token)\w*: *[\"']?[A-Za-z0-9+/]{12,}", text)
    assert not re.search(r"://[^/\s]*:[^/\s]*@", text)


def test_the_disruption_budget_is_of_the_service() -> None:
    for name in OVERLAYS:
        (budget,) = of_kind(build(name), "PodDisruptionBudget")
        (service,) = of_kind(build(name), "RayService")
        (group,) = service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
        assert _chosen(budget["spec"]["selector"], group["template"]["metadata"]["labels"])
        assert group["minReplicas"] > budget["spec"]["maxUnavailable"]
