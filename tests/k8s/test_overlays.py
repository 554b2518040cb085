"""The overlays build, and Kubernetes and KubeRay take what they make."""

import json
import re
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
from manifests import BUILDS, GPU_OVERLAYS, OVERLAYS, Object, all_pods, build, cluster_spec, of_kind

CRDS = Path(__file__).with_name("crds")
KUBERNETES = "1.34"
MONITORS = {"PodMonitor", "PrometheusRule"}  # of the Prometheus operator


def test_there_are_the_overlays_that_the_documents_name() -> None:
    assert OVERLAYS == ["amd", "cpu", "nvidia", "production"]


@pytest.mark.parametrize("name", BUILDS)
def test_every_object_is_valid(name: str) -> None:
    objects = build(name)
    assert len({(made["kind"], made["metadata"]["name"]) for made in objects}) == len(objects)
    seen = set()
    for made in objects:
        if made["kind"] in MONITORS:
            jsonschema.validate(made, _MONITORING[made["kind"]])
        elif made["apiVersion"] == "ray.io/v1":
            cluster = json.dumps(cluster_spec(made))
            if made["kind"] == "RayJob" and cluster in seen:  # large, and all the same
                made["spec"]["rayClusterSpec"] = None
            seen.add(cluster)
            crd(made["kind"]).validate(without_nothing(made))
        else:
            kubernetes_validate.validate(made, KUBERNETES, strict=True)


@pytest.mark.parametrize("name", BUILDS)
def test_all_is_in_one_namespace_under_one_label(name: str) -> None:
    for made in build(name):
        meta = made["metadata"]
        assert meta["labels"]["app.kubernetes.io/part-of"] == "hummingbird"
        assert made["kind"] == "Namespace" or meta["namespace"] == "hummingbird"
    for pod in all_pods(build(name)):
        assert pod["metadata"]["labels"]["app.kubernetes.io/part-of"] == "hummingbird"


