"""VideoCrafter2: one file with U-Net, autoencoder and text tower, and what else is known to be in it."""

from pathlib import Path
from typing import Any

from hummingbird.config.import_checkpoint import ImportCheckpointSettings
from hummingbird.core.errors import InputError
from hummingbird.importing import autoencoder, text, unet
from hummingbird.importing.format import Format, write_pipeline
from hummingbird.importing.parts import Parts, outside, read_reference
from hummingbird.importing.reader import open_weights
from hummingbird.importing.table import Weights
from hummingbird.importing.tokenizer import load_tokenizer
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
SIZE = {"height": 320, "width": 512}
"""Pixels of the published models' videos; what is halved as often as they are can make them too."""
TEACHER_NOISE: dict[str, Any] = {"x0_scale": 0.7, "num_inference_steps": 50, "guidance_scale": 12.0}


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
        parts = beside_unet(
            weights, sections, tokenizer, VideoScheduler(**TEACHER_NOISE, **published_size(sections))
        )
        parts.unet, summary = unet.import_unet(weights.under(unet.PREFIX), sections["unet"])
        parts.account(summary)
    return parts


def published_size(sections: dict[str, Any]) -> dict[str, int]:
    """The published size for the published stages; others make square videos as large as their autoencoder's."""
    if "size" in sections:
        return {name: int(sections["size"][name]) for name in SIZE}
    same = (
        sections["unet"].get("channel_mult") == unet.PUBLISHED["channel_mult"]
        and sections["vae"]["ddconfig"].get("ch_mult") == autoencoder.PUBLISHED["ddconfig"]["ch_mult"]
    )
    return SIZE if same else {}


def beside_unet(
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


def _read(section: ImportCheckpointSettings) -> Parts:
    return read_videocrafter2(Path(str(section.checkpoint)), section.reference, section.tokenizer)


FORMAT = Format(
    "videocrafter2",
    "pipeline",
    "one file with U-Net, autoencoder and text tower",
    write_pipeline(_read),
    frozenset({"tokenizer", "reference", "decoder"}),
)
