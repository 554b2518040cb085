"""Writes a Grafana dashboard, ``hummingbird-NAME.json``, for each part of ``dashboards.yaml``."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent
SOURCE = {"type": "prometheus", "uid": "${source}"}
COLUMNS, WIDTH, HEIGHT = 2, 12, 8


def dashboard(name: str, panels: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A dashboard whose panels stand in two columns; the data source is chosen on the page."""
    return {
        "uid": f"hummingbird-{name}",
        "title": f"Hummingbird: {name}",
        "tags": ["hummingbird"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [{"name": "source", "type": "datasource", "query": "prometheus"}]},
        "panels": [
            {
                "id": number + 1,
                "title": panel["title"],
                "type": "timeseries",
                "datasource": SOURCE,
                "gridPos": {
                    "x": number % COLUMNS * WIDTH,
                    "y": number // COLUMNS * HEIGHT,
                    "w": WIDTH,
                    "h": HEIGHT,
                },
                "fieldConfig": {"defaults": {"unit": panel["unit"]}, "overrides": []},
                "targets": [
                    {"refId": chr(ord("A") + at), "expr": query, "legendFormat": legend, "datasource": SOURCE}
                    for at, (legend, query) in enumerate(panel["queries"].items())
                ],
            }
            for number, panel in enumerate(panels)
        ],
    }


def rendered() -> dict[str, str]:
    """The files' texts by name."""
    parts = yaml.safe_load((FOLDER / "dashboards.yaml").read_text(encoding="utf-8"))
    return {
        f"hummingbird-{name}.json": json.dumps(dashboard(name, panels), indent=1, ensure_ascii=False) + "\n"
        for name, panels in parts.items()
    }


if __name__ == "__main__":
    for name, text in rendered().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
