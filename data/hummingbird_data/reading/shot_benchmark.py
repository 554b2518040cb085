"""Precision and recall of the engines for shots.

    python -m hummingbird_data.reading.shot_benchmark FOLDER TRUTH [ENGINE ...]

FOLDER holds videos; TRUTH is a JSON file of their cuts in seconds, as people see them (`{"a.mp4": [4.2, 7.1]}`; files
that it does not name are left out). Dissolves and wipes are drawn between the first pictures of their long takes, so
that their bounds are known exactly.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hummingbird_data.reading.decode import decode
from hummingbird_data.reading.probe import Limits, probe
from hummingbird_data.reading.shots import ShotSettings, find_shots

Frames = NDArray[np.uint8]
Timed = list[tuple[float, Frames]]

_SIDE = 72  # pixels, as curation reads for shots
_NEAR = 0.15  # seconds that a cut may be off
_LENGTHS = (8, 15, 25, 38, 50)  # mixed pictures, 25 a second
_BESIDE = 25  # pictures of either take before and behind them
_SIZE = (128, 72)


def cuts_of(shots: list[tuple[int, int]], times: list[float]) -> list[float]:
    """Where shots end and the next begin, in seconds; of what lies between two, the middle."""
    return [(times[a[1]] + times[b[0]]) / 2 for a, b in pairwise(shots)]


def count(found: list[float], true: list[float]) -> Counter[str]:
    """Cuts that are right, missed and false; each counts once."""
    left, right = list(found), 0
    for cut in true:
        near = [one for one in left if abs(one - cut) <= _NEAR]
        if near:
            left.remove(min(near, key=lambda one: abs(one - cut)))
            right += 1
    return Counter(right=right, missed=len(true) - right, false=len(left))


def drawn(takes: list[list[Frames]]) -> Iterator[tuple[str, list[Frames], int, int]]:
    """Kind, pictures, first mixed picture and the one after the last, of transitions between neighboring takes."""
    for length in _LENGTHS:
        enough = [take for take in takes if len(take) >= length + _BESIDE]
        for a, b in zip(enough, [*enough[1:], *enough[:1]], strict=True):
            if a is b:
                continue
            for kind in ("dissolve", "wipe"):
                a_side, b_side = a[: length + _BESIDE], b[: length + _BESIDE]
                mixed = [
                    _mixed(kind, x, y, (k + 1) / (length + 1))
                    for k, (x, y) in enumerate(zip(a_side[_BESIDE:], b_side[:length], strict=True))
                ]
                yield kind, [*a_side[:_BESIDE], *mixed, *b_side[length:]], _BESIDE, _BESIDE + length


def _mixed(kind: str, a: Frames, b: Frames, share: float) -> Frames:
    if kind == "dissolve":
        return np.asarray(np.round(a * (1 - share) + b * share), np.uint8)
    edge = round(share * a.shape[1])
    return np.concatenate([b[:, :edge], a[:, edge:]], 1)


def run(folder: Path, truth: Path, settings: ShotSettings) -> dict[str, Counter[str]]:
    """Counts by kind. Of a drawn transition, `right` is one cut and no shot with both takes in it."""
    true = {n: cuts for n, cuts in json.loads(truth.read_text(encoding="utf-8")).items() if n != "about"}
    counts: dict[str, Counter[str]] = {"cuts": Counter(), "dissolve": Counter(), "wipe": Counter()}
    takes = []
    for name, cuts in sorted(true.items()):
        path = folder / name
        info = probe(path, Limits())
        pictures: Timed = [(f.time, f.rgb) for f in decode(path, info, Limits(), _SIDE)]
        times = [time for time, _ in pictures]
        counts["cuts"] += count(cuts_of(find_shots(iter(pictures), settings), times), cuts)
        for start, end in zip([times[0], *cuts], [*cuts, times[-1] + 1], strict=True):
            take = [cv2.resize(rgb, _SIZE) for time, rgb in pictures if start <= time < end]
            if len(take) >= _LENGTHS[0] + _BESIDE and take[len(take) // 2].std() > 10:
                takes.append([np.asarray(rgb, np.uint8) for rgb in take])
    for kind, frames, first, stop in drawn(takes):
        found = find_shots(((number / 25, frame) for number, frame in enumerate(frames)), settings)
        # One picture of either end may stay: it shows a few percent of the other take.
        whole = all(b <= first + 1 or a >= stop - 1 for a, b in found)
        right = whole and len(found) == 2
        counts[kind] += Counter(right=int(right), missed=int(not whole), false=max(0, len(found) - 2))
    return counts


def main(arguments: list[str]) -> None:
    """Prints one line for each engine and kind."""
    if len(arguments) < 2:
        raise SystemExit("usage: python -m hummingbird_data.reading.shot_benchmark FOLDER TRUTH [ENGINE ...]")
    cv2.setNumThreads(1)
    folder, truth, *engines = arguments
    print("engine, kind: right, missed, false; precision, recall")
    for engine in engines or ["scenedetect"]:
        if engine not in ("scenedetect", "transnet"):
            raise SystemExit(f"engine {engine} is neither scenedetect nor transnet")
        for kind, n in run(Path(folder), Path(truth), ShotSettings(engine=engine)).items():  # type: ignore[arg-type]
            precision, recall = (n["right"] / max(1, n["right"] + n[other]) for other in ("false", "missed"))
            numbers = f"{n['right']}, {n['missed']}, {n['false']}; {precision:.3f}, {recall:.3f}"
            print(f"{engine}, {kind}: {numbers}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
