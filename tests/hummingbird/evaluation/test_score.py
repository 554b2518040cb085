"""The arithmetic of the score, against VBench's published rows."""

import pytest
from hummingbird.evaluation.score import VBENCH_PARTS, Dimension, Score, part_mean, score, total_score
from hummingbird.evaluation.suites.shapes.dimensions import LEFT_OUT, SHAPES
from hummingbird.evaluation.suites.vbench.dimensions import VBENCH

QUALITY = (
    "subject consistency", "background consistency", "temporal flickering", "motion smoothness", "aesthetic quality",
    "imaging quality", "dynamic degree",
)  # fmt: skip


def shapes_score(raw: dict[str, float]) -> Score:
    return score(raw, SHAPES, VBENCH_PARTS)


@pytest.mark.parametrize(
    ("percent", "quality"),
    [
        ((96.85, 98.22, 98.41, 97.73, 63.13, 67.22, 42.50), 82.20),  # VideoCrafter2
        ((95.87, 96.77, 95.24, 96.14, 68.04, 71.04, 79.17), 83.73),  # AMD-Hummingbird, 16 frames
    ],
)
def test_published_rows_give_the_published_quality(percent: tuple[float, ...], quality: float) -> None:
    raw = {name: value / 100 for name, value in zip(QUALITY, percent, strict=True)}
    result = score(raw, VBENCH, VBENCH_PARTS)
    assert 100 * result.parts["quality"] == pytest.approx(quality, abs=0.01)
    # Nine dimensions are missing: the other part and the total are not guessed.
    assert set(result.parts) == {"quality"}
    assert result.total is None


def test_a_published_row_of_all_dimensions_gives_its_semantic_part_and_its_total() -> None:
    # VideoCrafter2. The seven of quality are published; the nine others were not looked up in VBench's table, but give
    # the published total.
    percent = (96.85, 98.22, 98.41, 97.73, 63.13, 67.22, 42.50, 92.55, 40.66, 95.00, 92.92, 35.86, 55.29, 25.13, 25.84,
               28.23)  # fmt: skip
    names = (*QUALITY, *(d.name for d in VBENCH if d.part == "semantic"))
    raw = {name: value / 100 for name, value in zip(names, percent, strict=True)}
    result = score(raw, VBENCH, VBENCH_PARTS)
    assert result.total is not None
    assert 100 * result.parts["semantic"] == pytest.approx(73.42, abs=0.01)
    assert 100 * result.total == pytest.approx(80.44, abs=0.01)


def test_the_total_weighs_quality_four_times() -> None:
    # VideoCrafter2's published total and quality leave this for its semantic part.
    assert 100 * total_score({"quality": 0.8220, "semantic": 0.7340}) == pytest.approx(80.44, abs=0.01)


def test_the_worst_and_the_best_of_all_dimensions_are_0_and_1() -> None:
    for table in (VBENCH, SHAPES):
        nothing, everything = (
            score({d.name: getattr(d, bound) for d in table}, table, VBENCH_PARTS)
            for bound in ("minimum", "maximum")
        )
        assert (nothing.total, nothing.parts) == (0, {"quality": 0, "semantic": 0})
        assert everything.total == pytest.approx(1)


def test_weights_and_parts_of_the_shapes_table_are_vbenchs() -> None:
    published = {d.name: (d.weight, d.part) for d in VBENCH}
    for dimension in SHAPES:
        name = "human action" if dimension.name == "motion" else dimension.name
        assert (dimension.weight, dimension.part) == published[name]
    assert set(published) - {d.name for d in SHAPES} == set(LEFT_OUT)


def test_averages_beyond_the_bounds_are_clipped() -> None:
    flicker = next(d for d in SHAPES if d.name == "temporal flickering")
    assert flicker.normalize(0.0) == 0
    assert flicker.normalize(2.0) == 1


def test_a_missing_dimension_leaves_its_part_and_the_total_out() -> None:
    raw = {d.name: 0.9 for d in SHAPES if d.name != "color"}
    result = shapes_score(raw)
    assert (set(result.parts), result.total) == ({"quality"}, None)
    assert "color" not in result.dimensions
    with pytest.raises(ValueError, match="semantic cannot be computed without color"):
        part_mean(result.dimensions, SHAPES, "semantic")


def test_an_unknown_dimension_is_an_error() -> None:
    with pytest.raises(ValueError, match="aesthetic quality"):
        shapes_score({"aesthetic quality": 0.5})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1.7, -0.1])
def test_a_value_out_of_range_names_video_and_dimension(value: float) -> None:
    dimension = Dimension("color", 0.0, 1.0, 1.0, "semantic")
    with pytest.raises(ValueError, match=r"teacher, video 0007: color is"):
        dimension.check(value, "teacher, video 0007")
    dimension.check(1.0, "teacher, video 0007")
