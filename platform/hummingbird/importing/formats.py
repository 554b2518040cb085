"""VideoCrafter2 and T2V-Turbo: which files hold which parts, and what else is known to be in them."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hummingbird.core.errors import InputError
from hummingbird.importing import autoencoder, text, unet
from hummingbird.importing.lora import merge_lora
from hummingbird.importing.parts import Parts, outside, read_reference
from hummingbird.importing.reader import open_weights
from hummingbird.importing.table import Weights
from hummingbird.importing.tokenizer import load_tokenizer
from hummingbird.importing.unet import our_config, published_table
from hummingbird.models.scheduler import VideoScheduler

PREFIXES = (unet.PREFIX, autoencoder.PREFIX, text.PREFIX)
SCHEDULE_BUFFERS = (
    "betas",
    "alphas_cumprod",
    "alphas_cumprod_prev",
    "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod",
    "log_one_minus_alphas_cumprod",
    "sqrt_recip_alphas_cumprod",
    "sqrt_recipm1_alphas_cumprod",
    "posterior_variance",
    "posterior_log_variance_clipped",
    "posterior_mean_coef1",
    "posterior_mean_coef2",
    "lvlb_weights",
    "logvar",
    "scale_arr",
    "scale_factor",
)
"""Computed from the schedule; `VideoScheduler` computes its own."""
GUIDANCE_SIZE = 256
SIZE = {"height": 320, "width": 512}
"""Pixels of the published models' videos; what is halved as often as they are can make them too."""
TEACHER_NOISE: dict[str, Any] = {"x0_scale": 0.7, "num_inference_steps": 50, "guidance_scale": 12.0}
FEW_STEP_NOISE: dict[str, Any] = {
    "x0_scale": 1.0,
    "sampling": "consistency",
    "num_inference_steps": 4,
    "guidance_scale": 8.5,  # published as w = 7.5, which is s - 1
}


def read_videocrafter2(checkpoint: Path, reference: Path | None, tokenizer: Path | None) -> Parts:
    """A VideoCrafter2 checkpoint: U-Net, autoencoder and text tower in one file.

    Args:
        checkpoint: the file.
        reference: its structure, see `read_reference`; none: the published one.
        tokenizer: CLIP's vocabulary, see `load_tokenizer`.

    Raises:
        InputError: something does not fit; the message names it.
    """
    sections = read_reference(reference)
    with open_weights(checkpoint) as weights:
        parts = _beside_unet(weights, sections, tokenizer, VideoScheduler(**TEACHER_NOISE, **_size(sections)))
        parts.unet, summary = unet.import_unet(weights.under(unet.PREFIX), sections["unet"])
        parts.account(summary)
    return parts


def read_t2v_turbo(
    checkpoint: Path, reference: Path | None, tokenizer: Path | None, merged: Path | None, lora: Path | None
) -> Parts:
    """T2V-Turbo on VideoCrafter2: its U-Net, or its LoRA merged into the base's; the other parts are the base's.

    Args:
        checkpoint: the VideoCrafter2 checkpoint.
        reference: structure; its U-Net gets ``time_cond_proj_dim`` 256 where the file does not say.
        tokenizer: CLIP's vocabulary.
        merged: a file with the merged U-Net, names with or without ``model.diffusion_model.``.
        lora: the LoRA; one of the two.

    Raises:
        InputError: none or both of ``merged`` and ``lora``, or something does not fit.
    """
    if (merged is None) == (lora is None):
        raise InputError(
            "T2V-Turbo needs one of two: import_checkpoint.unet (merged) or import_checkpoint.lora"
        )
    sections = read_reference(reference, time_cond_proj_dim=GUIDANCE_SIZE)
    size = sections["unet"]["time_cond_proj_dim"]
    if not size:
        raise InputError("T2V-Turbo's U-Net embeds the guidance scale: time_cond_proj_dim must be a size")
    with ExitStack() as stack:
        base = stack.enter_context(open_weights(checkpoint))
        parts = _beside_unet(base, sections, tokenizer, VideoScheduler(**FEW_STEP_NOISE, **_size(sections)))
        if merged is not None:
            own = stack.enter_context(open_weights(merged))
            prefix = unet.PREFIX if any(name.startswith(unet.PREFIX) for name in own.tensors) else ""
            if prefix:
                parts.unused += outside(own, (prefix,), SCHEDULE_BUFFERS, "a T2V-Turbo U-Net")
            source = own.under(prefix)
            parts.notes.append(f"the U-Net of {checkpoint} is not used: {merged} takes its place")
        else:
            factors = stack.enter_context(open_weights(Path(str(lora))))
            config = our_config(sections["unet"])
            guidance = (int(config["base_width"]), int(size))
            done = merge_lora(base.under(unet.PREFIX), factors, published_table(config), guidance)
            source, prefix = done.weights, unet.PREFIX
            parts.notes += [*done.notes, f"LoRA of rank {done.rank} merged into {done.layers} layers"]
        parts.unet, summary = unet.import_unet(source, sections["unet"], prefix)
        parts.account(summary)
    return parts


def _size(sections: dict[str, Any]) -> dict[str, int]:
    """The published size for the published stages; others make square videos as large as their autoencoder's."""
    same = (
        sections["unet"].get("channel_mult") == unet.PUBLISHED["channel_mult"]
        and sections["vae"]["ddconfig"].get("ch_mult") == autoencoder.PUBLISHED["ddconfig"]["ch_mult"]
    )
    return SIZE if same else {}


def _beside_unet(
    weights: Weights, sections: dict[str, Any], tokenizer: Path | None, noise: VideoScheduler
) -> Parts:
    """The parts of a VideoCrafter2 file but its U-Net, which the caller puts in."""
    vae, vae_summary = autoencoder.import_vae(weights.under(autoencoder.PREFIX), sections["vae"])
    tower, text_summary = text.import_text(weights.under(text.PREFIX), sections["text"])
    size, length = tower.config.vocab_size, tower.config.max_position_embeddings
    empty: Any = None
    parts = Parts(empty, vae, tower, load_tokenizer(tokenizer, size, length), noise)
    parts.unused += outside(weights, PREFIXES, SCHEDULE_BUFFERS, "a VideoCrafter2 checkpoint")
    parts.account(vae_summary)
    parts.account(text_summary)
    if sections["unet"].get("context_dim") != tower.config.hidden_size:
        raise InputError(
            f"the U-Net's context_dim {sections['unet'].get('context_dim')} and the text tower's width "
            f"{tower.config.hidden_size} differ: their reference configurations do not belong together"
        )
    return parts
