"""The weightless score falls with each defect of a natural-looking picture, and says which one it is."""

import cv2
import numpy as np
import pytest
from hummingbird_data.filters.technical import TechnicalStage, measure, weightless_score


@pytest.fixture(scope="module")
def leaves() -> np.ndarray:
    """Overlapping discs of all sizes: the edges of a natural picture, at 640 x 360."""
    rng = np.random.default_rng(0)
    picture = np.zeros((720, 1280, 3), np.uint8)
    for _ in range(6000):
        x, y = int(rng.integers(1280)), int(rng.integers(720))
        color = rng.integers(30, 226, 3).tolist()
        cv2.circle(picture, (x, y), int(np.clip(8 / rng.random(), 8, 200)), color, -1)
    return np.repeat(cv2.resize(picture, (640, 360), interpolation=cv2.INTER_AREA)[None], 2, 0)


def score(frames: np.ndarray) -> float:
    return weightless_score(measure(frames))


def test_a_sharp_clean_picture_passes(leaves: np.ndarray) -> None:
    assert score(leaves) > 0.7


@pytest.mark.parametrize("defect", ["blur", "noise", "blocks", "dark", "bright"])
def test_each_defect_fails(leaves: np.ndarray, defect: str) -> None:
    if defect == "blur":
        poor = np.stack([cv2.GaussianBlur(frame, (0, 0), 5) for frame in leaves])
    elif defect == "noise":
        poor = np.clip(leaves + np.random.default_rng(0).normal(0, 25, leaves.shape), 0, 255).astype(np.uint8)
    elif defect == "blocks":
        coded = [cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 4])[1] for frame in leaves]
        poor = np.stack([cv2.imdecode(frame, cv2.IMREAD_COLOR) for frame in coded])
    elif defect == "dark":
        poor = (leaves * 0.08).astype(np.uint8)
    else:
        poor = np.clip(leaves * 2.0 + 200, 0, 255).astype(np.uint8)
    assert score(poor) < 0.5


def test_noise_is_measured_in_gray_levels(leaves: np.ndarray) -> None:
    flat = np.full((1, 240, 320, 3), 120.0)
    noisy = flat + np.random.default_rng(0).normal(0, 10, (1, 240, 320, 1))
    assert measure(noisy.round().astype(np.uint8))["noise"] == pytest.approx(10, abs=1.5)
    assert measure(leaves)["noise"] < 3


def test_a_picture_of_nothing_fails_for_its_exposure_alone() -> None:
    parts = measure(np.full((1, 120, 160, 3), 100, np.uint8))
    assert (parts["fine"], parts["sharpness"], parts["noise"], parts["contrast"]) == (1.0, 1.0, 0.0, 0.0)
    assert weightless_score(parts) == 0.0


def test_a_sharp_subject_before_a_soft_background_passes_and_softness_sharpened_does_not(
    leaves: np.ndarray,
) -> None:
    soft = np.stack([cv2.GaussianBlur(frame, (0, 0), 6) for frame in leaves])
    portrait = soft.copy()
    portrait[:, 90:250, 240:400] = leaves[:, 90:250, 240:400]  # 11 % of the picture
    assert score(portrait) > 0.5
    small = [cv2.resize(frame, (114, 64), interpolation=cv2.INTER_AREA) for frame in leaves]
    large = np.stack([cv2.resize(frame, (640, 360)) for frame in small]).astype(np.float32)
    sharpened = large + 1.5 * (large - np.stack([cv2.blur(frame, (5, 5)) for frame in large]))
    assert score(np.clip(sharpened, 0, 255).astype(np.uint8)) < 0.5


def test_a_lit_face_before_black_passes(leaves: np.ndarray) -> None:
    y, x = np.mgrid[:360, :640]
    face = np.clip(1.5 - np.hypot(x - 320, y - 180) / 80, 0.03, 1)
    assert score((leaves * face[..., None]).astype(np.uint8)) > 0.5


@pytest.mark.parametrize(
    ("decides", "known", "by"),
    [
        ("auto", 256, "weightless"),
        ("auto", None, "model"),
        ("model", 256, "model"),
        ("weightless", None, "weightless"),
    ],
)
def test_which_score_decides_depends_on_the_setting_and_on_what_the_model_knows(
    leaves: np.ndarray, decides: str, known: int | None, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hummingbird_data.filters.technical.clip_frames", lambda row: (leaves, 24.0))
    stage = TechnicalStage(decides=decides, known=known)  # type: ignore[arg-type]
    (made,) = stage.process({})
    assert made["technical_by"] == by
    assert set(made) == set(stage.outputs)
