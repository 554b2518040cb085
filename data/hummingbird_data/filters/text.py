"""Share of a clip, in time and picture, under overlaid text: subtitles, titles, tickers, logos, watermarks.

A text detector looks at two pictures a second (`hummingbird_data.filters.text_detector`). What each line does between
that picture and the next ones says whether it lies over the picture or in its scene
(`hummingbird_data.filters.text_motion`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from hummingbird.config.curate import CurateSettings
from hummingbird.config.settings import Settings as SettingsTree

from hummingbird_data.filters.base import Filter, Threshold
from hummingbird_data.filters.text_detector import TextLine, text_lines
from hummingbird_data.filters.text_motion import Fate, Pair
from hummingbird_data.reading.clip_frames import Frames, clip_frames
from hummingbird_data.stage import Row, Stage

_RATE = 2.0  # pictures a second that are looked at
_FEWEST, _MOST = 4, 10  # of a clip
_SOON = 0.2  # seconds to the nearer picture that motion is measured to; the farther one is the next looked at
_AT_ONCE = 0.08  # seconds: for words that are gone, or far away, so soon


@dataclass
class TextStage(Stage):
    """``sides``: shorter sides, in pixels, that frames are looked at (none is enlarged beyond the first);
    ``probability``: of a pixel to be text."""

    name: ClassVar[str] = "text"
    inputs: ClassVar[tuple[str, ...]] = ("media_path", "storage")
    outputs: ClassVar[tuple[str, ...]] = ("text_share",)
    sides: tuple[int, ...] = (128, 320)
    probability: float = 0.4

    def process(self, row: Row) -> Iterable[Row]:
        frames, fps = clip_frames(row)
        return [{"text_share": round(text_share(frames, fps, self.sides, self.probability), 6)}]


def text_share(frames: Frames, fps: float, sides: tuple[int, ...], probability: float) -> float:
    """Share (0..1) of time and picture in lines of overlaid text, of all ``frames``, uint8 RGB (T, H, W, 3).

    Ten per cent of the picture for half of the time are 0.05.
    """
    looked = samples(len(frames), fps)
    soon, at_once = (max(1, round(seconds * fps)) for seconds in (_SOON, _AT_ONCE))
    covered = []
    for place, index in enumerate(looked):
        lines = text_lines(frames[index], sides, probability)
        mask = np.zeros(frames.shape[1:3], bool)
        if lines:
            # Before the last picture time is looked at backwards.
            later = looked[place + 1] if place + 1 < len(looked) else looked[max(0, place - 1)]
            nearer = index + soon if index + soon < len(frames) else max(0, index - soon)
            pairs = [
                Pair.of(frames[index], frames[other], lines) for other in (nearer, later) if other != index
            ]
            fates = [[pair.fate(line, lines) for pair in pairs] for line in lines]
            if any(set(own) == {"lost"} for own in fates):
                other = index + at_once if index + at_once < len(frames) else max(0, index - at_once)
                pair = Pair.of(frames[index], frames[other], lines)
                fates = [
                    [pair.fate(line, lines)] if set(own) == {"lost"} else own
                    for line, own in zip(lines, fates, strict=True)
                ]
            for line, own in zip(lines, fates, strict=True):
                # What is seen at both sizes has two boxes; the closer one shows better what is right beside it.
                closer = [f for other, f in zip(lines, fates, strict=True) if line.holds(other)]
                if _overlaid(line, own) and not any("scene" in f for f in closer):
                    mask[line.box] = True
        covered.append(mask.mean())
    return float(np.mean(covered))


def samples(total: int, fps: float) -> list[int]:
    """Which of ``total`` frames are looked at: the middles of equal parts of the clip."""
    count = min(total, int(np.clip(round(total / fps * _RATE), _FEWEST, _MOST)))
    return [int((part + 0.5) * total / count) for part in range(count)]


def _overlaid(line: TextLine, fates: list[Fate]) -> bool:
    if "scene" in fates:
        return False
    if line.long:
        return "stays" in fates or "alone" in fates
    # Things side by side may be taken for a short word; they do not stay for long, and move by themselves.
    return "stays" in fates and "alone" not in fates


class TextFilter(Filter):
    """Overlaid text."""

    Settings = CurateSettings
    reason = "text"
    scores: ClassVar = {"text_share": "text"}
    threshold = Threshold("max_text", "text_share", "above")

    def stages(self, settings: SettingsTree) -> list[Stage]:
        return [TextStage()]
