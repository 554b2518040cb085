"""What the tests of evaluation share: a report with every part filled by drawn scenes."""

import io
import math
from collections.abc import Callable

import numpy as np
import pytest
from hummingbird.evaluation.intervals import Interval
from hummingbird.evaluation.score import VBENCH_PARTS
from hummingbird.evaluation.suites.shapes.dimensions import LEFT_OUT, SHAPES
from hummingbird.models.video import write_mp4
from hummingbird.reports.embed import strip_uris, video_uri
from hummingbird.reports.report_data import (
    CaptionChange,
    Captions,
    Curation,
    Curve,
    Failure,
    Frontier,
    FrontierPoint,
    GridVideo,
    Headline,
    LineageNode,
    PlanBlock,
    PlanPicture,
    PlanStage,
    ReportData,
    RunRow,
    Scores,
    Speed,
    SpeedBar,
    Strip,
    VideoGrid,
    VideoRow,
)
from hummingbird.shapes.scene import Scene, caption, render_clip, sample_scene
from numpy.typing import NDArray

MODELS = ("teacher", "pruned", "distilled", "feedback")
REASONS = {
    "technical_quality": 31,
    "duplicate": 12,
    "static": 9,
    "text": 8,
    "flicker": 7,
    "zoom": 6,
    "too_short": 4,
}
PARTS = {"text": 0.02, "denoising": 9.6, "decoding": 0.21, "mp4": 0.02}


