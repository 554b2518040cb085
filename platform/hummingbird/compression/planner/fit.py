"""Whether a use fits a GPU, on which GPUs it does, and what to change where it does not."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from hummingbird.compression.planner.memory import Memory, Use

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
    for words, changed in _changes(use):
        needed = estimate(changed).peak
        if needed >= peak:
            continue
        changes.append((words, needed))
        use, peak = changed, needed
        if peak <= room:
            break
    return Verdict(False, smallest, tuple(changes))


def _changes(use: Use) -> Iterator[tuple[str, Use]]:
    """Changes in the order of what they cost, each on top of those before."""

    def step(words: str, **change: object) -> tuple[str, Use]:
        nonlocal use
        use = replace(use, **change)  # type: ignore[arg-type]
        return words, use

    if use.trains and not use.checkpointing:
        yield step("recompute activations (plan.checkpointing=true)", checkpointing=True)
    if use.precision == "fp32":
        yield step("pass in bf16 (plan.precision=bf16)", precision="bf16")
    if use.trains and use.gpus > 1 and use.zero_stage < 2:
        yield step("share out gradients and optimizer (plan.zero_stage=2)", zero_stage=2)
    if use.method != "distill" and use.decoder == "full":
        yield step("the small decoder (plan.decoder=small)", decoder="small")
    while use.batch > 1:
        half = use.batch // 2
        yield step(f"{half} videos a GPU (plan.batch={half}), more steps between updates", batch=half)
    if use.trains and use.gpus > 1 and use.zero_stage < 3:
        yield step("share out the weights too (plan.zero_stage=3; this trainer goes to 2)", zero_stage=3)
    if use.trains:
        for gpus in (use.gpus * 2, use.gpus * 4):
            yield step(f"{gpus} GPUs (plan.gpus={gpus})", gpus=gpus, zero_stage=max(use.zero_stage, 2))
