"""The objects that kustomize builds of `k8s/`, and what tests look for in them."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"
OVERLAYS = sorted(path.name for path in (K8S / "overlays").iterdir())
BUILDS = [f"{name}{jobs}" for name in OVERLAYS for jobs in ("", "/jobs")]
GPU_OVERLAYS = [name for name in OVERLAYS if name != "cpu"]
Object = dict[str, Any]


def tool(name: str) -> str:
    """The path of a program that the extra dev installs beside Python, or that is on the path."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.is_file() else shutil.which(name)
    assert found is not None, f"{name} is missing: make install"
    return found


def kustomize(folder: Path) -> list[Object]:
    """What ``kubectl kustomize`` makes of a folder."""
    done = subprocess.run([tool("kubectl"), "kustomize", str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [made for made in yaml.load_all(done.stdout, yaml.CSafeLoader) if made]


@cache
def _built(name: str) -> str:
    return json.dumps(kustomize(K8S / "overlays" / name))


def build(name: str) -> list[Object]:
    """The objects of one of `BUILDS`, to do with as one likes."""
    objects: list[Object] = json.loads(_built(name))
    return objects


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    """Those of one kind."""
    return [made for made in objects if made["kind"] == kind]


def cluster_spec(made: Object) -> Object | None:
    """The Ray cluster in an object of Ray's, or None of another."""
    key = {"RayCluster": None, "RayJob": "rayClusterSpec", "RayService": "rayClusterConfig"}
    if made["kind"] not in key:
        return None
    inner = key[made["kind"]]
    spec: Object = made["spec"] if inner is None else made["spec"][inner]
    return spec


def pods(made: Object) -> Iterator[Object]:
    """The pod templates in an object: of the head, the worker groups, the submitter, a stateful set."""
    spec = cluster_spec(made)
    if spec is not None:
        yield spec["headGroupSpec"]["template"]
        yield from (group["template"] for group in spec["workerGroupSpecs"])
    if made["kind"] == "RayJob":
        yield made["spec"]["submitterPodTemplate"]
    if made["kind"] == "StatefulSet":
        yield made["spec"]["template"]


def all_pods(objects: list[Object]) -> list[Object]:
    """The pod templates in all of them."""
    return [pod for made in objects for pod in pods(made)]


def serve_config(made: Object) -> Object:
    """The configuration of Ray Serve in a RayService."""
    config: Object = yaml.safe_load(made["spec"]["serveConfigV2"])
    return config