def mp4(frames: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    write_mp4(frames, 8, out)
    return out.getvalue()


@pytest.fixture(scope="session")
def example_report() -> ReportData:
    return make_example()


@pytest.fixture(scope="session")
def mp4_bytes() -> Callable[[NDArray[np.uint8]], bytes]:
    """Encodes frames."""
    return mp4


def make_example() -> ReportData:
    rng = np.random.default_rng(3)
    scenes = [sample_scene(rng) for _ in range(12)]
    clips = [render_clip(scene, size=128) for scene in scenes]
    facts = (("quality", "0.71"), ("motion", "1.24"))
    strips = [
        Strip(strip_uris(clip), f"file_{i:03d}.mp4", caption(scenes[i]), facts)
        for i, clip in enumerate(clips)
    ]
    steps = tuple(float(s) for s in range(0, 400, 2))
    loss = tuple(0.4 * math.exp(-s / 90) + 0.02 + float(rng.uniform(0, 0.02)) for s in steps)
    reward = tuple(0.2 + 0.4 * (1 - math.exp(-s / 150)) + float(rng.normal(0, 0.03)) for s in steps)
    poor = ((1, "nice video #shorts"), (2, "a green thing"), (3, ""), (4, "IMG_2041"))
    return ReportData(
        title="From raw video to a small, fast model",
        subtitle="One run of the line on the shapes world: curated, pruned, distilled, given feedback, "
        "compiled, and measured against its teacher.",
        created="Written 22 November 2026 by hummingbird 0.1.0 on AMD EPYC, 2 threads",
        headlines=(
            Headline("total", "91.2", "teacher 90.8, 24 prompts"),
            Headline("speed-up", "34.1×", "9.8 s to 0.29 s a video, end to end"),
            Headline("parameters", "56 %", "11.0 M to 6.2 M"),
            Headline("curation", "98 / 97 %", "precision and recall of dropping"),
            Headline("captions", "99 %", "attributes right; 34 % before"),
        ),
        curation=Curation(
            142,
            77,
            6,
            REASONS,
            tuple(strips[:2]),
            {
                "technical_quality": tuple(strips[2:4]),
                "static": tuple(strips[4:5]),
                "text": tuple(strips[5:8]),
            },
            (("broken_01.mp4", "probe", "moov atom not found"), ("empty.mp4", "probe", "file is <empty>")),
            {"precision": 0.98, "recall": 0.97, "right reason": 0.96},
            {
                name: (tuple(rng.normal(0.7, 0.1, 142).tolist()), tuple(rng.normal(0.4, 0.15, 77).tolist()))
                for name in ("quality_overall", "motion_score", "flicker_score", "text_share")
            },
        ),
        captions=Captions(
            tuple(
                CaptionChange(strip_uris(clips[i]), old, caption(scenes[i]), False, i != 2) for i, old in poor
            ),
            0.34,
            0.99,
            "shapes-captioner (transformers)",
        ),
        plan=PlanPicture(_stages(), 11_034_120, 6_201_544, "hummingbird-0.7b"),
        curves=(
            Curve(
                "Distillation", {"output": (steps, loss), "features": (steps, tuple(v * 0.4 for v in loss))}
            ),
            Curve(
                "Feedback",
                {"image": (steps, reward), "video": (steps, tuple(v * 0.8 for v in reward))},
                False,
            ),
        ),
        grid=_grid(scenes[:4]),
        scores=_scores(rng),
        speed=Speed(
            (
                SpeedBar("teacher, eager", "50 steps, guided", PARTS, 9.85),
                SpeedBar("teacher, compiled", "50 steps, guided", {**PARTS, "denoising": 5.4}, 5.65),
                SpeedBar("student, eager", "4 steps", {**PARTS, "denoising": 0.31, "decoding": 0.05}, 0.4),
                SpeedBar("student, compiled", "4 steps", {**PARTS, "denoising": 0.2, "decoding": 0.03}, 0.27),
            ),
            34.1,
            "AMD EPYC 9654, 2 threads, torch 2.13.0",
        ),
        frontier=Frontier(
            tuple(
                FrontierPoint(
                    name,
                    name.split(",")[0],
                    seconds,
                    Interval(q, q - 0.015, q + 0.014),
                    "fp32",
                    mfu,
                    0.4,
                    limit,
                )
                for name, seconds, q, mfu, limit in (
                    (
                        "teacher",
                        9.85,
                        0.83,
                        0.62,
                        "denoising, 97% of the time, at 64% of the matrix rate: its arithmetic",
                    ),
                    (
                        "pruned",
                        4.1,
                        0.75,
                        0.55,
                        "denoising, 96% of the time, at 57% of the matrix rate: its arithmetic",
                    ),
                    (
                        "distilled",
                        2.2,
                        0.78,
                        0.5,
                        "denoising, 95% of the time, at 52% of the matrix rate: its arithmetic",
                    ),
                    (
                        "feedback",
                        0.4,
                        0.79,
                        0.41,
                        "denoising, 77% of the time, at 42% of the matrix rate: how its code runs",
                    ),
                    (
                        "feedback, compiled, fp32",
                        0.27,
                        0.79,
                        0.6,
                        "denoising, 74% of the time: its arithmetic",
                    ),
                )
            ),
            "total",
            "AMD EPYC 9654, 2 threads, torch 2.13.0",
        ),
        lineage=(
            LineageNode("served", "student package", "", (("device", "cpu"),)),
            LineageNode("model", "feedback", "compile", (("id", "b31c9d0f"), ("total", "91.2"))),
            LineageNode("model", "distilled", "feedback", (("id", "77ab120c"),)),
            LineageNode("model", "pruned", "distill", (("id", "0c1144fe"),)),
            LineageNode("model", "shapes-teacher", "prune", (("licence", "Apache-2.0"),)),
            LineageNode(
                "data", "142 clips", "snapshot", (("snapshot", "8412369874511"), ("sources", "38 files"))
            ),
        ),
        runs=(
            RunRow("curate", "a1b2c3d4e5f6", 151.2, "f00dfeed12345678"),
            RunRow("distill", "0a1b2c3d4e5f", 301, "aa" * 8),
        ),
    )


def _stages() -> tuple[PlanStage, ...]:
    stages = [PlanStage("middle", 2, (PlanBlock("middle", 128, False),))]
    for level, width in enumerate((64, 96, 128)):
        stages.append(
            PlanStage("down", level, tuple(PlanBlock(f"block {i}", width, i == 0) for i in range(2)))
        )
        stages.append(PlanStage("up", level, tuple(PlanBlock(f"block {i}", width, i != 1) for i in range(3))))
    return tuple(stages)


def _grid(scenes: list[Scene]) -> VideoGrid:
    rows = []
    for i, scene in enumerate(scenes):
        source = video_uri(mp4(render_clip(scene)))
        videos = {m: GridVideo(source, ("motion",) if (i + j) % 3 == 0 else ()) for j, m in enumerate(MODELS)}
        rows.append(VideoRow(caption(scene), 100 + i, videos))
    return VideoGrid(MODELS, tuple(rows), {"teacher": "50 steps, guidance 7.5", "feedback": "4 steps"})


def _scores(rng: np.random.Generator) -> Scores:
    summary = ("total", *VBENCH_PARTS)
    rows = (*summary, *(d.name for d in SHAPES))
    values = {}
    for index, model in enumerate(MODELS):
        drawn = np.clip(0.6 + 0.08 * index + rng.normal(0, 0.08, len(rows)), 0, 0.98)
        values[model] = {
            row: Interval(float(v), float(v) - 0.05, min(float(v) + 0.04, 1))
            for row, v in zip(rows, drawn, strict=True)
        }
    return Scores(
        suite="shapes",
        models=MODELS,
        summary=summary,
        rows=rows,
        values=values,
        parts={d.name: d.part or "" for d in SHAPES},
        weights=VBENCH_PARTS,
        prompts=24,
        figures={"teacher: color": 0.97, "teacher: motion": 0.93, "teacher: shape": 0.88},
        failed={"pruned": 1},
        definitions={d.name: d.definition for d in SHAPES},
        left_out=LEFT_OUT,
        failures=(Failure("pruned", "a red <circle> moving left", 3, "OutOfMemoryError: no memory"),),
        differences={
            model: {
                row: Interval(v.value - 0.6, v.low - 0.6, v.high - 0.6) for row, v in values[model].items()
            }
            for model in MODELS[1:]
        },
        stamps={
            model: {"weights": "0c1144feb31c", "steps": "50", "precision": "fp32", "device": "AMD EPYC 9654"}
            for model in MODELS
        },
        stamp={"suite": "shapes, version 3", "rewritten prompts": "none", "torch": "2.13.0"},
    )
