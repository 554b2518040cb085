"""What every format is brought to: the parts of a pipeline, and an account of what was used and what not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hummingbird.core.errors import InputError
from hummingbird.importing import autoencoder, text, unet
from hummingbird.importing.table import ImportSummary, Weights, known_unused
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.models.unet import VideoUNet

SIZE = "size"
"""Of a reference configuration: ``height`` and ``width`` in pixels of the videos that the model was made for."""
SECTIONS = {"unet": unet.PUBLISHED, "vae": autoencoder.PUBLISHED, "text": text.PUBLISHED}


@dataclass
class Parts:
    """The modules of a pipeline, in the types that they were stored in.

    Attributes:
        unet, vae, text_encoder, tokenizer, scheduler: as `TextToVideoPipeline` takes them.
        unused: names of entries that the format is known to hold and nothing uses.
        notes: remarks for the report.
    """

    unet: VideoUNet
    vae: Any
    text_encoder: Any
    tokenizer: Any
    scheduler: VideoScheduler
    unused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def account(self, summary: ImportSummary) -> None:
        """Adds what a part left and its remarks."""
        self.unused += summary.unused
        self.notes += summary.notes


def read_reference(path: Path | None, **changed: Any) -> dict[str, dict[str, Any]]:
    """The reference configuration of each part: the published one, or a file's.

    Args:
        path: YAML or JSON, either sections ``unet``, ``vae`` and ``text`` with the published parameters (a section
            that is not there is the published one) and ``size`` (height and width in pixels), or a published training
            configuration (``model.params``).
        changed: parameters of the U-Net that the format has beside it, where the file does not say.

    Raises:
        InputError: the file cannot be read or has other sections.
    """
    sections: dict[str, dict[str, Any]] = {name: dict(value) for name, value in SECTIONS.items()}
    if path is not None:
        config: Any = read_config(path)
        config = _published_sections(config) if isinstance(config, dict) and "model" in config else config
        wrong = not isinstance(config, dict) or set(config) - {*SECTIONS, SIZE}
        if wrong or not all(isinstance(value, Mapping) for value in config.values()):
            raise InputError(f"{path}: a reference configuration has the sections {', '.join(SECTIONS)}")
        sections |= {name: dict(value) for name, value in config.items()}
    sections["unet"] = {**changed, **sections["unet"]}
    return sections


def read_config(path: Path) -> Any:
    """What a reference configuration, YAML or JSON, holds. Raises InputError where it cannot be read."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot read the reference configuration {path}: {' '.join(str(error).split())}"
        ) from error


def _published_sections(config: dict[str, Any]) -> dict[str, Any]:
    try:
        params = config["model"]["params"]
        sections: dict[str, Any] = {"unet": params["unet_config"]["params"]}
        vae = params["first_stage_config"]["params"]
    except (KeyError, TypeError) as error:
        raise InputError(f"the published configuration lacks {error}") from error
    sections["vae"] = {
        "ddconfig": vae["ddconfig"],
        "embed_dim": vae["embed_dim"],
        "scale_factor": params.get("scale_factor", 0.18215),
    }
    tower = (params.get("cond_stage_config") or {}).get("params") or {}
    if "layer" in tower:
        sections["text"] = {**text.PUBLISHED, "layer": tower["layer"]}
    return sections


def outside(weights: Weights, prefixes: tuple[str, ...], patterns: tuple[str, ...], label: str) -> list[str]:
    """Known unused entries beside a format's parts; raises InputError for others."""
    return known_unused(weights.outside(prefixes), patterns, label)
