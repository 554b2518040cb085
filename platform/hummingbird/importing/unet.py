"""The U-Net of VideoCrafter2 and T2V-Turbo: its published configuration, and its names in the published order."""

from collections.abc import Mapping
from typing import Any

from accelerate import init_empty_weights

from hummingbird.core.errors import InputError
from hummingbird.importing.table import Entry, ImportSummary, Weights, fill
from hummingbird.models.architectures import unet_config
from hummingbird.models.stages import LayerSpec, UNetSpec
from hummingbird.models.unet import VideoUNet

PREFIX = "model.diffusion_model."
REQUIRED = ("in_channels", "model_channels", "num_res_blocks", "attention_resolutions", "channel_mult")
GROUPS = 32
INITIAL_HEADS = 8

# What the published class can do besides, and no published video model needs: each must have this value.
FIXED: dict[str, Any] = {
    "transformer_depth": 1,
    "temporal_transformer_depth": 1,
    "temporal_conv": True,
    "temporal_attention": True,
    "temporal_selfatt_only": True,
    "use_relative_position": False,
    "use_causal_attention": False,
    "use_scale_shift_norm": False,
    "resblock_updown": False,
    "conv_resample": True,
    "tempspatial_aware": False,
    "use_image_attention": False,
    "motion_cond_proj_dim": None,
    "dims": 2,
}
# Keys that change no weight and no result: checkpointing, numerical type, the length of relative positions,
# linear or pointwise-convolution projections (the same weights), the unused dropout of residual blocks.
NEUTRAL = {"use_checkpoint", "use_fp16", "temporal_length", "use_linear", "dropout", "record_attn_probs"}
FREE = {
    *REQUIRED, "out_channels", "num_head_channels", "context_dim", "addition_attention", "fps_cond",
    "time_cond_proj_dim", "num_heads",
}  # fmt: skip
PUBLISHED: dict[str, Any] = {
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 320,
    "attention_resolutions": [4, 2, 1],
    "num_res_blocks": 2,
    "channel_mult": [1, 2, 4, 4],
    "num_head_channels": 64,
    "transformer_depth": 1,
    "context_dim": 1024,
    "use_linear": True,
    "temporal_conv": True,
    "temporal_attention": True,
    "temporal_selfatt_only": True,
    "use_relative_position": False,
    "use_causal_attention": False,
    "temporal_length": 16,
    "addition_attention": True,
    "fps_cond": True,
}
"""VideoCrafter2's, for 320 x 512 pixels."""


