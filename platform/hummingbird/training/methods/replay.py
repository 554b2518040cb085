"""A replay buffer of what was costly to compute, so that several training steps learn from it."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import torch

from hummingbird.training.latent_cache import Batch


class ReplayBuffer:
    """Every ``uses``-th batch is new; those between are rows of the last new ones, drawn at random.

    Args:
        uses: how often a row is used on average; 1: every batch is new, and nothing is stored.
        capacity: batches that are stored.
    """

    def __init__(self, uses: int, capacity: int) -> None:
        self._uses, self._turn = uses, 0
        self._batches: deque[Batch] = deque(maxlen=capacity)

    def next(self, compute: Callable[[], Batch], generator: torch.Generator) -> Batch:
        """The next batch. All of ``compute``'s have the same number of rows; those of one size are drawn together.

        Args:
            compute: makes a new batch: tensors and lists, a row a sample.
            generator: on the CPU.
        """
        turn, self._turn = self._turn, (self._turn + 1) % self._uses
        if turn == 0:
            batch = compute()
            if self._uses > 1:
                self._batches.append(batch)
            return batch
        count = len(self._batches[0]["x"])
        drawn = torch.randint(count * len(self._batches), (count,), generator=generator).tolist()
        # The first that is drawn says of which size the batch is, so that sizes have their shares.
        size = self._batches[drawn[0] // count]["x"].shape
        alike = [batch for batch in self._batches if batch["x"].shape == size]
        return {
            name: _stacked([alike[at // count % len(alike)][name][at % count] for at in drawn])
            for name in alike[0]
        }

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"turn": self._turn, "batches": list(self._batches)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restores `state`."""
        self._turn = state["turn"]
        self._batches.clear()
        self._batches.extend(state["batches"])


def _stacked(rows: list[Any]) -> Any:
    return torch.stack(rows) if isinstance(rows[0], torch.Tensor) else rows
