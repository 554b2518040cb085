"""Dashboards and alerts ask for metrics that are counted, in a real Prometheus too."""

import importlib.util
import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from hummingbird.core.metrics import METRICS, count, gauge, observe
from manifests import K8S, ROOT, build, of_kind, tool

FOLDER = K8S / "dashboards"
RULES = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["spec"]
SUFFIXES = {"Counter": ("_total",), "Histogram": ("_bucket", "_sum", "_count"), "Gauge": ("",)}
NAME = re.compile(r"\bray_[a-z0-9_]+")


def built() -> Any:
    """The script that writes the dashboards."""
    spec = importlib.util.spec_from_file_location("dashboards_build", FOLDER / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def queries() -> Iterator[str]:
    """Of all panels and alerts."""
    for path in FOLDER.glob("*.json"):
        for panel in json.loads(path.read_text())["panels"]:
            yield from (target["expr"] for target in panel["targets"])
    yield from (rule["expr"] for group in RULES["groups"] for rule in group["rules"])


def exported_names() -> set[str]:
    """What Prometheus sees of `METRICS`."""
    return {f"ray_{name}{suffix}" for name, known in METRICS.items() for suffix in SUFFIXES[known.kind]}


def test_the_files_are_what_the_script_makes() -> None:
    rendered = built().rendered()
    assert sorted(rendered) == sorted(path.name for path in FOLDER.glob("*.json"))
    assert len(rendered) == 4
    for name, text in rendered.items():
        assert (FOLDER / name).read_text() == text, "run python k8s/dashboards/build.py"


def test_every_metric_that_is_asked_for_is_counted() -> None:
    folder = Path(ray.__file__).parent
    places = [
        *folder.glob("serve/_private/*.py"),
        *folder.glob("serve/*.py"),
        *folder.glob("dashboard/modules/reporter/*.py"),
    ]
    places += folder.glob("dashboard/modules/metrics/dashboards/*.py")
    rays = "\n".join(path.read_text() for path in places)
    asked = {name for query in queries() for name in NAME.findall(query)}
    own = {name for name in asked if name.startswith("ray_hummingbird_")}
    assert own <= exported_names()
    for name in asked - own:
        base = name.removeprefix("ray_")
        bases = {base, re.sub(r"_(total|bucket)$", "", base)}
        assert any(f'"{one}"' in rays or f"ray_{one}{{" in rays for one in bases), name


def test_every_metric_of_the_code_is_shown() -> None:
    asked = {name for query in queries() for name in NAME.findall(query)}
    for name, known in METRICS.items():
        assert asked & {f"ray_{name}{suffix}" for suffix in SUFFIXES[known.kind]}, name


def test_labels_that_queries_name_are_tags() -> None:
    for query in queries():
        for name in NAME.findall(query):
            base = re.sub(r"_(total|bucket)$", "", name.removeprefix("ray_"))
            if base in METRICS:
                grouped = re.findall(r"by \(([^)]*)\)", query)
                labels = {label.strip() for group in grouped for label in group.split(",")}
                labels |= set(re.findall(r"(\w+)!?=\"", query))
                assert labels <= {*METRICS[base].tags, "le"}


def test_the_alerts_send_to_a_page_that_has_the_heading() -> None:
    for group in RULES["groups"]:
        for rule in group["rules"]:
            page, _, anchor = rule["annotations"]["runbook"].partition("#")
            headings = re.findall(r"^## (.+)$", (ROOT / page).read_text(), re.MULTILINE)
            assert anchor in {heading.lower().replace(" ", "-") for heading in headings}, anchor


def test_production_has_them() -> None:
    objects = build("production")
    (rule,) = of_kind(objects, "PrometheusRule")
    assert rule["spec"] == RULES
    (shown,) = (made for made in of_kind(objects, "ConfigMap") if "dashboards" in made["metadata"]["name"])
    assert set(shown["data"]) == {path.name for path in FOLDER.glob("*.json")}
    assert shown["metadata"]["labels"]["grafana_dashboard"] == "1"


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="Prometheus is not here: apt-get install prometheus"
)
def test_a_real_prometheus_answers_every_query(ray_cluster: None, tmp_path: Path) -> None:
    node = ray.nodes()[0]
    target = f"{node['NodeManagerAddress']}:{node['MetricsExportPort']}"
    rules, config = tmp_path / "rules.yaml", tmp_path / "prometheus.yaml"
    rules.write_text(yaml.safe_dump(RULES))
    scrape = {"job_name": "ray", "scrape_interval": "1s", "static_configs": [{"targets": [target]}]}
    config.write_text(yaml.safe_dump({"rule_files": [str(rules)], "scrape_configs": [scrape]}))
    subprocess.run([tool("promtool"), "check", "config", str(config)], check=True, capture_output=True)

    port = 29090
    command = [tool("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/data"]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log
        )
    try:
        _measure_everything()
        wanted = {
            query for query in queries() if "ray_hummingbird_" in query and not re.search(r"[<>]|==", query)
        }
        wanted |= {"ray_node_cpu_utilization", "ray_node_mem_used / ray_node_mem_total"}
        empty = set(wanted)
        end = time.monotonic() + 180  # Ray's workers report every 10 seconds
        while empty and time.monotonic() < end:
            time.sleep(2)
            _measure_everything()
            empty = {query for query in empty if not _answer(port, query)}
        assert not empty
        for query in queries():
            _answer(port, query)  # an error where it is no valid query
    finally:
        server.terminate()
        server.wait(30)


def _measure_everything() -> None:
    measure = {"Counter": count, "Gauge": gauge, "Histogram": observe}
    for name, known in METRICS.items():
        measure[known.kind](name, 1.0, dict.fromkeys(known.tags, "tried"))
    gauge("hummingbird_training_loss", 1.0, {"term": "gradient_norm"})


def _answer(port: int, query: str) -> list[Any]:
    url = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            found: list[Any] = json.load(answer)["data"]["result"]
            return found
    except urllib.error.HTTPError:
        raise
    except OSError:  # it is not up yet
        return []
