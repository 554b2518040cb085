"""The images: linted, of the lock, and of just what an installation that is not editable has."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import hummingbird
import pytest
from manifests import K8S, ROOT, tool

IMAGES = K8S / "images"
BAKE = json.loads((IMAGES / "docker-bake.json").read_text())
DOCKERFILE = (IMAGES / "Dockerfile").read_text()


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run([tool("hadolint"), str(IMAGES / "Dockerfile")], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_role_has_extras_that_exist_and_a_tag_of_this_version() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert BAKE["variable"]["TAG"]["default"] == hummingbird.__version__
    for variant, group in BAKE["group"].items():
        for name in group["targets"]:
            target = BAKE["target"][name]
            assert set(target["args"]["EXTRAS"].split(",")) <= set(extras) - {"dev"}
            role = name.removesuffix(f"-{variant}")
            assert target["tags"] == [f"${{REGISTRY}}/{variant}/{role}:${{TAG}}"]
    # vLLM's wheels are for CUDA alone.
    assert [
        name for name, target in BAKE["target"].items() if "caption" in target["args"].get("EXTRAS", "")
    ] == ["caption-cuda"]


def test_an_image_is_small_pinned_and_not_roots() -> None:
    stages = re.findall(r"^FROM (\S+)(?: AS (\w+))?$", DOCKERFILE, re.MULTILINE)
    assert stages == [("python:3.11-slim-bookworm", "base"), ("base", "build"), ("base", "")]
    assert "--constraint constraints.txt" in DOCKERFILE
    assert "--editable" not in DOCKERFILE
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert "USER 1000:1000" in last
    assert "HEALTHCHECK" in last
    copied = re.findall(r"^COPY (.+) (\S+)$", DOCKERFILE, re.MULTILINE)
    ignored = set((ROOT / ".dockerignore").read_text().split())
    for sources, _ in copied:
        for source in sources.split():
            if not source.startswith("--") and not source.startswith("/"):
                assert list(ROOT.glob(source))
                assert source not in ignored


@pytest.mark.slow
def test_what_an_image_installs_runs_the_jobs_beside_it(tmp_path: Path) -> None:
    source, site, jobs = tmp_path / "src", tmp_path / "site", tmp_path / "jobs"
    source.mkdir()
    jobs.mkdir()
    build = DOCKERFILE.partition("AS build")[2].partition("\nFROM ")[0]
    for names, _ in re.findall(r"^COPY (.+) (\S+)$", build, re.MULTILINE):
        for name in names.split():
            path = ROOT / name
            if path.is_dir():
                shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(path, source / name)
    for script in (ROOT / "jobs").glob("*.py"):
        shutil.copy(script, jobs)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*install, "--target", str(site), str(source)], check=True)
    shutil.rmtree(source)
    config = tmp_path / "settings"
    config.mkdir()
    (config / "10-work.yaml").write_text(f"storage: {tmp_path}/runs\ncurate: {{source: {tmp_path}/raw}}\n")
    environment = {"PYTHONPATH": str(site), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    for verb in ("curate", "line"):
        command = [sys.executable, str(jobs / f"{verb}.py"), "--config", str(config), "--print-settings"]
        done = subprocess.run(
            [*command, *(["--recipe", "shapes-ci"] if verb == "line" else [])],
            capture_output=True, text=True, env=environment, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert f"{tmp_path}/raw" in done.stdout
