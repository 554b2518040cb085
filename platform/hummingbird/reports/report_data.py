"""What a report can show. Every part may be absent: the page is as long as there is something to tell."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hummingbird.evaluation.intervals import Interval


@dataclass(frozen=True)
class Headline:
    """One large number at the top: ``label``, the ``value`` as it is shown, and a note in small print."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Strip:
    """Frames of one clip in a row, as data URIs, with what is known of it."""

    frames: tuple[str, ...]
    title: str = ""
    text: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Curation:
    """What was kept, dropped and set aside.

    ``reasons`` counts the dropped clips by reason (a clip may have several), ``examples`` holds strips by
    reason, ``quarantine`` (source, stage, error), ``truth`` rates by name where the truth is known,
    ``distributions`` the values of a score of kept and of dropped clips, ``thresholds`` where by a score the line
    between them was drawn, ``proposals`` what a threshold would drop, by the setting.
    """

    kept: int
    dropped: int
    quarantined: int
    reasons: Mapping[str, int]
    kept_examples: tuple[Strip, ...] = ()
    examples: Mapping[str, tuple[Strip, ...]] = field(default_factory=dict)
    quarantine: tuple[tuple[str, str, str], ...] = ()
    truth: Mapping[str, float] = field(default_factory=dict)
    distributions: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    proposals: Mapping[str, tuple[Strip, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class CaptionChange:
    """A clip's caption before and after; the flags say whether it is true, None where that is not known."""

    frames: tuple[str, ...]
    before: str
    after: str
    before_true: bool | None = None
    after_true: bool | None = None


@dataclass(frozen=True)
class Captions:
    """Changed captions, and the share of attributes that are right, before and after, where known."""

    changes: tuple[CaptionChange, ...]
    before: float | None = None
    after: float | None = None
    model: str = ""


@dataclass(frozen=True)
class PlanBlock:
    """One block of the U-Net: its width, whether the student keeps it, and in words what went of one that stays."""

    name: str
    width: int
    kept: bool
    attention: bool = False
    reductions: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlanStage:
    """The blocks of a stage; ``side`` is down, middle or up, ``level`` is 0 at full size, then rises."""

    side: str
    level: int
    blocks: tuple[PlanBlock, ...]


@dataclass(frozen=True)
class PlanPicture:
    """What the pruner kept, and the parameters of the U-Net before and after."""

    stages: tuple[PlanStage, ...]
    parameters_before: int
    parameters_after: int
    note: str = ""


@dataclass(frozen=True)
class Curve:
    """Curves over the steps of one run: name to (steps, values)."""

    title: str
    series: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]]
    logarithmic: bool = True
    note: str = ""


@dataclass(frozen=True)
class GridVideo:
    """An mp4, as a file or a data URI; ``wrong`` names what the suite did not find, None where it looks for nothing.

    A video that could not be made has an ``error`` in place of a source.
    """

    source: str | Path | None
    wrong: tuple[str, ...] | None = None
    error: str | None = None


@dataclass(frozen=True)
class VideoRow:
    """One prompt and one seed, a video a model."""

    prompt: str
    seed: int
    videos: Mapping[str, GridVideo]


@dataclass(frozen=True)
class VideoGrid:
    """The same prompts and seeds by each of ``models``, with a note a model (steps and guidance)."""

    models: tuple[str, ...]
    rows: tuple[VideoRow, ...]
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """A video that could not be made."""

    model: str
    prompt: str
    seed: int
    error: str


@dataclass(frozen=True)
class Scores:
    """What an evaluation found, by the declaration of its suite.

    ``values``: model to row (total, parts, dimensions) to interval, as far as they were measured. ``summary``: the
    rows above the dimensions. ``parts``: dimension to part. ``weights``: of the parts in the total. ``failed``: how
    many videos of a model could not be made; ``failures``: some of them, with their errors. ``differences``: model to
    row to its difference from the first model. ``missing``: dimensions without values, and why. ``stamps``: model to
    what its videos depend on; ``stamp``: what all scores depend on.
    """

    suite: str
    models: tuple[str, ...]
    summary: tuple[str, ...]
    rows: tuple[str, ...]
    values: Mapping[str, Mapping[str, Interval]]
    parts: Mapping[str, str]
    weights: Mapping[str, float]
    prompts: int
    figures: Mapping[str, float] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    definitions: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    differences: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    stamps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    stamp: Mapping[str, str] = field(default_factory=dict)

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The rows that are no summary."""
        return tuple(row for row in self.rows if row not in self.summary)

    @property
    def formula(self) -> str:
        """The total in words."""
        terms = " + ".join(f"{w:g} {part}" if w != 1 else part for part, w in self.weights.items())
        return (
            f"total = ({terms}) / {sum(self.weights.values()):g}"
            if len(self.weights) > 1
            else f"total = {terms}"
        )


@dataclass(frozen=True)
class SpeedBar:
    """Median seconds a video of one model: the parts, and the whole."""

    name: str
    note: str
    parts: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class Speed:
    """Bars of one run on one ``device``; ``speedup`` is the first bar over the last."""

    bars: tuple[SpeedBar, ...]
    speedup: float
    device: str

    @property
    def parts(self) -> list[str]:
        """The names of all parts, in the order of the bars."""
        return list(dict.fromkeys(name for bar in self.bars for name in bar.parts))


@dataclass(frozen=True)
class FrontierPoint:
    """One model at one setting: seconds a video, and its quality in 0..1.

    ``mfu`` is the share of the device's matrix rate that a whole video reaches, ``limit`` in words what takes its time.
    """

    name: str
    model: str
    seconds: float
    quality: Interval
    precision: str
    mfu: float
    peak_gib: float
    limit: str


@dataclass(frozen=True)
class Frontier:
    """Everything of which quality (``measure``) and time were measured, on one ``device``."""

    points: tuple[FrontierPoint, ...]
    measure: str
    device: str

    @property
    def undominated(self) -> tuple[FrontierPoint, ...]:
        """Those that nothing beats in one and equals in the other, from the fastest on."""

        def beats(a: FrontierPoint, b: FrontierPoint) -> bool:
            own, other = (a.seconds, -a.quality.value), (b.seconds, -b.quality.value)
            return own != other and own[0] <= other[0] and own[1] <= other[1]

        best = [p for p in self.points if not any(beats(other, p) for other in self.points)]
        return tuple(sorted(best, key=lambda point: point.seconds))


@dataclass(frozen=True)
class LineageNode:
    """One link from the served model back to its data; ``how`` names the step that made it."""

    kind: str
    title: str
    how: str = ""
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class RunRow:
    """One run of a verb."""

    verb: str
    run_id: str
    seconds: float
    settings_hash: str
    state: str = "finished"


@dataclass(frozen=True)
class ReportData:
    """All of a page."""

    title: str
    subtitle: str
    created: str
    headlines: tuple[Headline, ...] = ()
    curation: Curation | None = None
    captions: Captions | None = None
    plan: PlanPicture | None = None
    curves: tuple[Curve, ...] = ()
    grid: VideoGrid | None = None
    scores: Scores | None = None
    speed: Speed | None = None
    frontier: Frontier | None = None
    lineage: tuple[LineageNode, ...] = ()
    runs: tuple[RunRow, ...] = ()
