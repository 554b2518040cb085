"""A recipe's settings for a rehearsal: small models in the published formats; only what `ALLOWED` names differs."""

import fnmatch
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hummingbird.config.loading import load_settings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.importing import autoencoder, text, unet
from hummingbird.importing.format import find_format

from hummingbird_jobs.rehearsal.captioner import random_qwen2_5_vl
from hummingbird_jobs.rehearsal.checkpoints import (
    random_checkpoint,
    random_clip,
    random_dover,
    random_taesd,
    random_xclip,
    write_vocabulary,
)

ALLOWED = {
    "import_checkpoint.*": "the file of a small model",
    "line.imports.*.checkpoint": "the file of a small model",
    "line.imports.*.reference": "its widths and depths",
    "line.imports.*.tokenizer": "the file of a small model",
    "models.captioner": "the folder of a small model",
    "feedback.rewards.*.model": "the folder of a small model",
    "feedback.held_out.rewards.*.model": "the folder of a small model",
    "feedback.held_out.every": "steps",
    "*.steps": "steps",
    "*.num_inference_steps": "steps",
    "decoder.held_out": "a count",
    "decoder.channels": "its widths and depths",
    "decoder.features": "the folder of a small model",
    "*.warmup_steps": "steps",
    "*.batch_size": "a count",
    "training.gradient_accumulation": "a count",
    "training.workers": "a count",
    "plan.calibration_*": "a count",
    "plan.rounds": "a count",
    "plan.workers": "a count",
    "evaluate.prompts": "a count",
    "evaluate.resamples": "a count",
    "curate.caption_frames": "a count",
    "curate.caption_tokens": "a count",
    "curate.caption_share": "a model that was never trained says the same of many clips",
    "curate.caption_engine": "the engine of the same folder that runs without a GPU",
    "curate.caption_vllm*": "the engine of the same folder that runs without a GPU",
    "*.model_gpus": "no GPU",
    "compile.device": "no GPU",
    "compile.precision": "no GPU",
    "training.zero_stage": "no GPU",
}
"""Settings in which a rehearsal may differ from its recipe (``*``: any), and what the difference is."""
PROMPTS = 1
REFERENCE: dict[str, Any] = {
    "unet": {
        **unet.PUBLISHED,
        "model_channels": 32,
        "channel_mult": [1, 2],
        "attention_resolutions": [1],
        "num_head_channels": 16,
        "context_dim": 32,
    },
    "vae": {
        **autoencoder.PUBLISHED,
        "ddconfig": {
            **autoencoder.PUBLISHED["ddconfig"],
            "ch": 32,
            "ch_mult": [1, 1, 1, 1],
            "num_res_blocks": 1,
            "resolution": 64,
        },
    },
    "text": {
        **text.PUBLISHED,
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
    },
    "size": {"height": 64, "width": 96},
}
CLIP: dict[str, Any] = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 28, "layers": 2, "width": 32, "head_width": 16, "patch_size": 14},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
QUALITY: dict[str, Any] = {
    "technical_width": 16,
    "technical_depths": [2, 2, 2, 2],
    "technical_heads": [1, 2, 4, 8],
    "technical_window": [2, 4, 4],
    "aesthetic_widths": [16, 32, 64, 128],
    "aesthetic_depths": [1, 1, 2, 1],
    "head_width": 32,
    "technical_view": {"clips": 3, "fragments": 4, "frames": 4, "patch": 16, "stride": 2},
    "aesthetic_view": {"frames": 4, "size": 64, "stride": 2},
}


@dataclass(frozen=True)
class Difference:
    """A setting in which a rehearsal differs from its recipe."""

    key: str
    recipe: Any
    rehearsal: Any

    @property
    def kind(self) -> str:
        """What `ALLOWED` calls it. Raises RuntimeError where it must not differ."""
        for pattern, kind in ALLOWED.items():
            if fnmatch.fnmatchcase(self.key, pattern):
                return kind
        raise RuntimeError(f"a rehearsal must not change {self.key} ({self.recipe!r} to {self.rehearsal!r})")


def rehearsal_of(settings: Settings, folder: Path) -> tuple[Settings, list[Difference]]:
    """Writes small models for everything that the settings name, and says what differs.

    Args:
        settings: of a recipe.
        folder: for the models; files that are there are written again, the same.

    Raises:
        InputError: the settings name a model that cannot be rehearsed.
    """
    tree = settings.model_dump(mode="json")
    vocabulary = str(write_vocabulary(folder / "vocabulary"))
    _small_teacher(tree, folder, vocabulary)
    for number, item in enumerate(tree["line"]["imports"]):
        _small_import(item, folder / f"import-{number}", vocabulary)
    _small_captioner(tree, folder)
    _small_rewards(tree, folder, vocabulary)
    _few_steps(tree, folder)
    rehearsed = load_settings(defaults={**tree, "storage": str(settings.storage)})
    before, after = (dict(_leaves(one.model_dump(mode="json"))) for one in (settings, rehearsed))
    differences = [
        Difference(key, before.get(key), after.get(key))
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key)
    ]
    for difference in differences:
        _ = difference.kind  # raises where a setting must not differ
    return rehearsed, differences


