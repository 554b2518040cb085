"""The weightless score falls down ladders of blur, enlargement, noise, compression and exposure of real clips."""

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hummingbird_data.filters.technical import measure, weightless_score
from labeled_text import footage, read, write

SHARED = Path(__file__).resolve().parents[4] / "shared"
CLIPS = {
    "landscape": ("landscape.mp4", 0.5, 1.0),
    "film": ("sintel_10s.mp4", 7.5, 8.0),
    "face": ("sample_missing_stsd.mp4", 0.2, 0.7),
}
RISE = (
    0.2  # by so much a step may rise, far below the threshold: what is spoiled for good is told apart badly
)
STEPS = {
    "blur": (1, 2, 4, 7),  # standard deviation, in pixels of a picture of 360 lines
    "enlarged": (200, 128, 90, 64),  # lines that the picture had
    "sharpened": (128, 90, 64),  # the same, sharpened afterwards
    "noise": (20, 35, 60),  # standard deviation in gray levels
    "compression": (28, 36, 44, 51),  # x264's crf
    "bright": (2, 3, 4.5),  # times the light
    "dark": (0.25, 0.12, 0.06),
}


@pytest.fixture(scope="module")
def videos() -> Path:
    if SHARED.exists():
        assert (SHARED / "videos" / "landscape.mp4").exists(), f"{SHARED} lies there without its videos"
    else:
        pytest.skip("the real footage (../shared/videos) does not lie beside the checkout")
    return SHARED / "videos"


def spoiled(frame: np.ndarray, kind: str, step: float) -> np.ndarray:
    height, width = frame.shape[:2]
    if kind == "blur":
        return cv2.GaussianBlur(frame, (0, 0), step * min(height, width) / 360)
    if kind in ("enlarged", "sharpened"):
        small = cv2.resize(frame, (round(width * step / height), int(step)), interpolation=cv2.INTER_AREA)
        made = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).astype(float)
        made = made + 1.5 * (made - cv2.blur(made, (5, 5))) if kind == "sharpened" else made
    elif kind == "noise":
        made = frame + np.random.default_rng(0).normal(0, step, frame.shape)
    else:
        made = frame * step
    return np.clip(made, 0, 255).round().astype(np.uint8)


def score(path: Path, frames: list[np.ndarray], crf: int) -> float:
    write(path, iter(frames), crf)
    return weightless_score(measure(read(path)[[2, 6, 10]]))


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize("clip", CLIPS)
def test_the_score_falls_down_a_ladder(videos: Path, tmp_path: Path, clip: str, kind: str) -> None:
    if (clip, kind) == ("film", "bright"):
        pytest.skip("the dark film is not over-exposed by it")
    frames = footage(videos, *CLIPS[clip])
    scores = [score(tmp_path / "sound.mp4", frames, 18)]
    for step in STEPS[kind]:
        made = frames if kind == "compression" else [spoiled(frame, kind, step) for frame in frames]
        scores.append(score(tmp_path / "step.mp4", made, int(step) if kind == "compression" else 18))
    assert scores[0] > 0.5
    assert scores[-1] < 0.5, scores
    assert max(np.diff(scores)) <= RISE, scores
    assert all(later < 0.5 for earlier, later in pairwise(scores) if later > earlier + 0.05), scores