def our_config(reference: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of `VideoUNet` for the parameters of the published class ``UNetModel``.

    Raises:
        InputError: a parameter is missing, unknown, or asks for what `VideoUNet` does not have.
    """
    if absent := [key for key in REQUIRED if reference.get(key) is None]:
        raise InputError(f"the U-Net's reference configuration lacks {', '.join(absent)}")
    if unknown := sorted(set(reference) - FREE - NEUTRAL - set(FIXED)):
        raise InputError(f"the U-Net's reference configuration has unknown keys: {', '.join(unknown)}")
    for key, value in FIXED.items():
        # The published class has other defaults for these two.
        default = {"use_relative_position": True, "temporal_conv": False}.get(key, value)
        if reference.get(key, default) != value:
            raise InputError(
                f"a U-Net with {key}={reference.get(key, default)} is not supported, only {value}"
            )
    base, multiples = reference["model_channels"], reference["channel_mult"]
    head = reference.get("num_head_channels", -1)
    if head == -1:
        raise InputError("num_head_channels is needed: heads of one size, whatever the width")
    if reference.get("out_channels", reference["in_channels"]) != reference["in_channels"]:
        raise InputError("a U-Net whose out_channels differ from in_channels is not supported")
    if bad := [base * m for m in multiples if base * m % head or base * m % GROUPS]:
        raise InputError(
            f"widths must be multiples of num_head_channels={head} and of {GROUPS}: {bad} are not"
        )
    if multiples[0] != 1:
        raise InputError(
            f"channel_mult must begin with 1, not {multiples[0]}: the last stage is the output's width"
        )
    return unet_config(
        [base * multiple for multiple in multiples],
        down_layers=reference["num_res_blocks"],
        attention=[2**level in reference["attention_resolutions"] for level in range(len(multiples))],
        in_channels=reference["in_channels"],
        head_size=head,
        text_width=reference.get("context_dim"),
        embed_fps=bool(reference.get("fps_cond", False)),
        guidance_size=reference.get("time_cond_proj_dim"),
        first_temporal_heads=INITIAL_HEADS if reference.get("addition_attention", False) else 0,
    )


def published_table(config: Mapping[str, Any]) -> list[Entry]:
    """Names of a `VideoUNet` with VideoCrafter2's arrangement, in the order of the published modules."""
    table = [*_embedding("time_embed", "time_embedding")]
    if config.get("embed_fps", True):
        table += _embedding("fps_embedding", "fps_embedding")
    if config.get("guidance_size"):
        table.append(Entry("time_cond_proj.weight", "time_embedding.cond_proj.weight"))
    table += _both("input_blocks.0.0", "conv_in")
    spec = UNetSpec.of(config)
    width, number = spec.base_width, 1
    for position, stage in enumerate(spec.down):
        ours = f"down_blocks.{position}"
        for index, layer in enumerate(stage.layers):
            table += _layer(f"input_blocks.{number}", ours, index, layer, width != stage.width)
            width, number = stage.width, number + 1
        if stage.sample:
            table += _both(f"input_blocks.{number}.0.op", f"{ours}.downsamplers.0.conv")
            number += 1
    if spec.first_temporal_heads:
        table += _transformer("init_attn.0", "transformer_in")
    if spec.middle:
        table += _resnet("middle_block.0", "mid_block", 0, False)
        table += _transformer("middle_block.1", "mid_block.attentions.0")
        table += _transformer("middle_block.2", "mid_block.temp_attentions.0")
        table += _resnet("middle_block.3", "mid_block", 1, False)
    number = 0
    for position, stage in enumerate(spec.up):
        ours = f"up_blocks.{position}"
        for index, layer in enumerate(stage.layers):
            last = index == len(stage.layers) - 1
            place = f"output_blocks.{number}"
            # The skip's channels come on top of the input's, so every layer but an odd one changes its width.
            table += _layer(place, ours, index, layer, True)
            if last and stage.sample:
                after = 1 + layer.attention + layer.temporal_attention
                table += _both(f"{place}.{after}.conv", f"{ours}.upsamplers.0.conv")
            number += 1
    return table + _both("out.0", "conv_norm_out") + _both("out.2", "conv_out")


def import_unet(
    weights: Weights, reference: Mapping[str, Any], prefix: str = PREFIX
) -> tuple[VideoUNet, ImportSummary]:
    """A U-Net from a file in VideoCrafter2's or T2V-Turbo's naming, with its types, in evaluation mode.

    Args:
        weights: the U-Net's entries, names without ``prefix``.
        reference: parameters of the published class.
        prefix: of the names in the file, for messages.

    Raises:
        InputError: the configuration or the entries do not fit, see `fill`.
    """
    config = our_config(reference)
    with init_empty_weights():
        unet = VideoUNet(**config)
    return unet, ImportSummary(fill(unet, published_table(config), weights, "the U-Net", prefix))


def _both(source: str, target: str) -> list[Entry]:
    return [Entry(f"{source}.{kind}", f"{target}.{kind}") for kind in ("weight", "bias")]


def _embedding(source: str, target: str) -> list[Entry]:
    return _both(f"{source}.0", f"{target}.linear_1") + _both(f"{source}.2", f"{target}.linear_2")


def _layer(place: str, stage: str, index: int, layer: LayerSpec, shortcut: bool) -> list[Entry]:
    table = _resnet(f"{place}.0", stage, index, shortcut)
    position = 1
    for has, part in ((layer.attention, "attentions"), (layer.temporal_attention, "temp_attentions")):
        if has:
            table += _transformer(f"{place}.{position}", f"{stage}.{part}.{index}")
            position += 1
    return table


def _resnet(source: str, stage: str, index: int, shortcut: bool) -> list[Entry]:
    """A residual block with its temporal convolution, which the published class misspells."""
    target = f"{stage}.resnets.{index}"
    table = _both(f"{source}.in_layers.0", f"{target}.norm1") + _both(
        f"{source}.in_layers.2", f"{target}.conv1"
    )
    table += _both(f"{source}.emb_layers.1", f"{target}.time_emb_proj")
    table += _both(f"{source}.out_layers.0", f"{target}.norm2") + _both(
        f"{source}.out_layers.3", f"{target}.conv2"
    )
    if shortcut:
        table += _both(f"{source}.skip_connection", f"{target}.conv_shortcut")
    for number in range(1, 5):
        norm, conv = (f"conv{number}.{place}" for place in (0, 2 if number == 1 else 3))
        for part in (norm, conv):
            table += _both(f"{source}.temopral_conv.{part}", f"{stage}.temp_convs.{index}.{part}")
    return table


def _transformer(source: str, target: str) -> list[Entry]:
    """A spatial or temporal transformer of depth 1: the names agree, the published order is this one."""
    block = "transformer_blocks.0"
    names = ["norm.weight", "norm.bias", "proj_in.weight", "proj_in.bias"]
    for part in ("attn1", "ff", "attn2"):
        if part == "ff":
            layers = ("net.0.proj", "net.2")
            names += [f"{block}.ff.{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
        else:
            names += [f"{block}.{part}.to_{projection}.weight" for projection in ("q", "k", "v", "out.0")]
            names.append(f"{block}.{part}.to_out.0.bias")
    names += [f"{block}.norm{number}.{kind}" for number in (1, 2, 3) for kind in ("weight", "bias")]
    return [Entry(f"{source}.{n}", f"{target}.{n}") for n in [*names, "proj_out.weight", "proj_out.bias"]]
