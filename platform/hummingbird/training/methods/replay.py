"""A memory of what was costly to make, so that several training steps learn from it."""

from collections import deque
from collections.abc import Callable

import torch

from hummingbird.training.latent_cache import Batch


class Memory:
    """Every ``uses``-th batch is made anew; those between are rows of the last made ones, drawn at random.

    It is in no checkpoint: a resumed run fills it anew.

    Args:
        uses: how often a row is used on average; 1: every batch is new, and nothing is kept.
        capacity: batches that are kept.
    """

    def __init__(self, uses: int, capacity: int) -> None:
        self._uses, self._turn = uses, 0
        self._kept: deque[Batch] = deque(maxlen=capacity)

    def recall(self, make: Callable[[], Batch], generator: torch.Generator) -> Batch:
        """The next batch; all of ``make``'s have the same number of rows."""
        turn, self._turn = self._turn, (self._turn + 1) % self._uses
        if turn == 0:
            batch = make()
            if self._uses > 1:
                self._kept.append(batch)
            return batch
        count = len(self._kept[0]["x"])
        drawn = torch.randint(
            count * len(self._kept), (count,), generator=generator, device=generator.device
        ).tolist()
        return {
            name: torch.stack([self._kept[at // count][name][at % count] for at in drawn])
            for name in self._kept[0]
        }
