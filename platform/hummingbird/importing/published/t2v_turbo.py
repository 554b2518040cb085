"""T2V-Turbo on VideoCrafter2: its U-Net, or its LoRA merged into the base's; the other parts are the base's."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hummingbird.config.import_checkpoint import ImportCheckpointSettings
from hummingbird.core.errors import InputError
from hummingbird.importing import unet
from hummingbird.importing.format import Format, write_pipeline
from hummingbird.importing.lora import merge_lora
from hummingbird.importing.parts import Parts, outside, read_reference
from hummingbird.importing.published.videocrafter2 import SCHEDULE_BUFFERS, beside_unet, published_size
from hummingbird.importing.reader import open_weights
from hummingbird.importing.unet import our_config, published_table
from hummingbird.models.scheduler import VideoScheduler

GUIDANCE_SIZE = 256
FEW_STEP_NOISE: dict[str, Any] = {
    "x0_scale": 1.0,
    "sampling": "consistency",
    "num_inference_steps": 4,
    "guidance_scale": 8.5,  # published as w = 7.5, which is s - 1
}


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
        parts = beside_unet(
            base, sections, tokenizer, VideoScheduler(**FEW_STEP_NOISE, **published_size(sections))
        )
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


def _read(section: ImportCheckpointSettings) -> Parts:
    checkpoint = Path(str(section.checkpoint))
    return read_t2v_turbo(checkpoint, section.reference, section.tokenizer, section.unet, section.lora)


FORMAT = Format(
    "t2v-turbo",
    "pipeline",
    "VideoCrafter2's file with the U-Net or the LoRA of T2V-Turbo",
    write_pipeline(_read),
    frozenset({"tokenizer", "reference", "decoder", "unet", "lora"}),
)
