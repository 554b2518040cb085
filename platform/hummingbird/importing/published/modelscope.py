"""ModelScope's text-to-video in diffusers' format, and others of ``UNet3DConditionModel``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelerate import init_empty_weights
from diffusers import AutoencoderKL
from transformers import CLIPTextConfig, CLIPTextModel

from hummingbird.config.import_checkpoint import ImportCheckpointSettings
from hummingbird.core.errors import InputError
from hummingbird.importing.autoencoder import older_diffusers_table
from hummingbird.importing.format import Format, write_pipeline
from hummingbird.importing.parts import Parts
from hummingbird.importing.reader import open_weights
from hummingbird.importing.table import Entry, fill
from hummingbird.importing.tokenizer import load_tokenizer
from hummingbird.models.architectures import unet_config
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.models.unet import VideoUNet

FILES = {
    "unet": ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"),
    "vae": ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"),
    "text_encoder": ("model.safetensors", "pytorch_model.bin"),
}
UNUSED_TEXT = (r"(text_model\.)?embeddings\.position_ids",)
"""Older transformers stored the positions 0, 1, 2, ... with the weights."""
STEPS, GUIDANCE = 50, 9.0
UNET_FIXED: dict[str, Any] = {
    "act_fn": "silu",
    "norm_eps": 1e-5,
    "downsample_padding": 1,
    "mid_block_scale_factor": 1,
    "num_attention_heads": None,
}
NOISE_FIXED: dict[str, Any] = {
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
    "trained_betas": None,
}


def read_modelscope(folder: Path, tokenizer: Path | None = None) -> Parts:
    """A folder with ``unet``, ``vae``, ``text_encoder``, ``tokenizer`` and ``scheduler``; weights pickled or not.

    Args:
        folder: the folder in diffusers' format.
        tokenizer: in place of the folder's.

    Raises:
        InputError: a part is missing or has entries or settings that do not fit.
    """
    absent = [part for part in (*FILES, "scheduler") if not (folder / part).is_dir()]
    if absent:
        raise InputError(f"{folder} is no pipeline in diffusers' format: it lacks {', '.join(absent)}")
    with init_empty_weights():
        unet = VideoUNet(**our_unet_config(_json(folder / "unet" / "config.json")))
        vae = AutoencoderKL.from_config(_json(folder / "vae" / "config.json"))
        text = CLIPTextModel(CLIPTextConfig(**_text_config(_json(folder / "text_encoder" / "config.json"))))
    unused = _fill(unet, [Entry(n, n) for n in unet.state_dict()], folder / "unet", "unet")
    unused += _fill_vae(vae, folder / "vae")
    unused += _fill_text(text, folder / "text_encoder")
    words = load_tokenizer(
        tokenizer or folder / "tokenizer", text.config.vocab_size, text.config.max_position_embeddings
    )
    # Like diffusers' own pipeline: as large as the U-Net's samples, whatever the autoencoder was trained on.
    side = int(_json(folder / "unet" / "config.json").get("sample_size") or 32)
    pixels = side * 2 ** (len(vae.config.block_out_channels) - 1)
    few_steps = bool(unet.config.guidance_size)
    noise = _noise(_json(folder / "scheduler" / "scheduler_config.json"), pixels, few_steps)
    return Parts(unet, vae, text, words, noise, unused)


def our_unet_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of `VideoUNet` for one of diffusers' ``UNet3DConditionModel``.

    Raises:
        InputError: it asks for what `VideoUNet` does not have.
    """
    for key, value in UNET_FIXED.items():
        if config.get(key, value) != value:
            raise InputError(f"a U-Net with {key}={config[key]} is not supported, only {value}")
    down, up = config["down_block_types"], config["up_block_types"]
    known = {
        "CrossAttnDownBlock3D": True,
        "DownBlock3D": False,
        "CrossAttnUpBlock3D": True,
        "UpBlock3D": False,
    }
    if odd := sorted({*down, *up} - set(known)):
        raise InputError(f"a U-Net with {', '.join(odd)} is not supported")
    attention = [known[kind] for kind in down]
    if [known[kind] for kind in up] != attention[::-1]:
        raise InputError("a U-Net whose up stages have attention at other resolutions than its down stages")
    head = config["attention_head_dim"]
    if not isinstance(head, int) or config["in_channels"] != config["out_channels"]:
        raise InputError("a U-Net needs one attention_head_dim, and as many channels out as in")
    return unet_config(
        config["block_out_channels"],
        down_layers=config["layers_per_block"],
        attention=attention,
        in_channels=config["in_channels"],
        head_size=head,
        text_width=config["cross_attention_dim"],
        norm_groups=config.get("norm_num_groups", 32),
        embed_fps=False,
        guidance_size=config.get("time_cond_proj_dim"),
    )


def _text_config(config: Mapping[str, Any]) -> dict[str, Any]:
    # The published pipeline pads with 0, whatever this configuration says of padding.
    return {
        **{k: v for k, v in config.items() if k not in ("architectures", "torch_dtype")},
        "pad_token_id": 0,
    }


def _fill(
    module: Any, table: list[Entry], folder: Path, part: str, unused: tuple[str, ...] = ()
) -> list[str]:
    with open_weights(_weights_file(folder, part)) as weights:
        return [f"{part}/{name}" for name in fill(module, table, weights, f"the part {part}", "", unused)]


def _fill_vae(vae: AutoencoderKL, folder: Path) -> list[str]:
    with open_weights(_weights_file(folder, "vae")) as weights:
        older = any(name.endswith(".query.weight") for name in weights.tensors)
        table = older_diffusers_table(vae) if older else [Entry(name, name) for name in vae.state_dict()]
        return [f"vae/{name}" for name in fill(vae, table, weights, "the part vae")]


def _fill_text(text: CLIPTextModel, folder: Path) -> list[str]:
    with open_weights(_weights_file(folder, "text_encoder")) as weights:
        prefix = "text_model." if any(name.startswith("text_model.") for name in weights.tensors) else ""
        table = [Entry(prefix + name, name) for name in text.state_dict()]
        unused = fill(text, table, weights, "the part text_encoder", "", UNUSED_TEXT)
        return [f"text_encoder/{name}" for name in unused]


def _noise(config: Mapping[str, Any], pixels: int, few_steps: bool) -> VideoScheduler:
    """The published schedule; diffusers' U-Nets that embed a guidance scale are consistency models."""
    for key, value in NOISE_FIXED.items():
        if config.get(key, value) != value:
            raise InputError(f"a schedule with {key}={config[key]} is not supported, only {value}")
    return VideoScheduler(
        num_train_timesteps=config.get("num_train_timesteps", 1000),
        beta_start=config["beta_start"],
        beta_end=config["beta_end"],
        num_inference_steps=STEPS,
        sampling="consistency" if few_steps else "ddim",
        guidance_scale=GUIDANCE,
        height=pixels,
        width=pixels,
    )


def _weights_file(folder: Path, part: str) -> Path:
    path = next((folder / name for name in FILES[part] if (folder / name).is_file()), None)
    if path is None:
        raise InputError(f"no weights in {folder}: {' or '.join(FILES[part])}")
    return path


def _json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    return content


def _read(section: ImportCheckpointSettings) -> Parts:
    return read_modelscope(Path(str(section.checkpoint)), section.tokenizer)


FORMAT = Format(
    "modelscope",
    "pipeline",
    "a folder of ModelScope's text-to-video in diffusers' format",
    write_pipeline(_read),
    frozenset({"tokenizer", "decoder"}),
)
