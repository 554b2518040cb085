"""What applies gradients: optimizer, schedule, moving average, and the engine of one plain process.

The engine's methods are those of DeepSpeed's, so the training loop does not know which of the two it has.
"""

import copy
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from hummingbird.config.training import TrainingSettings
from hummingbird.training.methods.base import TrainedNetwork


class TrainEngine(Protocol):
    """The part of `deepspeed.DeepSpeedEngine` that the loop uses.

    ``backward`` and ``step`` are called for each of the batches of an optimizer step: ``backward`` divides a loss by
    their number, and only the last ``step`` of them changes weights.
    """

    module: nn.Module

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

    def backward(self, loss: Tensor) -> Any: ...

    def step(self) -> None: ...

    def get_lr(self) -> list[float]: ...

    def get_global_grad_norm(self) -> Any: ...

    def save_checkpoint(self, save_dir: str, tag: str, client_state: dict[str, Any]) -> Any: ...

    def load_checkpoint(self, load_dir: str, tag: str) -> tuple[Any, dict[str, Any]]: ...


class PlainEngine:
    """AdamW, clipping and checkpoints in one process, without DeepSpeed."""

    def __init__(
        self, network: TrainedNetwork, learning_rate: float, pace: "Pace", settings: TrainingSettings
    ) -> None:
        self.module, self._max_norm = network.module, settings.max_grad_norm
        self._batches, self._summed = settings.gradient_accumulation, 0
        self._optimizer, self._schedule = optimizer_and_schedule(network, learning_rate, pace, settings)
        self._norm: Tensor | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def backward(self, loss: Tensor) -> None:
        (loss / self._batches).backward()

    def step(self) -> None:
        """After the last batch: clips, steps, and clears the gradients."""
        self._summed = (self._summed + 1) % self._batches
        if self._summed:
            return
        self._norm = nn.utils.clip_grad_norm_(self.module.parameters(), self._max_norm)
        self._optimizer.step()
        self._schedule.step()
        self._optimizer.zero_grad(set_to_none=True)

    def get_lr(self) -> list[float]:
        return [float(rate) for rate in self._schedule.get_last_lr()]

    def get_global_grad_norm(self) -> Tensor | None:
        """The norm before clipping, of the last step; on the device."""
        return self._norm

    def save_checkpoint(self, save_dir: str, tag: str, client_state: dict[str, Any]) -> None:
        folder = Path(save_dir) / tag
        folder.mkdir(parents=True, exist_ok=True)
        content = {
            "module": self.module.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "client_state": client_state,
        }
        torch.save(content, folder / "state.pt")

    def load_checkpoint(self, load_dir: str, tag: str) -> tuple[str, dict[str, Any]]:
        path = Path(load_dir) / tag / "state.pt"
        content = torch.load(path, map_location="cpu", weights_only=True)
        self.module.load_state_dict(content["module"])
        self._optimizer.load_state_dict(content["optimizer"])
        self._schedule.load_state_dict(content["schedule"])
        client_state: dict[str, Any] = content["client_state"]
        return str(path), client_state


class Pace:
    """How far a run is, by its steps or its time, whichever ends first; and the learning rate there.

    Time is read now and then; between readings it goes on at the last reading's rate. All workers read the same, so
    they end at the same step. As a schedule's function it is saved with the schedule, so a resumed run has used its
    time too.

    Args:
        steps: optimizer steps of the whole run.
        warmup: steps to the full learning rate.
        minutes: training time of the whole run, where that is limited.
    """

    def __init__(self, steps: int, warmup: int, minutes: float | None) -> None:
        self.step, self.since_reading, self.seconds_per_step = 0, 0, 0.0
        self._read = 0.0
        self._steps, self._warmup = steps, min(warmup, steps // 4)
        self._limit = math.inf if minutes is None else 60 * minutes

    @property
    def seconds(self) -> float:
        """Training time so far."""
        return self._read + self.since_reading * self.seconds_per_step

    @property
    def done(self) -> float:
        """0 at the start, 1 or more at the end."""
        return max(self.step / self._steps, self.seconds / self._limit)

    def advance(self) -> None:
        """One step more."""
        self.step, self.since_reading = self.step + 1, self.since_reading + 1

    def read(self, seconds: float) -> None:
        """What the steps since the last reading took."""
        self._read, self.seconds_per_step = self._read + seconds, seconds / self.since_reading
        self.since_reading = 0

    def __call__(self, _: int) -> float:
        """The share of the peak learning rate for the next step: a linear warm-up, then a cosine to zero."""
        warm = min(1.0, (self.step + 1) / (self._warmup + 1))
        return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, self.done)))


def optimizer_and_schedule(
    network: TrainedNetwork, learning_rate: float, pace: Pace, settings: TrainingSettings
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    """AdamW on what can be trained, at the pace's share of the network's own peak rate or of ``learning_rate``."""
    trained = [parameter for parameter in network.module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        trained,
        lr=network.learning_rate or learning_rate,
        betas=network.betas,
        weight_decay=settings.weight_decay,
    )
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, pace)


class EMA:
    """A frozen copy of a model that follows its weights; faster at first, so that it starts without lag.

    Args:
        share_frozen: whether weights that are not trained are the model's own; not where ZeRO 3 shares those out.

    torch's `AveragedModel` would wait for the device in every update.
    """

    def __init__(self, model: nn.Module, decay: float, share_frozen: bool = True) -> None:
        frozen = [
            parameter for parameter in model.parameters() if not parameter.requires_grad and share_frozen
        ]
        # What is not trained is the same in both: one copy.
        shared: dict[int, Any] = {id(parameter): parameter for parameter in frozen}
        self.module = copy.deepcopy(model, shared).eval().requires_grad_(False)
        self._decay, self._updates = decay, 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """One step of the model; buffers are copied."""
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates)) if self._updates else 0.0
        pairs = [
            (ours, weights)
            for ours, weights in zip(self.module.parameters(), model.parameters(), strict=True)
            if weights.requires_grad
        ]
        if any(hasattr(weights, "ds_id") for _, weights in pairs):  # shared out by ZeRO 3
            import deepspeed

            for ours, weights in pairs:  # one at a time: never a whole model more
                with deepspeed.zero.GatheredParameters([weights]):
                    ours.data.lerp_(weights.detach(), 1 - decay)
        else:
            averages, theirs = [ours.data for ours, _ in pairs], [weights.detach() for _, weights in pairs]
            torch._foreach_lerp_(averages, theirs, 1 - decay)
        for average, buffer in zip(self.module.buffers(), model.buffers(), strict=True):
            average.copy_(buffer)
        self._updates += 1

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"updates": self._updates, "module": self.module.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores `state_dict`."""
        self._updates = state["updates"]
        self.module.load_state_dict(state["module"])
