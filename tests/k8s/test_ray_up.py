"""The configurations for `ray up`: valid by Ray's own check, and what their commands start."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from manifests import ROOT
from ray.autoscaler._private.util import prepare_config, validate_config

CONFIGS = sorted(ROOT.glob("ray_cluster*.yaml"))


def load(path: Path) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(path.read_text())
    return config


def test_there_is_one_for_machines_and_one_for_a_cloud() -> None:
    assert [load(path)["provider"]["type"] for path in CONFIGS] == ["local", "aws"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_ray_takes_it(path: Path) -> None:
    validate_config(prepare_config(load(path)))
    broken = load(path)
    broken["head_start_ray_command"] = []
    with pytest.raises(Exception, match="head_start_ray_command"):
        validate_config(prepare_config(broken))


def test_groups_of_the_cloud_start_from_zero_and_one_has_gpus() -> None:
    types = prepare_config(load(ROOT / "ray_cluster_cloud.yaml"))["available_node_types"]
    workers = {name: kind for name, kind in types.items() if name != "head"}
    assert all(kind["min_workers"] == 0 < kind["max_workers"] for kind in workers.values())
    assert [name for name, kind in workers.items() if kind["resources"].get("GPU")] == ["gpu"]
    # Ray puts the commands of a kind of node in place of the common ones.
    assert "cd ~/hummingbird && make install" in types["gpu"]["worker_setup_commands"]


@pytest.mark.parametrize("kind", ["head", "worker"])
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_nodes_start_with_a_token_without_statistics_and_with_a_python(
    path: Path, kind: str, tmp_path: Path
) -> None:
    """The commands run with a `ray` that says what it was started with."""
    programs = tmp_path / "hummingbird" / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "ray").write_text(
        '#!/bin/sh\necho "$1 mode=$RAY_AUTH_MODE stats=$RAY_USAGE_STATS_ENABLED v2=$RAY_enable_autoscaler_v2"'
        ' "python=$(command -v python)" "$*"\n'
    )
    (programs / "ray").chmod(0o755)
    shutil.copy(programs / "ray", programs / "python")
    config = load(path)
    environment = {"HOME": str(tmp_path), "PATH": os.defpath, "RAY_HEAD_IP": "192.0.2.1"}
    lines = [
        subprocess.run(
            # As `ray up` does it: with autoscaler v2, which it takes for granted.
            ["bash", "-c", f"export RAY_enable_autoscaler_v2=1; {command}"],
            env=environment, capture_output=True, text=True, check=True,
        ).stdout
        for command in config[f"{kind}_start_ray_commands"]
    ]  # fmt: skip
    assert lines[0].startswith("stop")
    assert f"start mode=token stats=0 v2={int(path.stem != 'ray_cluster' or kind == 'worker')}" in lines[1]
    assert f"python={programs}/python" in lines[1]
    assert ("--head" in lines[1]) == (kind == "head")
