"""What a U-Net and each of its parts cost: parameters and FLOP on the meta device, milliseconds on a real one.

A part is what a plan can take away: ``down.0.1.residual``, ``.temporal_conv``, ``.spatial_attention`` or
``.temporal_attention`` of a layer, ``middle``, ``first`` (the temporal attention after the first convolution), and
``shared``, which always stays. A multiply-add counts as 2 FLOP, as in the literature; norms, activations and sums
are not counted.
"""

import re
import statistics
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from hummingbird.core.devices import synchronized_time
from hummingbird.core.hashes import public_config
from hummingbird.core.timing import seconds_of, time_in_turns
from hummingbird.models.stages import UNetSpec
from hummingbird.models.unet import VideoUNet

Config = Mapping[str, Any]

_PART = re.compile(r"(down|up)_blocks\.(\d+)\.(resnets|temp_convs|attentions|temp_attentions)\.(\d+)(\.|$)")
_NAMES = {
    "resnets": "residual",
    "temp_convs": "temporal_conv",
    "attentions": "spatial_attention",
    "temp_attentions": "temporal_attention",
}


@dataclass(frozen=True)
class InputShape:
    """The input of one pass: latents and text."""

    frames: int
    height: int
    width: int
    text_tokens: int = 77
    batch: int = 1


@dataclass(frozen=True)
class Cost:
    """Of a model or a part; milliseconds where they were measured."""

    parameters: int
    flop: float
    milliseconds: float | None = None


def part_of(name: str) -> str:
    """The part that a parameter or a module belongs to, by its name in the U-Net."""
    if match := _PART.match(name):
        side, stage, kind, layer, _ = match.groups()
        return f"{side}.{stage}.{layer}.{_NAMES[kind]}"
    start = name.partition(".")[0]
    return {"mid_block": "middle", "transformer_in": "first"}.get(start, "shared")


def meta_unet(config: Config) -> VideoUNet:
    """The U-Net of a configuration without memory for its weights."""
    with torch.device("meta"):
        unet: VideoUNet = VideoUNet(**public_config(config))
    unet.eval()
    return unet


def unet_inputs(config: Config, shape: InputShape, device: torch.device | str = "meta") -> dict[str, Tensor]:
    """Arguments of one pass, of the right shapes: noise for latents and text, ones for the scalars."""
    batch = shape.batch
    size = (batch, config.get("in_channels", 4), shape.frames, shape.height, shape.width)
    inputs = {
        "sample": torch.randn(size, device=device),
        "timestep": torch.ones(batch, dtype=torch.long, device=device),
        "encoder_hidden_states": torch.randn(
            batch, shape.text_tokens, config.get("text_width", 1024), device=device
        ),
        "fps": torch.full((batch,), 8.0, device=device),
    }
    if config.get("guidance_size"):
        inputs["guidance"] = torch.ones(batch, device=device)
    return inputs


def part_costs(config: Config, shape: InputShape) -> dict[str, Cost]:
    """Parameters and FLOP of every part, from a pass on the meta device."""
    unet = meta_unet(config)
    parameters: dict[str, int] = defaultdict(int)
    for name, parameter in unet.named_parameters():
        parameters[part_of(name)] += parameter.numel()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        unet(**unet_inputs(config, shape))
    flop: dict[str, float] = defaultdict(float)
    for module, counts in counter.get_flop_counts().items():
        name = module.partition(".")[2]
        # Only the modules that are parts as a whole: what lies inside them is counted with them.
        if is_part(name):
            flop[part_of(name)] += sum(counts.values())
    flop["shared"] = counter.get_total_flops() - sum(flop.values())
    return {part: Cost(count, flop.get(part, 0.0)) for part, count in parameters.items()}


def is_part(module: str) -> bool:
    """Whether a module is a part as a whole."""
    match = _PART.match(module)
    return module in ("mid_block", "transformer_in") or (match is not None and match.end() == len(module))


def total_cost(costs: Mapping[str, Cost]) -> Cost:
    """The sum of parts; milliseconds where all parts have them."""
    times = [cost.milliseconds for cost in costs.values()]
    known = [value for value in times if value is not None]
    return Cost(
        sum(cost.parameters for cost in costs.values()),
        sum(cost.flop for cost in costs.values()),
        sum(known) if len(known) == len(times) else None,
    )


def model_cost(config: Config, shape: InputShape) -> Cost:
    """Parameters and FLOP of one pass."""
    return total_cost(part_costs(config, shape))


def reference_extra_flop(config: Config, shape: InputShape) -> float:
    """What the published code computes on top of `model_cost`: the text's keys and values anew for each frame.

    This U-Net makes them once a clip.
    """
    spec = UNetSpec.of(config)
    size = spec.head_size
    channels = sum(
        spec.widths(stage, layer).heads * size for _, stage, layer in spec.layers() if layer.attention
    )
    if spec.middle:
        channels += spec.deepest_width // size * size
    return 2.0 * 2 * shape.text_tokens * spec.text_width * channels * (shape.frames - 1) * shape.batch


@torch.no_grad()
def measure_milliseconds(
    unet: VideoUNet, shape: InputShape, warmup: int = 2, repeats: int = 5
) -> tuple[float, dict[str, float]]:
    """Milliseconds of one pass on the model's device, and of each part in it: medians of ``repeats``.

    The whole is timed without the stops between parts that timing them takes; the parts are then scaled to
    sum up to it.
    """
    unet.eval()
    inputs = _timed_inputs(unet, shape)
    for _ in range(warmup):
        unet(**inputs)
    whole = statistics.median(seconds_of(lambda: unet(**inputs)) for _ in range(repeats))
    clock = _PartClock(unet)
    try:
        rounds = []
        for _ in range(repeats):
            clock.spent.clear()
            seconds = seconds_of(lambda: unet(**inputs))
            rounds.append({**clock.spent, "shared": max(seconds - sum(clock.spent.values()), 0.0)})
    finally:
        clock.remove()
    parts = {part: statistics.median(repeat[part] for repeat in rounds) for part in rounds[0]}
    scale = 1000 * whole / sum(parts.values())
    return 1000 * whole, {part: scale * seconds for part, seconds in parts.items()}


@torch.no_grad()
def pass_milliseconds(
    unets: Mapping[str, VideoUNet], shape: InputShape, warmup: int, repeats: int
) -> dict[str, float]:
    """Milliseconds of one pass of each: medians, taken in turns."""
    passes = {name: partial(unet.eval(), **_timed_inputs(unet, shape)) for name, unet in unets.items()}
    times = time_in_turns(passes, warmup, repeats)
    return {name: 1000 * statistics.median(seconds) for name, seconds in times.items()}


class _PartClock:
    """Adds up the seconds of every part by hooks around its modules."""

    def __init__(self, unet: nn.Module) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._handles = []
        for name, module in unet.named_modules():
            if not is_part(name):
                continue
            started: list[float] = []

            def before(*_: Any, started: list[float] = started) -> None:
                started.append(synchronized_time())

            def after(*_: Any, started: list[float] = started, part: str = part_of(name)) -> None:
                self.spent[part] += synchronized_time() - started.pop()

            self._handles += [
                module.register_forward_pre_hook(before),
                module.register_forward_hook(after),
            ]

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()


def _timed_inputs(unet: VideoUNet, shape: InputShape) -> dict[str, Tensor]:
    config = public_config(unet.config)
    parameter = next(unet.parameters())
    return {
        key: value.to(parameter.dtype) if key in ("sample", "encoder_hidden_states") else value
        for key, value in unet_inputs(config, shape, parameter.device).items()
    }