def _small_teacher(tree: dict[str, Any], folder: Path, vocabulary: str) -> None:
    section = tree["import_checkpoint"]
    if "import_checkpoint" not in tree["line"]["verbs"]:
        return
    if section["format"] != "videocrafter2":
        raise InputError(f"a rehearsal writes VideoCrafter2's format alone, not {section['format']}")
    reference = _written(folder / "videocrafter2.json", REFERENCE)
    section["checkpoint"] = str(random_checkpoint(folder / "videocrafter2", Path(reference)))
    section["reference"], section["tokenizer"] = reference, vocabulary
    if section["decoder"] is not None:
        section["decoder"] = str(random_taesd(folder / "taesd", 16))


def _small_import(item: dict[str, Any], folder: Path, vocabulary: str) -> None:
    kind = find_format(item["format"])
    folder.mkdir(parents=True, exist_ok=True)
    if kind.name == "dover":
        item["checkpoint"] = str(random_dover(folder / "DOVER.pth", QUALITY))
        item["reference"] = _written(folder / "dover.json", QUALITY)
    elif kind.name == "open-clip":
        item["checkpoint"] = str(random_clip(folder / "clip.pt", CLIP))
        item["reference"] = _written(folder / "clip.json", CLIP)
        item["tokenizer"] = vocabulary
    else:
        raise InputError(f"a rehearsal knows no small model of the format {kind.name}: {item['into'][0]}")


def _small_captioner(tree: dict[str, Any], folder: Path) -> None:
    captioner = tree["models"]["captioner"]
    if captioner is None:
        return
    if "qwen2.5-vl" not in captioner.lower():
        raise InputError(f"a rehearsal knows a small Qwen2.5-VL alone, not {captioner}")
    tree["models"]["captioner"] = str(random_qwen2_5_vl(folder / "qwen2.5-vl"))
    tree["curate"] |= {
        "caption_engine": "transformers",
        "caption_vllm": {},
        "caption_frames": 2,
        "caption_tokens": 8,
        "caption_share": 1.0,
    }


def _small_rewards(tree: dict[str, Any], folder: Path, vocabulary: str) -> None:
    imported = {into for item in tree["line"]["imports"] for into in item["into"]}
    for place in ("feedback.rewards", "feedback.held_out.rewards"):
        rewards = tree["feedback"]
        for section in place.split(".")[1:]:
            rewards = rewards[section]
        for name, own in rewards.items():
            if "model" not in own or f"{place}.{name}.model" in imported:
                continue
            if name != "video_text":
                raise InputError(f"a rehearsal knows no small model for {place}.{name}")
            own["model"] = str(random_xclip(folder / "xclip", Path(vocabulary)))


def _few_steps(tree: dict[str, Any], folder: Path) -> None:
    for section in ("curate", "encode"):
        tree[section]["model_gpus"] = 0.0
    tree["compile"] |= {"device": "cpu", "precision": "float32"}
    tree["training"] |= {"workers": 1, "warmup_steps": 1}
    tree["training"]["gradient_accumulation"] = min(2, tree["training"]["gradient_accumulation"])
    for section in ("distill", "feedback"):
        tree[section] |= {"steps": 2, "batch_size": 1}
    tree["decoder"] |= {"steps": 2, "batch_size": 1, "held_out": 1, "channels": 16}
    tree["feedback"]["held_out"]["every"] = 1
    tree["plan"] |= {
        "calibration_clips": 1,
        "calibration_timesteps": 1,
        "calibration_batch_size": 1,
        "rounds": 1,
        "workers": 1,
    }
    tree["evaluate"] |= {"num_inference_steps": 2, "resamples": 100}
    prompts = tree["evaluate"]["prompts"]
    if isinstance(prompts, str):
        lines = Path(prompts).read_text(encoding="utf-8").splitlines()[:PROMPTS]
        few = folder / "prompts.jsonl"
        few.write_text("\n".join(lines) + "\n", encoding="utf-8")
        tree["evaluate"]["prompts"] = str(few)


def _written(path: Path, content: Mapping[str, Any]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


def _leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping) and tree:
        for name, value in tree.items():
            yield from _leaves(value, f"{prefix}{name}.")
    elif isinstance(tree, list) and tree and isinstance(tree[0], Mapping):
        for number, value in enumerate(tree):
            yield from _leaves(value, f"{prefix}{number}.")
    else:
        yield prefix.rstrip("."), tree
