"""Learned gates: every unit that a plan may drop gets a gate, and all are trained together within the budgets.

A gate is a hard concrete variable (arXiv 1712.01312): between 0 and 1, and often exactly either. They learn from how
far the teacher's output moves; the expected cost is led to the budgets by an augmented Lagrangian, as for language
models in Sheared LLaMA (arXiv 2310.06694). The teacher's weights stay as they are.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hummingbird.config.gates import GateSettings
from hummingbird.models.stages import UNetSpec
from hummingbird.models.unet import VideoUNet
from hummingbird.pruning.pruning_plan import FIRST
from hummingbird.pruning.slices import largest_channels, largest_heads
from hummingbird.training.methods.base import (
    STUDENT,
    Losses,
    Method,
    MethodCost,
    MethodInputs,
    TrainedNetwork,
    TrainingStep,
    draw_stratified,
)

TEMPERATURE, LOW, HIGH = 2 / 3, -0.1, 1.1
"""Of the concrete distribution, and the ends that it is stretched to before it is cut off at 0 and 1."""
OPEN = 3.0
"""A logit at the start: 0.99 of the draws are above 0."""
GATES = "gates.json"
_PARTS = {
    "temporal_conv": "temp_convs",
    "spatial_attention": "attentions",
    "temporal_attention": "temp_attentions",
}
_ATTENTIONS = ("spatial_attention", "temporal_attention")


@dataclass(frozen=True)
class GateBudgets:
    """What gates are trained within, by the names of the budgets, all as shares of the teacher's cost.

    Attributes:
        savings: of every unit alone, its parts with it.
        limits: what may be left.
    """

    savings: Mapping[str, Mapping[str, float]]
    limits: Mapping[str, float]


class GatedUNet(nn.Module):
    """A frozen U-Net whose units have gates: at 0 a unit is as if its plan had dropped it.

    (But for a down layer's feature map: what joins it further up sees the layer's input, in a pruned model the nearest
    layer's.) Heads and channels that share a gate are those that `hummingbird.pruning.slices` would take away.

    Args:
        units: names of gates, as `hummingbird.pruning.planner.units.removals` gives them for the whole plan.
        logits: at the start, one a unit.
    """

    def __init__(self, unet: VideoUNet, units: Sequence[str], logits: Tensor) -> None:
        super().__init__()
        self.unet: Any = unet.eval().requires_grad_(False)
        self.units = tuple(units)
        self.logits = nn.Parameter(logits.clone())
        self._values: dict[str, Tensor] = {}
        self._add_hooks()

    @property
    def gradient_checkpointing(self) -> bool:
        """The U-Net's."""
        return bool(self.unet.gradient_checkpointing)

    @gradient_checkpointing.setter
    def gradient_checkpointing(self, on: bool) -> None:
        self.unet.gradient_checkpointing = on

    def train(self, mode: bool = True) -> "GatedUNet":
        """The U-Net stays in evaluation mode: dropout is no part of what a unit does."""
        super().train(mode)
        self.unet.eval()
        return self

    def forward(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor, Tensor]:
        """The output with gates, drawn anew in training; the one without; and each gate's share of draws above 0."""
        self._values = {}
        with torch.no_grad():
            whole = self.unet(*args, **kwargs)
        self._values = dict(zip(self.units, self._gates(), strict=True))
        return self.unet(*args, **kwargs), whole, self.open_share()

    def open_share(self) -> Tensor:
        """The probability that each gate is above 0 (U,)."""
        return torch.sigmoid(self.logits - TEMPERATURE * math.log(-LOW / HIGH))

    def save_pretrained(self, folder: Path) -> None:
        """Writes the gates' probabilities by the units' names."""
        folder.mkdir(parents=True)
        shares = dict(zip(self.units, self.open_share().tolist(), strict=True))
        (folder / GATES).write_text(json.dumps(shares, indent=2), encoding="utf-8")

    def _gates(self) -> Tensor:
        logits: Tensor = self.logits
        if self.training:
            drawn = torch.rand_like(logits).clamp(1e-6, 1 - 1e-6)
            logits = (torch.logit(drawn) + logits) / TEMPERATURE
        return (torch.sigmoid(logits) * (HIGH - LOW) + LOW).clamp(0, 1)

    def _add_hooks(self) -> None:
        known, unet = set(self.units), self.unet
        ends = (("middle", unet.mid_block), (FIRST, unet.transformer_in))
        for name, module in ends:
            if name in known:
                module.register_forward_hook(partial(self._close, (name,)))
        for name, _, layer in UNetSpec.of(unet.config).layers():
            side, stage, number = name.split(".")
            modules = getattr(unet, f"{side}_blocks")[int(stage)]
            if name in known:
                modules.resnets[int(number)].register_forward_hook(partial(self._close, (name,)))
            for part, of in _PARTS.items():
                gates = tuple(gate for gate in (name, f"{name}.{part}") if gate in known)
                parts = getattr(modules, of)
                if number in parts and gates:
                    parts[number].register_forward_hook(partial(self._close, gates))
            if layer.has_transformers:
                for of in (_PARTS[part] for part in _ATTENTIONS):
                    if number in getattr(modules, of):
                        self._narrow(name, getattr(modules, of)[number].transformer_blocks[0], known)

    def _narrow(self, layer: str, block: Any, known: set[str]) -> None:
        weights = block.state_dict()
        if f"{layer}.heads" in known:
            for name in ("attn1", "attn2"):
                attention = getattr(block, name)
                stay = largest_heads(weights, name, attention.heads, attention.heads // 2)
                going = _all_but(stay, attention.heads)
                size = attention.to_out[0].in_features // attention.heads
                hook = partial(self._scale, f"{layer}.heads", going.repeat_interleave(size))
                attention.to_out[0].register_forward_pre_hook(hook)
        if f"{layer}.feed_forward" in known:
            out = block.ff.net[2]
            stay = largest_channels(weights, "ff.net", out.in_features // 2)
            going = _all_but(stay, out.in_features)
            out.register_forward_pre_hook(partial(self._scale, f"{layer}.feed_forward", going))

    def _close(
        self, gates: tuple[str, ...], module: nn.Module, inputs: tuple[Any, ...], output: Tensor
    ) -> Tensor:
        """Between what came in, without what a skip connection joined to it, and what comes out."""
        if not self._values:
            return output
        value = math.prod((self._values[gate] for gate in gates[1:]), start=self._values[gates[0]])
        before = inputs[0][..., : output.shape[-1]]
        return before + value.to(output.dtype) * (output - before)

    def _scale(
        self, gate: str, going: Tensor, module: nn.Module, inputs: tuple[Tensor]
    ) -> tuple[Tensor] | None:
        if not self._values:
            return None
        going = going.to(inputs[0].device)
        return (inputs[0] * torch.where(going, self._values[gate], 1.0).to(inputs[0].dtype),)


class GateLearning(Method):
    """The gates' training: the relative squared change of the teacher's output, and what the cost is over the budgets.

    The budgets tighten from the whole teacher to their own over the first half.

    Args:
        gated: whose gates are trained.
        budgets: of the same units.
    """

    Settings = GateSettings

    def __init__(
        self, settings: GateSettings, inputs: MethodInputs, gated: GatedUNet, budgets: GateBudgets
    ) -> None:
        self._settings, self._gated, self._scheduler = settings, gated, inputs.teacher_scheduler
        self.networks = {STUDENT: TrainedNetwork(gated)}
        self._embeds_guidance = bool(gated.unet.config.guidance_size)
        device = gated.logits.device
        self._savings = torch.tensor(
            [[saved[unit] for unit in gated.units] for saved in budgets.savings.values()], device=device
        )
        self._limits = torch.tensor([budgets.limits[name] for name in budgets.savings], device=device)
        self._inside = torch.tensor(list(_enclosing(gated.units)), device=device)
        self._multipliers = torch.zeros_like(self._limits)

    def losses(self, network: str, step: TrainingStep) -> Losses:
        """Terms: ``change``, ``cost`` (the largest, as a share of its budget now), ``open`` (mean of the gates)."""
        x0, text, fps = (step.batch[name] for name in ("latents", "text", "fps"))
        t = draw_stratified(len(self._scheduler.alphas_cumprod), len(x0), step.generator)
        x = self._scheduler.add_noise(x0, self._scheduler.draw_noise(x0.shape, step.generator), t)
        guidance = torch.ones(len(x), device=x.device) if self._embeds_guidance else None
        output, whole, share = step.networks[STUDENT](x, t, text, fps=fps, guidance=guidance)
        whole = whole.float()
        change = (output.float() - whole).square().mean() / whole.square().mean().clamp_min(1e-8)
        limits = 1 - (1 - self._limits) * min(1.0, 2 * step.progress)
        costs = self.expected_costs(share) / limits
        excess = costs - 1
        penalty = (self._multipliers * excess + self._settings.penalty / 2 * excess.square()).sum()
        rate = self._settings.multiplier_rate
        self._multipliers = (self._multipliers + rate * excess.detach()).clamp_min(0)
        terms = {"change": change, "cost": costs.max(), "open": share.mean()}
        return Losses(change + penalty, {name: term.detach() for name, term in terms.items()})

    def expected_costs(self, share: Tensor) -> Tensor:
        """What is left of each cost (budgets,), as a share of the teacher's, if gates are open that often (U,).

        A part costs as often as its layer is there, and heads and channels as the layer's attentions are.
        """
        with_whole = torch.cat([share, share.new_ones(1)])
        around = with_whole[self._inside[:, 0]] * with_whole[self._inside[:, 1:]].mean(1)
        saved: Tensor = (self._savings * ((1 - share) * around)).sum(1)
        return 1 - saved

    def state(self) -> dict[str, Any]:
        """The multipliers."""
        return {"multipliers": self._multipliers}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restores `state`."""
        self._multipliers = state["multipliers"]

    @classmethod
    def cost(cls, settings: Any, batch: int, rewarded: bool) -> MethodCost:
        """A pass without gates, and one with them."""
        return MethodCost(teacher_passes=1, student_passes=0, trained_passes=1)


def start_logits(units: Sequence[str], order: Sequence[str] = ()) -> Tensor:
    """Logits at the start (U,): all open; with an ``order``, the first to go nearly as likely closed as open."""
    if not order:
        return torch.full((len(units),), OPEN)
    place = {unit: index / max(len(order) - 1, 1) for index, unit in enumerate(order)}
    return torch.tensor([OPEN * place[unit] for unit in units])


def _all_but(stay: Tensor, count: int) -> Tensor:
    going = torch.ones(count, dtype=torch.bool)
    going[stay.cpu()] = False
    return going


def _enclosing(units: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """For each unit the numbers of the gates that it lies in: its layer's, and for heads and channels those of the
    layer's attentions; where there is none, one behind the last."""
    number = {unit: index for index, unit in enumerate(units)}
    none = len(units)
    for unit in units:
        layer, _, part = unit.rpartition(".")
        around = (none, none)
        if part in ("heads", "feed_forward"):
            has = [number[f"{layer}.{name}"] for name in _ATTENTIONS if f"{layer}.{name}" in number]
            around = (has[0], has[-1]) if has else around
        yield number.get(layer, none), *around
