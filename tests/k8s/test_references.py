"""What the manifests name exists: verbs, settings, paths, ports, deployments, images; and each stands in one place."""

import json
import re
import shutil
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from hummingbird.config.loading import load_settings
from hummingbird_jobs.recipes import load_recipe
from hummingbird_jobs.verbs import VERBS
from manifests import BUILDS, K8S, OVERLAYS, ROOT, Object, all_pods, build, kustomize, of_kind, serve_config

IMAGE = re.compile(r"(?P<registry>.+)/(?P<variant>cpu|cuda|rocm)/(?P<role>\w+):(?P<tag>[\w.-]+)")
NOT_JOBS = {"serve", "pretrain"}
"""The service; and the verb that trains the package's own weights anew, which a read-only image cannot take."""


def settings_folder(objects: list[Object], folder: Path) -> Path:
    """The mounted ConfigMap, as a folder."""
    (config,) = (c for c in of_kind(objects, "ConfigMap") if c["metadata"]["name"] == "hummingbird-settings")
    for name, text in config["data"].items():
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_verb_is_a_job_with_settings_that_exist(name: str, tmp_path: Path) -> None:
    objects = build(f"{name}/jobs")
    config = settings_folder(objects, tmp_path)
    jobs = {made["metadata"]["labels"]["hummingbird/verb"]: made for made in of_kind(objects, "RayJob")}
    assert set(jobs) == set(VERBS) - NOT_JOBS
    for verb, job in jobs.items():
        python, script, *words = job["spec"]["entrypoint"].split()
        kind = words.pop(0) if words[0] in VERBS[verb].kinds else None
        flag, folder, *more = words
        assert (python, script) == ("python", f"/opt/hummingbird/jobs/{verb}.py")
        assert (ROOT / "jobs" / f"{verb}.py").is_file()
        assert (flag, folder) == ("--config", "/etc/hummingbird")
        recipe = load_recipe(more[1]) if more[:1] == ["--recipe"] else {}
        assert recipe or not more
        assert kind == ("orphans" if verb == "lake" else None)
        settings = load_settings(config, defaults=recipe)
        assert str(settings.storage) == ("s3://hummingbird/runs" if name == "production" else "/storage/runs")
        assert bool(settings.catalog.properties) == (name == "production")


@pytest.mark.parametrize("name", [name for name in OVERLAYS if name != "cpu"])
def test_captions_ask_for_a_resource_that_their_group_alone_has(name: str, tmp_path: Path) -> None:
    settings = load_settings(settings_folder(build(name), tmp_path))
    assert settings.training.device == "cuda"
    for job in of_kind(build(f"{name}/jobs"), "RayJob"):
        groups = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
        having = [group["groupName"] for group in groups if "caption" in group.get("resources", {})]
        assert having == ["caption"]
        labeled = [
            group["groupName"]
            for group in groups
            if settings.ray.cpu_nodes.items() <= group.get("labels", {}).items()
        ]
        assert labeled == ["cpu"]
        assert set(settings.curate.caption_resources) == {"caption"}


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_service_is_one_that_ray_and_the_code_know(name: str, tmp_path: Path) -> None:
    from ray.serve.schema import ServeDeploySchema

    (service,) = of_kind(build(name), "RayService")
    config = serve_config(service)
    checked = ServeDeploySchema.model_validate(config)
    (application,) = checked.applications
    module, _, attribute = application.import_path.partition(":")
    assert callable(getattr(import_module(module), attribute))
    args = dict(config["applications"][0]["args"])
    assert args.pop("config") == "/etc/hummingbird"
    settings = load_settings(settings_folder(build(name), tmp_path), defaults=args)

    code = (ROOT / "serve/hummingbird_serve/app.py").read_text()
    (generator,) = application.deployments
    assert f'"{generator.name}"' in code
    scaling = generator.autoscaling_config
    (group,) = service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    assert scaling is not None
    assert 2 <= scaling["min_replicas"] == group["minReplicas"]
    assert scaling["max_replicas"] == group["maxReplicas"]
    assert generator.max_replicas_per_node == 1

    # A generator has no more threads than its pod has cores, and a pod goes after the drain, which is after a pass.
    pod = group["template"]["spec"]
    cores = int(pod["containers"][0]["resources"]["limits"]["cpu"])
    assert settings.serve.threads is not None
    assert settings.serve.threads <= settings.serve.replica_cpus <= cores
    python, flag, name_of_module, option, seconds = pod["containers"][0]["lifecycle"]["preStop"]["exec"][
        "command"
    ]
    assert (python, flag, option) == ("python", "-m", "--seconds")
    assert callable(import_module(name_of_module).main)
    gpus = [
        int(limit)
        for name, limit in pod["containers"][0]["resources"]["limits"].items()
        if name.endswith("/gpu")
    ]
    assert sum(gpus) == settings.serve.replica_gpus
    drain, grace = generator.graceful_shutdown_timeout_s, pod["terminationGracePeriodSeconds"]
    assert drain < int(seconds) < grace < service["spec"]["rayClusterDeletionDelaySeconds"]


