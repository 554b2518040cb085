"""Quality against time: which points nothing beats, what is matched, what is drawn."""

from typing import Any

from hummingbird.evaluation.intervals import Interval
from hummingbird.reports.frontier import frontier_part, frontier_rows
from hummingbird.reports.report_data import Frontier, FrontierPoint
from hummingbird.reports.score_charts import frontier_chart


def point(name: str, seconds: float, quality: float) -> FrontierPoint:
    interval = Interval(quality, quality - 0.02, quality + 0.02)
    return FrontierPoint(name, name, seconds, interval, "fp32", 0.4, 1.0, "denoising")


def row(seconds: float, **changed: Any) -> dict[str, Any]:
    return {
        "seconds": seconds, "parts": {"text": 0.0, "denoising": 0.9 * seconds, "decoding": 0.1 * seconds, "mp4": 0.0},
        "precision": "fp32", "mfu": 0.3, "denoising_mfu": 0.33, "peak_gib": 0.2, "mode": "compiled", "batch_size": 1,
        "num_inference_steps": 4, "decoder": "small", "guidance_scale": 7.5, "weights_hash": "abc", **changed,
    }  # fmt: skip


def evaluated(**changed: Any) -> dict[str, Any]:
    def interval(value: float) -> dict[str, float]:
        return {"value": value, "low": value - 0.01, "high": value + 0.01}

    stamp = {"num_inference_steps": 4, "decoder": "small", "guidance_scale": 7.5, "precisions": ["fp32"]}
    return {
        "metrics": {
            "models": {
                "teacher": {"total": interval(0.8), "parts": {"quality": interval(0.9)}},
                "student": {"total": interval(0.7), "parts": {"quality": interval(0.85)}},
            },
            "suite": {"parts": {"quality": 4.0}},
            "speed": {"rows": {"teacher": row(60.0, mode="eager"), "student": row(2.0, mode="eager")}, "device": "cpu"},
            "stamps": {
                "teacher": {**stamp, "weights_hash": "xyz", "num_inference_steps": 50},
                "student": {**stamp, "weights_hash": "abc"},
            },
            **changed,
        }
    }  # fmt: skip


def test_a_point_that_another_beats_is_not_on_the_frontier() -> None:
    points = (point("slow", 50, 0.9), point("worse", 60, 0.8), point("fast", 1, 0.7), point("equal", 1, 0.65))
    frontier = Frontier(points, "total", "cpu")
    assert [p.name for p in frontier.undominated] == ["fast", "slow"]
    assert [(p.name, best) for p, best in frontier_rows(frontier)] == [
        ("fast", True), ("equal", False), ("slow", True), ("worse", False),
    ]  # fmt: skip
    twins = Frontier((point("a", 1, 0.5), point("b", 1, 0.5)), "total", "cpu")
    assert len(twins.undominated) == 2


def test_a_benchmarks_rows_join_where_weights_and_sampling_are_those_that_were_scored() -> None:
    timings = {
        "same": row(0.5),
        "other weights": row(0.4, weights_hash="other"),
        "other steps": row(0.3, num_inference_steps=2),
        "other precision": row(0.2, precision="bf16"),
        "timed already": row(1.9, mode="eager"),
    }
    benchmarked = {"metrics": {"timings": timings, "device": "cpu"}}
    frontier = frontier_part(evaluated(), benchmarked)
    assert frontier is not None
    assert [p.name for p in frontier.points] == ["teacher", "student", "student, compiled, fp32"]
    assert frontier.points[2].quality.value == 0.7
    assert "33% of the matrix rate: how its code runs" in frontier.points[2].limit
    elsewhere = {"metrics": {"timings": timings, "device": "another"}}
    assert len(frontier_part(evaluated(), elsewhere).points) == 2  # type: ignore[union-attr]


def test_without_times_or_a_common_score_there_is_no_frontier() -> None:
    assert frontier_part(evaluated(speed={})) is None
    models = {name: {"total": None, "parts": {}} for name in ("teacher", "student")}
    assert frontier_part(evaluated(models=models)) is None
    parts = evaluated()
    for model in parts["metrics"]["models"].values():
        model["total"] = None
    assert frontier_part(parts).measure == "quality"  # type: ignore[union-attr]


def test_one_point_and_many_can_be_drawn() -> None:
    for count in (1, 2, 12):
        points = tuple(point(f"<m{i}>", 1.0 + (i % 3), 0.5) for i in range(count))
        drawn = str(frontier_chart(Frontier(points, "total", "cpu")))
        assert drawn.count("<circle") == count
        assert "nan" not in drawn
        assert "<m0>" not in drawn
