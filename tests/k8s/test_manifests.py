"""The manifests: of the lock's version, without secrets, and, where the CRDs are at hand, valid."""

import json
import os
import re
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray.autoscaler
import yaml

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"
MANIFESTS = sorted(K8S.glob("*.yaml"))
CRDS = Path(os.environ.get("HUMMINGBIRD_KUBERAY_CRDS") or ROOT.parent / "shared" / "kuberay-crds")
PLURALS = {"RayCluster": "rayclusters", "RayJob": "rayjobs", "RayService": "rayservices"}


def load(path: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = yaml.safe_load(path.read_text())
    return manifest


def cluster_spec(manifest: dict[str, Any]) -> dict[str, Any]:
    """The cluster inside a manifest of Ray."""
    spec = manifest["spec"]
    inner: dict[str, Any] = spec.get("rayClusterSpec") or spec.get("rayClusterConfig") or spec
    return inner


def pods(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The pod templates of the head and of every worker group."""
    spec = cluster_spec(manifest)
    yield spec["headGroupSpec"]["template"]
    for group in spec["workerGroupSpecs"]:
        yield group["template"]


RAY_MANIFESTS = [path for path in MANIFESTS if load(path)["kind"] in PLURALS]


def test_there_is_a_manifest_of_every_kind() -> None:
    assert {load(path)["kind"] for path in RAY_MANIFESTS} == set(PLURALS)


@pytest.mark.parametrize("path", RAY_MANIFESTS, ids=lambda path: path.stem)
def test_a_cluster_runs_the_locked_ray_behind_a_token(path: Path) -> None:
    spec = cluster_spec(load(path))
    assert spec["rayVersion"] == version("ray")
    assert spec["authOptions"] == {"mode": "token"}


@pytest.mark.parametrize("path", RAY_MANIFESTS, ids=lambda path: path.stem)
def test_pods_are_restricted_and_under_the_network_policy(path: Path) -> None:
    policy = load(K8S / "network.yaml")["spec"]["podSelector"]["matchLabels"]
    claim = load(K8S / "storage.yaml")["metadata"]["name"]
    for pod in pods(load(path)):
        assert pod["metadata"]["labels"].items() >= policy.items()
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        assert volumes["storage"]["persistentVolumeClaim"]["claimName"] == claim
        (container,) = pod["spec"]["containers"]
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
        assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("path", [*MANIFESTS, ROOT / "ray_cluster.yaml"], ids=lambda path: path.stem)
def test_no_secret_stands_in_a_file(path: Path) -> None:
    def check(value: object, key: str) -> None:
        if isinstance(value, dict):
            for name, item in value.items():
                check(item, str(name))
            named = str(value.get("name", ""))
            if re.search("token|secret|password|key", named, re.IGNORECASE):
                assert "value" not in value, f"{named} has a value of its own"
        elif isinstance(value, list):
            for item in value:
                check(item, key)
        elif isinstance(value, str):
            assert not re.search(r"[0-9a-f]{32}|BEGIN .*PRIVATE", value), f"{key} looks like a secret"

    manifest = load(path)
    check(manifest, "")
    assert manifest.get("kind") != "Secret"


@pytest.mark.parametrize("name", ["curate", "distill"])
def test_a_job_runs_a_verb_that_exists_with_settings_that_exist(name: str) -> None:
    from hummingbird.config.loading import load_settings

    words = load(K8S / f"{name}.yaml")["spec"]["entrypoint"].split()
    assert (ROOT / "jobs" / Path(words[1]).name).is_file()
    load_settings(None, [word for word in words if re.fullmatch(r"[\w.]+=.*", word)])


def test_the_service_imports_what_exists() -> None:
    config = yaml.safe_load(load(K8S / "service.yaml")["spec"]["serveConfigV2"])
    (application,) = config["applications"]
    module, _, attribute = application["import_path"].partition(":")
    assert callable(getattr(import_module(module), attribute))


def test_a_generator_has_no_more_threads_than_its_pod_has_cores() -> None:
    from hummingbird.config.loading import load_settings

    manifest = load(K8S / "service.yaml")
    (application,) = yaml.safe_load(manifest["spec"]["serveConfigV2"])["applications"]
    settings = load_settings(defaults=application["args"]).serve
    (group,) = cluster_spec(manifest)["workerGroupSpecs"]
    (container,) = group["template"]["spec"]["containers"]
    cores = int(container["resources"]["limits"]["cpu"])
    assert settings.threads is not None
    assert settings.threads <= settings.replica_cpus <= cores


def test_the_config_of_ray_up_follows_rays_schema() -> None:
    schema = Path(ray.autoscaler.__file__).with_name("ray-schema.json")
    jsonschema.validate(load(ROOT / "ray_cluster.yaml"), json.loads(schema.read_text()))


@pytest.mark.skipif(
    not CRDS.is_dir(), reason="the CRDs of KubeRay are not here: HUMMINGBIRD_KUBERAY_CRDS=FOLDER"
)
@pytest.mark.parametrize("path", RAY_MANIFESTS, ids=lambda path: path.stem)
def test_manifests_follow_kuberays_definitions(path: Path) -> None:
    manifest = load(path)
    definition = load(CRDS / f"ray.io_{PLURALS[manifest['kind']]}.yaml")
    wanted = manifest["apiVersion"].partition("/")[2]
    (found,) = (v for v in definition["spec"]["versions"] if v["name"] == wanted)
    schema = found["schema"]["openAPIV3Schema"]
    closed(schema)
    del schema["properties"]["metadata"]
    jsonschema.validate({key: value for key, value in manifest.items() if key != "metadata"}, schema)


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
