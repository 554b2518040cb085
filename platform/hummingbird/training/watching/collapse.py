"""Whether a student's videos have collapsed, beside its teacher's of the same prompts and seeds.

Everything is relative to the teacher's videos: what is grey, still or white by its nature stays so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor

GREY = 0.3  # of the teacher's contrast
NOISE, NOISE_LEAST = 3.0, 0.05  # of the teacher's fine detail, and at least this, of the contrast range
FROZEN, MOVES = 0.1, 0.002  # of the teacher's change between frames, if that is at least so much
SATURATED = 0.35  # share of values at an end of the range, beyond the teacher's
ALIKE = 0.25  # of the distance of the teacher's videos from each other
FAR = 0.2  # mean distance of the sorted values, of the range
_END = 0.01
_GRID = 8
_POOL = 4096


@dataclass(frozen=True)
class Look:
    """What is measured of videos, all in the range 0..1 of pixels.

    Attributes:
        contrast: standard deviation within a frame.
        detail: what a blur over 3 pixels takes away, on average.
        motion: change from frame to frame.
        ends: share of values at 0 or 1.
        spread: mean distance of two videos, coarsely; none of one video.
        values: sorted values of each color (3, N).
    """

    contrast: float
    detail: float
    motion: float
    ends: float
    spread: float | None
    values: Tensor

    @classmethod
    def at(cls, videos: Tensor) -> "Look":
        """At videos (N, T, 3, H, W) in 0..1."""
        videos = videos.detach().float().cpu()
        frames = videos.flatten(0, 1)
        blurred = F.avg_pool2d(F.pad(frames, (1, 1, 1, 1), mode="replicate"), 3, 1)
        coarse = F.adaptive_avg_pool2d(videos.mean(1), _GRID)
        distances = [float((a - b).abs().mean()) for a, b in combinations(coarse, 2)]
        values = frames.transpose(0, 1).flatten(1).sort(1).values
        at = torch.linspace(0, values.shape[1] - 1, min(_POOL, values.shape[1])).long()
        return cls(
            contrast=float(frames.std((2, 3)).mean()),
            detail=float((frames - blurred).abs().mean()),
            motion=float((videos[:, 1:] - videos[:, :-1]).abs().mean()) if videos.shape[1] > 1 else 0.0,
            ends=float(((videos <= _END) | (videos >= 1 - _END)).float().mean()),
            spread=sum(distances) / len(distances) if distances else None,
            values=values[:, at],
        )


def collapses(student: Tensor, teacher: Tensor) -> dict[str, str]:
    """What has collapsed in the student's videos (N, T, 3, H, W) in 0..1, beside the teacher's, and how it is seen; {}
    where nothing has."""
    ours, theirs = Look.at(student), Look.at(teacher)
    found = {}
    if ours.contrast < GREY * theirs.contrast:
        found["grey"] = f"contrast {ours.contrast:.3f}, the teacher's {theirs.contrast:.3f}"
    if ours.detail > max(NOISE * theirs.detail, NOISE_LEAST):
        found["noise"] = f"fine detail {ours.detail:.3f}, the teacher's {theirs.detail:.3f}"
    if theirs.motion >= MOVES and ours.motion < FROZEN * theirs.motion:
        found["frozen"] = f"change between frames {ours.motion:.4f}, the teacher's {theirs.motion:.4f}"
    if ours.ends > theirs.ends + SATURATED:
        found["saturated"] = (
            f"{ours.ends:.0%} of the values are at an end, of the teacher's {theirs.ends:.0%}"
        )
    if ours.spread is not None and theirs.spread is not None and ours.spread < ALIKE * theirs.spread:
        found["all alike"] = f"distance of videos {ours.spread:.3f}, of the teacher's {theirs.spread:.3f}"
    if ours.values.shape == theirs.values.shape:
        far = float((ours.values - theirs.values).abs().mean())
        if far > FAR:
            found["far from the teacher"] = f"its values differ by {far:.2f}"
    return found


class CollapseDetector:
    """Tells collapses once they are new: a student that has just been pruned may be grey until it has learned.

    Args:
        known: what was seen at the looks before, from the first.
    """

    def __init__(self, known: Sequence[Sequence[str]] = ()) -> None:
        self._good: set[str] = set()
        self._looks = 0
        for kinds in known:
            self._note(kinds)

    def see(self, found: dict[str, str], last_half: bool) -> list[str]:
        """What is to be said of what was found now.

        Args:
            last_half: whether half of the training is done: from then on nothing is excused by the beginning.
        """
        told = [kind for kind in found if (kind in self._good or last_half) and self._looks]
        self._note(tuple(found))
        return [f"the videos are {kind}: {found[kind]}" for kind in told]

    def _note(self, kinds: Sequence[str]) -> None:
        self._looks += 1
        self._good |= {
            kind
            for kind in ("grey", "noise", "frozen", "saturated", "all alike", "far from the teacher")
            if kind not in kinds
        }
