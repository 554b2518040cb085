"""What applies gradients: optimizer, schedule, moving average, and the engine of one plain process.

The engine's methods are those of DeepSpeed's, so the training loop does not know which of the two it has.
"""

import math
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from hummingbird.config.training import TrainingSettings


class Engine(Protocol):
    """The part of `deepspeed.DeepSpeedEngine` that the loop uses."""

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
        self, module: nn.Module, learning_rate: float, pace: "Pace", settings: TrainingSettings
    ) -> None:
        self.module, self._clip = module, settings.max_grad_norm
        self._optimizer, self._schedule = optimizer_and_schedule(module, learning_rate, pace, settings)
        self._norm = 0.0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def step(self) -> None:
        """Clips, steps, and clears the gradients."""
        self._norm = float(nn.utils.clip_grad_norm_(self.module.parameters(), self._clip))
        self._optimizer.step()
        self._schedule.step()
        self._optimizer.zero_grad(set_to_none=True)

    def get_lr(self) -> list[float]:
        return [float(rate) for rate in self._schedule.get_last_lr()]

    def get_global_grad_norm(self) -> float:
        """The norm before clipping, of the last step."""
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

    As a schedule's function it is saved with the schedule, so a resumed run has used its time too.

    Args:
        steps: optimizer steps of the whole run.
        warmup: steps to the full learning rate.
        minutes: training time of the whole run, where that is limited.
    """

    def __init__(self, steps: int, warmup: int, minutes: float | None) -> None:
        self.step, self.seconds = 0, 0.0
        self._steps, self._warmup = steps, min(warmup, steps // 4)
        self._limit = math.inf if minutes is None else 60 * minutes

    @property
    def done(self) -> float:
        """0 at the start, 1 or more at the end."""
        return max(self.step / self._steps, self.seconds / self._limit)

    def __call__(self, _: int) -> float:
        """The share of the peak learning rate for the next step: a linear warm-up, then a cosine to zero."""
        warm = min(1.0, (self.step + 1) / (self._warmup + 1))
        return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, self.done)))


def optimizer_and_schedule(
    module: nn.Module, learning_rate: float, pace: Pace, settings: TrainingSettings
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    """AdamW (0.9, 0.999) on what can be trained, at the pace's learning rate."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=settings.weight_decay)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, pace)


def moving_average(module: nn.Module, decay: float) -> AveragedModel:
    """A frozen copy of the model that follows its weights; faster at first, so that it starts without lag."""

    @torch.no_grad()
    def follow(averages: Any, weights: Any, updates: Tensor | int) -> None:
        now = min(decay, (1 + int(updates)) / (10 + int(updates)))
        torch._foreach_lerp_(averages, weights, 1 - now)

    average = AveragedModel(module, multi_avg_fn=follow)
    average.module.eval().requires_grad_(False)
    return average
