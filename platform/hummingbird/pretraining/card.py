"""Shipping a trained model: half-precision safetensors and a model card."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from hummingbird.config.settings import Settings
from hummingbird.core.devices import describe_device
from hummingbird.core.model_references import SHIPPED_WEIGHTS


def weights_folder(settings: Settings) -> Path:
    """Where shipped models are read from and go to."""
    return settings.pretrain.weights or SHIPPED_WEIGHTS


def ship(model: Any, folder: Path) -> None:
    """Save a diffusers or transformers model in float16, and leave it in float32."""
    model.to(torch.float16).save_pretrained(folder)
    model.to(torch.float32)
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config.pop("_name_or_path", None)  # the folder of whoever trained it
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def write_card(folder: Path, title: str, text: str, facts: Mapping[str, Any]) -> None:
    """Write ``README.md`` and ``card.json`` (the same facts, for programs) into ``folder``.

    Args:
        text: one paragraph: what it is and what it was trained on.
        facts: settings, seed, training time and scores; the device and the date are added.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = {**facts, "device": describe_device(), "date": datetime.now(UTC).date().isoformat()}
    lines = [f"| {key.replace('_', ' ')} | {_format(value)} |" for key, value in rows.items()]
    table = "\n".join(["| | |", "| --- | --- |", *lines])
    body = f"---\nlicense: apache-2.0\n---\n# {title}\n{text}\n\n{table}\n"
    (folder / "README.md").write_text(body, encoding="utf-8")
    (folder / "card.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def _format(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