def test_the_applications_arguments_go_before_the_folder_that_they_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hummingbird_serve import app

    (tmp_path / "10.yaml").write_text(f"storage: {tmp_path}\nserve: {{threads: 1, replica_cpus: 3}}\n")
    (tmp_path / "20.yaml").write_text("serve: {threads: 2}\n")
    monkeypatch.setattr(app, "offered_models", lambda settings: ({}, settings))
    monkeypatch.setattr(app, "build_application", lambda settings, *_, needs_key: (settings, needs_key))
    settings, needs_key = app.application({"config": str(tmp_path), "serve": {"replica_cpus": 4}})
    assert (settings.storage, settings.serve.threads, settings.serve.replica_cpus) == (tmp_path, 2, 4)
    assert needs_key


@pytest.mark.parametrize("name", BUILDS)
def test_ports_and_paths_of_probes_are_rays(name: str) -> None:
    import ray._private.ray_constants as constants
    from ray.autoscaler._private.constants import AUTOSCALER_METRIC_PORT
    from ray.dashboard.consts import DASHBOARD_METRIC_PORT
    from ray.serve._private.constants import DEFAULT_HTTP_PORT

    folder = Path(import_module("ray").__file__ or "").parent
    known = (folder / "dashboard/http_server_head.py").read_text()
    ports = {
        "gcs-server": constants.DEFAULT_PORT,
        "dashboard": constants.DEFAULT_DASHBOARD_PORT,
        "serve": DEFAULT_HTTP_PORT,
        "metrics": 8080,  # the operator's
        "as-metrics": AUTOSCALER_METRIC_PORT,
        "dash-metrics": DASHBOARD_METRIC_PORT,
        "redis": 6379,
    }
    probed = {8265, 8000, constants.DEFAULT_DASHBOARD_AGENT_LISTEN_PORT}
    for pod in all_pods(build(name)):
        for container in pod["spec"]["containers"]:
            assert all(ports[port["name"]] == port["containerPort"] for port in container.get("ports", []))
            gets = [
                probe["httpGet"]
                for key, probe in container.items()
                if key.endswith("Probe") and "httpGet" in probe
            ]
            assert all(f'"{get["path"]}"' in known and get["port"] in probed for get in gets)


@pytest.mark.parametrize("name", BUILDS)
def test_images_are_those_that_are_built(name: str) -> None:
    variant = {"cpu": "cpu", "amd": "rocm"}.get(name.partition("/")[0], "cuda")
    bake = json.loads((K8S / "images" / "docker-bake.json").read_text())
    for pod in all_pods(build(name)):
        for container in pod["spec"]["containers"]:
            if container["name"] != "ray":
                continue
            found = IMAGE.fullmatch(container["image"])
            assert found is not None, container["image"]
            assert found["variant"] == variant
            assert f"{found['role']}-{variant}" in bake["group"][variant]["targets"]


def test_registry_and_tag_stand_in_one_place(tmp_path: Path) -> None:
    shutil.copytree(K8S, tmp_path / "k8s")
    place = tmp_path / "k8s" / "pods" / "images.yaml"
    text = place.read_text()
    changed = text.replace("registry: hummingbird ", "registry: registry.example.com/team ")
    changed = changed.replace("tag: 0.1.0", "tag: 9.9.9-test")
    assert changed != text
    place.write_text(changed)
    for name in ("production", "production/jobs"):
        images = {
            container["image"]
            for pod in all_pods(kustomize(tmp_path / "k8s" / "overlays" / name))
            for container in pod["spec"]["containers"]
            if container["name"] == "ray"
        }
        assert images
        assert all(
            re.fullmatch(r"registry\.example\.com/team/cuda/\w+:9\.9\.9-test", image) for image in images
        )


def test_the_tag_is_the_packages_version() -> None:
    import hummingbird

    config = yaml.safe_load((K8S / "pods" / "images.yaml").read_text())
    assert config["data"]["tag"] == hummingbird.__version__
