"""Loading pipelines: from folders and from shipped weights, current ones and those of earlier versions."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from transformers import CLIPTextModel, PreTrainedTokenizerFast

from hummingbird.core.errors import InputError
from hummingbird.core.model_references import pipeline_folder, pipeline_part
from hummingbird.models.family import VideoUNetFamily
from hummingbird.models.loading import load_pretrained
from hummingbird.models.pipeline_text_to_video import (
    DECODE_BATCH,
    TextToVideoPipeline,
    TextToVideoPipelineOutput,
)
from hummingbird.models.quiet_loading import quiet_loading
from hummingbird.models.scheduler import VideoScheduler, current_config
from hummingbird.models.unet import VideoUNet

__all__ = [
    "DECODE_BATCH",
    "PARTS",
    "TextToVideoPipeline",
    "TextToVideoPipelineOutput",
    "load_parts",
    "load_pipeline",
    "scheduler_config",
]

PARTS = ("vae", "decoder", "text_encoder", "tokenizer", "scheduler")


def load_pipeline(name_or_path: str | Path) -> TextToVideoPipeline:
    """Load a pipeline in float32, in evaluation mode. Shipped pipelines share one set of parts beside the U-Net.

    Raises:
        InputError: there is no pipeline there, a part of it is missing, or weights are missing, renamed, of another
            shape or
            cut off.
    """
    folder = pipeline_folder(name_or_path)
    unet = load_pretrained(VideoUNet, folder / "unet", torch_dtype=torch.float32)
    return TextToVideoPipeline(unet=unet.eval(), **load_parts(folder))


def load_parts(folder: Path) -> dict[str, Any]:
    """Everything of a pipeline but its U-Net; what ``folder`` itself lacks comes from ``components`` beside it.

    The small decoder is None where the folder's index says so.

    Raises:
        InputError: a part is in neither, or its weights are missing, renamed, of another shape or cut off.
    """
    index = folder / "model_index.json"
    named = json.loads(index.read_text(encoding="utf-8")) if index.is_file() else {}
    parts = [part for part in PARTS if part != "decoder" or named.get(part) != [None, None]]
    home = {}
    for part in parts:
        home[part] = pipeline_part(folder, part)
        if not home[part].is_dir():
            raise InputError(f"the pipeline in {folder} lacks {part}, and {home[part]} does not exist either")
    with quiet_loading():
        return {
            "vae": load_pretrained(AutoencoderKL, home["vae"], torch_dtype=torch.float32).eval(),
            "decoder": load_pretrained(AutoencoderTiny, home["decoder"], torch_dtype=torch.float32).eval()
            if "decoder" in home
            else None,
            "text_encoder": load_pretrained(CLIPTextModel, home["text_encoder"], dtype=torch.float32).eval(),
            "tokenizer": PreTrainedTokenizerFast.from_pretrained(home["tokenizer"]),
            "scheduler": VideoScheduler.from_config(scheduler_config(folder)),
        }


def has_small_decoder(folder: Path) -> bool:
    """Whether the pipeline of a folder has a small decoder, as its index says."""
    index = folder / "model_index.json"
    named = json.loads(index.read_text(encoding="utf-8")) if index.is_file() else {}
    return named.get("decoder") != [None, None] and pipeline_part(folder, "decoder").is_dir()


def saved_family(folder: Path) -> VideoUNetFamily:
    """What the parts of a pipeline folder look like, by their configurations; no weights are read.

    Raises:
        InputError: a part is missing.
    """
    configs = {}
    for part in ("unet", "vae", "text_encoder"):
        path = pipeline_part(folder, part) / "config.json"
        if not path.is_file():
            raise InputError(f"the pipeline in {folder} lacks {part}")
        configs[part] = json.loads(path.read_text(encoding="utf-8"))
    return VideoUNetFamily(**configs, scheduler=scheduler_config(folder))


def scheduler_config(folder: Path) -> dict[str, Any]:
    """The scheduler's configuration of a pipeline folder, in today's words and complete.

    Raises:
        InputError: the pipeline lacks the scheduler, or its configuration is of an earlier version and the U-Net that
            would tell what it means is not there.
    """
    path = pipeline_part(folder, "scheduler") / "scheduler_config.json"
    if not path.is_file():
        raise InputError(f"the pipeline in {folder} lacks scheduler (no {path.name})")
    saved, unet = json.loads(path.read_text(encoding="utf-8")), folder / "unet" / "config.json"
    embeds = (
        bool(json.loads(unet.read_text(encoding="utf-8")).get("guidance_size")) if unet.is_file() else None
    )
    try:
        return dict(VideoScheduler.from_config(current_config(saved, embeds)).config)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
