"""One loop for all pretraining: AdamW, warm-up and cosine, averaged weights, checkpoints, a log and a progress bar."""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from hummingbird.pretraining.workers import agree, average_gradients, place

Losses = Mapping[str, Tensor]


@dataclass(frozen=True)
class Course:
    """How long a model is trained, how fast, from where and on what.

    Attributes:
        steps: optimizer steps at most.
        minutes: stop after this time, the rate's decay spread over it.
        lr: the highest learning rate.
        start: folder of weights whose training is taken up with a fresh optimizer; None: from scratch.
        device: of the model and its samples.
        batch_factor: how many times the samples that suit a CPU a step takes.
        processes: that draw samples beside the training.
        workers: processes that train, see `hummingbird.pretraining.workers`; a step has the samples of all.
    """

    steps: int
    minutes: float | None = None
    lr: float = 1e-3
    start: Path | None = None
    device: str = "cpu"
    batch_factor: int = 1
    processes: int = 0
    workers: int = 1


class Average:
    """Exponential moving average of a module's floating-point parameters and buffers, with a warm-up."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay, self.count = decay, 0
        self.values = {k: v.detach().clone() for k, v in module.state_dict().items() if v.is_floating_point()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        state = module.state_dict()
        torch._foreach_lerp_(list(self.values.values()), [state[k] for k in self.values], 1 - decay)


def train(
    module: nn.Module,
    loss_of: Callable[[int], Losses],
    folder: Path,
    course: Course,
    *,
    warmup: int = 200,
    decay: float = 0.999,
    clip: float = 1.0,
    weight_decay: float = 0.0,
    checkpoint_every: int = 500,
    bf16: bool = True,
) -> dict[str, float]:
    """Train ``module`` in place and leave it with its averaged weights.

    Goes on from ``folder`` where a run of the same length stopped there. Of several workers each calls this, and the
    first one keeps checkpoints and log.

    Args:
        loss_of: the losses of one step, given its number; their sum is minimised. Data must depend on the step's
            number and the worker alone, so that a run that was cut in two sees what an unbroken one sees.
        course: its device and start are the caller's matter: ``module`` comes as it is to be trained.

    Returns:
        ``steps``, ``seconds`` of training, and the last value of each loss.
    """
    steps, minutes, lr = course.steps, course.minutes, course.lr
    folder.mkdir(parents=True, exist_ok=True)
    device, first = next(module.parameters()).device, place()[0] == 0
    optimizer = torch.optim.AdamW(module.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=weight_decay)
    average = Average(module, decay)
    start, spent = _resume(folder, module, optimizer, average)
    last: dict[str, float] = {}
    began = time.monotonic() - spent
    with (
        tqdm(total=steps, initial=start, desc=folder.name, unit="step", disable=not first) as bar,
        (folder / "log.jsonl").open("a") as log,
    ):
        for step in range(start, steps):
            seconds = time.monotonic() - began
            done = agree(max(step / steps, seconds / (minutes * 60) if minutes else 0.0))
            if done >= 1:
                break
            rate = lr * min(1.0, (step + 1) / warmup) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))
            for group in optimizer.param_groups:
                group["lr"] = rate
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                losses = loss_of(step)
            total = torch.stack([value.float() for value in losses.values()]).sum()
            optimizer.zero_grad(set_to_none=True)
            total.backward()
            average_gradients(module)
            nn.utils.clip_grad_norm_(module.parameters(), clip)
            optimizer.step()
            average.update(module)
            bar.update()
            if step % 25 == 0 or step == steps - 1 or (step + 1) % checkpoint_every == 0:
                last = {name: round(value.item(), 6) for name, value in losses.items()}
                # Not at every step: looking makes a GPU wait. A loss that is not finite never comes back.
                if not math.isfinite(sum(last.values())):
                    raise FloatingPointError(f"a loss is not finite at step {step}: {last}")
                bar.set_postfix(last)
                if first:
                    line = {"step": step, **last, "lr": rate, "seconds": round(seconds, 1)}
                    log.write(json.dumps(line) + "\n")
                    log.flush()
            if first and (step + 1) % checkpoint_every == 0:
                _save(folder, module, optimizer, average, step + 1, time.monotonic() - began)
            start = step + 1
    seconds = time.monotonic() - began
    if first:
        _save(folder, module, optimizer, average, start, seconds)
    module.load_state_dict(average.values, strict=False)
    return {"steps": start, "seconds": seconds, **last}


def _save(
    folder: Path,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: Average,
    step: int,
    seconds: float,
) -> None:
    state = {"step": step, "seconds": seconds, "count": average.count, "optimizer": optimizer.state_dict()}
    tensors = {f"module.{k}": v.contiguous() for k, v in module.state_dict().items()}
    tensors |= {f"average.{k}": v.contiguous() for k, v in average.values.items()}
    # The loss is looked at now and then; what is kept must be sound all the same.
    if not all(torch.isfinite(v).all() for v in tensors.values() if v.is_floating_point()):
        raise FloatingPointError(f"weights are not finite after step {step}: use a lower rate")
    # Each file is replaced as a whole; the state names the step of both, so a kill in between is seen.
    save_file(tensors, folder / "weights.tmp", metadata={"step": str(step)})
    torch.save(state, folder / "state.tmp")
    (folder / "weights.tmp").replace(folder / f"weights-{step}.safetensors")
    (folder / "state.tmp").replace(folder / "state.pt")
    for old in folder.glob("weights-*.safetensors"):
        if old.name != f"weights-{step}.safetensors":
            old.unlink()


def _resume(
    folder: Path, module: nn.Module, optimizer: torch.optim.Optimizer, average: Average
) -> tuple[int, float]:
    path = folder / "state.pt"
    if not path.exists():
        return 0, 0.0
    state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    tensors = load_file(folder / f"weights-{state['step']}.safetensors")
    module.load_state_dict({k[7:]: v for k, v in tensors.items() if k.startswith("module.")})
    for key in average.values:
        average.values[key].copy_(tensors[f"average.{key}"])
    average.count = state["count"]
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"]), float(state["seconds"])