@pytest.mark.parametrize("name", BUILDS)
def test_a_cluster_runs_the_locked_ray_behind_a_token_and_scales_from_zero(name: str) -> None:
    for made in build(name):
        spec = cluster_spec(made)
        if spec is None:
            continue
        assert spec["rayVersion"] == version("ray")
        assert spec["authOptions"] == {"mode": "token"}
        assert spec["enableInTreeAutoscaling"] is True
        assert spec["autoscalerOptions"]["version"] == "v2"
        assert spec["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}
        for group in spec["workerGroupSpecs"]:
            assert group["replicas"] == group["minReplicas"] == (2 if made["kind"] == "RayService" else 0)
            # The operator refuses resources in both places, and a restart under the second autoscaler.
            assert not (group["rayStartParams"] and group.get("resources"))
            assert group["template"]["spec"]["restartPolicy"] == "Never"


@pytest.mark.parametrize("name", GPU_OVERLAYS)
def test_accelerators_are_where_they_are_asked_for(name: str) -> None:
    resource = {"amd": "amd.com/gpu"}.get(name, "nvidia.com/gpu")
    (cluster,) = of_kind(build(name), "RayCluster")
    limits = {
        group["groupName"]: group["template"]["spec"]["containers"][0]["resources"]["limits"]
        for group in cluster["spec"]["workerGroupSpecs"]
    }
    assert {group for group, limit in limits.items() if resource in limit} == {"caption", "train"}
    drivers = {
        job["metadata"]["labels"]["hummingbird/verb"]
        for job in of_kind(build(f"{name}/jobs"), "RayJob")
        if job["spec"].get("entrypointNumGpus")
    }
    assert drivers == {"benchmark", "compile", "line"}


def test_without_accelerators_there_is_one_group() -> None:
    for made in [*build("cpu"), *build("cpu/jobs")]:
        if made["kind"] in ("RayCluster", "RayJob"):
            assert [group["groupName"] for group in cluster_spec(made)["workerGroupSpecs"]] == ["cpu"]  # type: ignore[index]
    assert "gpu" not in json.dumps(build("cpu")).lower()


@pytest.mark.parametrize("name", OVERLAYS)
def test_jobs_have_one_policy_that_the_operator_takes(name: str) -> None:
    jobs = of_kind(build(f"{name}/jobs"), "RayJob")
    policies = [
        {key: value for key, value in job["spec"].items() if key not in ("entrypoint", "entrypointNumGpus")}
        for job in jobs
    ]
    assert all(policy == policies[0] for policy in policies)
    (policy, *_) = policies
    assert policy["backoffLimit"] > 0
    assert policy["submitterConfig"]["backoffLimit"] > 0
    assert policy["activeDeadlineSeconds"] > policy["preRunningDeadlineSeconds"] > 0
    queued = "kueue.x-k8s.io/queue-name" in jobs[0]["metadata"]["labels"]
    assert queued == (name == "production")
    # Deletion rules and shutdownAfterJobFinishes exclude each other; Kueue insists on the latter.
    assert queued == ("deletionStrategy" not in policy) == policy.get("shutdownAfterJobFinishes", False)
    rules = policy.get("deletionStrategy", {}).get("deletionRules", [])
    ended = {rule["condition"].get("jobStatus") for rule in rules if rule["policy"] == "DeleteCluster"}
    assert queued or ended >= {"SUCCEEDED", "FAILED"}
    assert all(rule["policy"] != "DeleteWorkers" for rule in rules)  # not with an autoscaler
    for job in jobs:
        assert re.fullmatch(r"[a-z]([a-z0-9-]{0,45}[a-z0-9])", job["metadata"]["name"])


def test_an_unknown_key_is_refused() -> None:
    (job, *_) = of_kind(build("cpu/jobs"), "RayJob")
    job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["imagee"] = "x"
    with pytest.raises(jsonschema.ValidationError, match="imagee"):
        crd("RayJob").validate(without_nothing(job))


@cache
def crd(kind: str) -> Any:
    """What checks one of Ray's kinds."""
    schema: Object = json.loads((CRDS / f"{kind}.json").read_text())
    closed(schema)
    del schema["properties"]["metadata"]
    return jsonschema.Draft202012Validator(schema)


def without_nothing(made: Object) -> Object:
    """The object without its metadata, and its specification without what is None."""
    kept = {key: value for key, value in made.items() if key != "metadata"}
    return {**kept, "spec": {key: value for key, value in made["spec"].items() if value is not None}}


def closed(schema: dict[str, Any]) -> None:
    """Refuses unknown keys, which Kubernetes would drop in silence."""
    properties = schema.get("properties")
    preserved = schema.get("x-kubernetes-preserve-unknown-fields")
    if properties and "additionalProperties" not in schema and not preserved:
        schema["additionalProperties"] = False
        # A pod's metadata is an open object in the definitions.
        for inner in properties.values():
            closed(inner)
    if isinstance(schema.get("items"), dict):
        closed(schema["items"])


def _object(required: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **more},
        "required": list(required),
        "additionalProperties": False,
    }


_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_META = _object({"name": {"type": "string"}}, namespace={"type": "string"}, labels=_TEXTS)
_HEAD = {"apiVersion": {"const": "monitoring.coreos.com/v1"}, "kind": {"type": "string"}, "metadata": _META}
_RULE = _object(
    {
        "alert": {"type": "string"},
        "expr": {"type": "string"},
        "for": {"type": "string", "pattern": r"^\d+[smh]$"},
        "labels": _TEXTS,
        "annotations": _TEXTS,
    }
)
_MONITORING = {
    "PodMonitor": _object(
        {
            **_HEAD,
            "spec": _object(
                {
                    "selector": _object({"matchLabels": _TEXTS}),
                    "podMetricsEndpoints": {
                        "type": "array",
                        "minItems": 1,
                        "items": _object({"port": {"type": "string"}}),
                    },
                },
                jobLabel={"type": "string"},
            ),
        }
    ),
    "PrometheusRule": _object(
        {
            **_HEAD,
            "spec": _object(
                {
                    "groups": {
                        "type": "array",
                        "items": _object(
                            {"name": {"type": "string"}, "rules": {"type": "array", "items": _RULE}}
                        ),
                    }
                }
            ),
        }
    ),
}
"""What of the Prometheus operator's kinds is used here; its definitions are not shipped."""
