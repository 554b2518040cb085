"""Whether a use fits a GPU, on which GPUs it does, and what to change where it does not."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from hummingbird.pruning.planner.memory_use import Memory, Use

GIB = 2**30
USABLE = 0.92
"""Share of a GPU's memory that tensors get: the rest is the driver's, the libraries', and lost between blocks."""

SIZES = (16, 24, 32, 40, 48, 64, 80, 96, 141, 192)
"""GiB of GPUs that are sold: 24 (RTX 4090), 64 (one die of an MI250), 80 (H100), 141 (H200), 192 (MI300X)."""

Estimate = Callable[[Use], Memory]


@dataclass(frozen=True)
class Verdict:
    """Attributes:
    fits: whether the use as it is fits.
    smallest: GiB of the smallest usual GPU that it fits on; None: on none.
    changes: what to change where it does not fit, each with the peak in bytes that is then needed; the last
        one is enough, or else says that nothing here is.
    """

    fits: bool
    smallest: int | None
    changes: tuple[tuple[str, int], ...] = ()


def verdict(use: Use, estimate: Estimate, gpu_memory: float) -> Verdict:
    """Tries the changes that cost least, one upon the other, until the use fits.

    Args:
        gpu_memory: of one GPU, in GiB.
    """
    room = gpu_memory * GIB * USABLE
    peak = estimate(use).peak
    smallest = next((size for size in SIZES if peak <= size * GIB * USABLE), None)
    if peak <= room:
        return Verdict(True, smallest)
    changes = []
    for words, change in _changes(use):
        changed = replace(use, **change)
        needed = estimate(changed).peak
        if needed >= peak:
            continue
        changes.append((words, needed))
        use, peak = changed, needed
        if peak <= room:
            break
    return Verdict(False, smallest, tuple(changes))


def _changes(use: Use) -> Iterator[tuple[str, dict[str, Any]]]:
    """Changes of a use, in the order of what they cost."""
    if use.trains and not use.checkpointing:
        yield "recompute activations (plan.gradient_checkpointing=true)", {"checkpointing": True}
    if use.precision == "fp32":
        yield "pass in bf16 (plan.mixed_precision=bf16)", {"precision": "bf16"}
    if use.trains and use.gpus > 1 and use.zero_stage < 2:
        yield "share out gradients and optimizer (plan.zero_stage=2)", {"zero_stage": 2}
    if use.decoder == "full":
        yield "the small decoder (plan.decoder=small)", {"decoder": "small"}
    batch = use.batch
    while batch > 1:
        batch //= 2
        yield f"{batch} videos a GPU (plan.batch_size={batch}), more steps between updates", {"batch": batch}
    if use.trains and use.gpus > 1 and use.zero_stage < 3:
        words = "share out the weights too (plan.zero_stage=3)"
        yield words, {"zero_stage": 3}
    if use.trains and not use.offload and use.zero_stage:
        yield "the optimizer in the machine's memory (training.offload_optimizer=true)", {"offload": True}
    if use.trains:
        # One GPU has nobody to share with: with more, gradients and optimizer are shared out.
        shared = {"zero_stage": max(use.zero_stage, 2)} if use.gpus == 1 else {}
        for gpus in (use.gpus * 2, use.gpus * 4):
            yield f"{gpus} GPUs (plan.gpus={gpus})", {"gpus": gpus, **shared}
