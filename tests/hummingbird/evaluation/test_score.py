"""The arithmetic of the score, against VBench's published rows."""

import pytest
from hummingbird.evaluation.score import LEFT_OUT, SHAPES, VBENCH, Score, part_mean, score, total

QUALITY = tuple(d.name for d in VBENCH if d.part == "quality")


@pytest.mark.parametrize(
    ("percent", "quality"),
    [
        ((96.85, 98.22, 98.41, 97.73, 63.13, 67.22, 42.50), 82.20),  # VideoCrafter2
        ((95.87, 96.77, 95.24, 96.14, 68.04, 71.04, 79.17), 83.73),  # AMD-Hummingbird, 16 frames
    ],
)
def test_published_rows_give_the_published_quality(percent: tuple[float, ...], quality: float) -> None:
    table = {d.name: d for d in VBENCH}
    normalised = {n: table[n].normalise(v / 100) for n, v in zip(QUALITY, percent, strict=True)}
    assert 100 * part_mean(normalised, VBENCH, "quality") == pytest.approx(quality, abs=0.005)


def test_the_total_weighs_quality_four_times() -> None:
    # VideoCrafter2's published total and quality leave this for its semantic part.
    assert 100 * total(0.8220, 0.7340) == pytest.approx(80.44, abs=0.005)


def test_weights_and_parts_are_vbenchs() -> None:
    published = {d.name: (d.weight, d.part) for d in VBENCH}
    for dimension in SHAPES:
        name = "human action" if dimension.name == "motion" else dimension.name
        assert (dimension.weight, dimension.part) == published[name]
    kept = {d.name for d in SHAPES}
    assert set(published) - kept == set(LEFT_OUT)


def test_bounds_are_worth_none_and_all() -> None:
    nothing, everything = (score({d.name: getattr(d, b) for d in SHAPES}) for b in ("minimum", "maximum"))
    assert isinstance(nothing, Score)
    assert (nothing.quality, nothing.semantic, nothing.total) == (0, 0, 0)
    assert everything.total == pytest.approx(1)


def test_values_beyond_the_bounds_are_clipped() -> None:
    flicker = next(d for d in SHAPES if d.name == "temporal flickering")
    assert flicker.normalise(0.0) == 0
    assert flicker.normalise(2.0) == 1


@pytest.mark.parametrize("change", ["missing", "unknown"])
def test_a_missing_or_unknown_dimension_is_an_error(change: str) -> None:
    raw = {d.name: 0.9 for d in SHAPES}
    if change == "missing":
        del raw["color"]
    else:
        raw["aesthetic quality"] = 0.5
    with pytest.raises(ValueError, match=r"color|aesthetic quality"):
        score(raw)
