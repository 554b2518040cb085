"""The KL autoencoder of latent diffusion, in its first published naming and in diffusers' older one."""

from collections.abc import Mapping
from typing import Any

from accelerate import init_empty_weights
from diffusers import AutoencoderKL

from hummingbird.core.errors import InputError
from hummingbird.importing.table import Entry, ImportSummary, Weights, fill

PREFIX = "first_stage_model."
PUBLISHED: dict[str, Any] = {
    "ddconfig": {
        "double_z": True,
        "z_channels": 4,
        "resolution": 512,
        "in_channels": 3,
        "out_ch": 3,
        "ch": 128,
        "ch_mult": [1, 2, 4, 4],
        "num_res_blocks": 2,
        "attn_resolutions": [],
        "dropout": 0.0,
    },
    "embed_dim": 4,
    "scale_factor": 0.18215,
}
"""VideoCrafter2's, which is Stable VideoScheduler's."""
KEYS = {"ddconfig", "embed_dim", "scale_factor"}


def our_config(reference: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of diffusers' ``AutoencoderKL`` for a published ``ddconfig``.

    Raises:
        InputError: a parameter is missing or unknown, or asks for what ``AutoencoderKL`` does not have.
    """
    details = reference.get("ddconfig") or {}
    known = set(PUBLISHED["ddconfig"])
    if absent := sorted(known - {"resolution", "dropout", "attn_resolutions"} - set(details)):
        raise InputError(
            f"the autoencoder's reference configuration lacks ddconfig.{', ddconfig.'.join(absent)}"
        )
    if unknown := sorted(set(reference) - KEYS) + [f"ddconfig.{k}" for k in sorted(set(details) - known)]:
        raise InputError(f"the autoencoder's reference configuration has unknown keys: {', '.join(unknown)}")
    if details.get("attn_resolutions"):
        raise InputError(
            "an autoencoder with attention outside its middle (attn_resolutions) is not supported"
        )
    channels = details["z_channels"]
    if not details["double_z"] or reference.get("embed_dim", channels) != channels:
        raise InputError("an autoencoder needs double_z and an embed_dim equal to z_channels")
    widths = [details["ch"] * multiple for multiple in details["ch_mult"]]
    return {
        "in_channels": details["in_channels"],
        "out_channels": details["out_ch"],
        "down_block_types": ["DownEncoderBlock2D"] * len(widths),
        "up_block_types": ["UpDecoderBlock2D"] * len(widths),
        "block_out_channels": widths,
        "layers_per_block": details["num_res_blocks"],
        "latent_channels": channels,
        "norm_num_groups": 32,
        "sample_size": details.get("resolution", 512),
        "scaling_factor": reference.get("scale_factor", 0.18215),
    }


def published_table(vae: AutoencoderKL) -> list[Entry]:
    """Where each tensor of an ``AutoencoderKL`` stands in latent diffusion's naming."""
    stages = len(vae.config.block_out_channels)
    return [Entry(_published(name, stages), name) for name in vae.state_dict()]


def older_diffusers_table(vae: AutoencoderKL) -> list[Entry]:
    """The same for diffusers before 0.15, which named the projections of attention otherwise."""
    old = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}
    return [Entry(_replaced(name, old), name) for name in vae.state_dict()]


def import_vae(
    weights: Weights, reference: Mapping[str, Any], prefix: str = PREFIX
) -> tuple[AutoencoderKL, ImportSummary]:
    """An autoencoder from a file in latent diffusion's naming.

    Raises:
        InputError: the configuration or the entries do not fit, see `fill`.
    """
    with init_empty_weights():
        vae = AutoencoderKL(**our_config(reference))
    return vae, ImportSummary(fill(vae, published_table(vae), weights, "the autoencoder", prefix))


def _published(name: str, stages: int) -> str:
    side, *rest = name.split(".")
    if side not in ("encoder", "decoder"):
        return name  # quant_conv, post_quant_conv
    text = ".".join(rest)
    if rest[0] in ("down_blocks", "up_blocks"):
        # The published decoder counts its stages from the highest resolution.
        number = int(rest[1]) if rest[0] == "down_blocks" else stages - 1 - int(rest[1])
        text = f"{rest[0].split('_')[0]}.{number}." + ".".join(rest[2:])
        text = _replaced(
            text,
            {
                "resnets.": "block.",
                "conv_shortcut": "nin_shortcut",
                "downsamplers.0": "downsample",
                "upsamplers.0": "upsample",
            },
        )
    elif rest[0] == "mid_block":
        text = _replaced(
            text,
            {
                "mid_block.resnets.0": "mid.block_1",
                "mid_block.resnets.1": "mid.block_2",
                "mid_block.attentions.0": "mid.attn_1",
                "group_norm": "norm",
                "to_q": "q",
                "to_k": "k",
                "to_v": "v",
                "to_out.0": "proj_out",
            },
        )
    return f"{side}.{text.replace('conv_norm_out', 'norm_out')}"


def _replaced(name: str, pairs: Mapping[str, str]) -> str:
    for old, new in pairs.items():
        name = name.replace(old, new)
    return name
