"""The seam of evaluation: a suite declares prompts, dimensions, and what measures a video.

    class Brightness(Suite):
        dimensions = (Dimension("brightness", 0.0, 1.0, 1.0, "quality", "mean of all pixels"),)
        parts = {"quality": 1.0}

        def prompts(self, count, seed):
            return [EvaluationPrompt(f"{i:04d}", "a bright room", (seed + i,)) for i in range(count)]

        def measure(self, frames, prompt):
            return Measurement({"brightness": float(frames.mean() / 255)})

    python jobs/evaluate.py evaluate.suite=mine.suites:Brightness

A measurement may be missing for two reasons, and is never guessed. A prompt that says nothing about a dimension does
not ask for it (`Suite.text_dimensions`): its video has no value there, and the dimension is averaged over the others. A
dimension that this installation cannot measure is declared by `Suite.missing`: it is listed with the reason, and the
part and the total that need it are not computed. Everything else must be measured: a value left out is an error.
"""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hummingbird.config.plugins import NoSettings
from hummingbird.config.section import Section
from hummingbird.core.errors import InputError
from hummingbird.evaluation.score import TOTAL, VBENCH_PARTS, Dimension

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class EvaluationPrompt:
    """A prompt, and the seeds that every model uses for it: a video each.

    Attributes:
        id: names files, so it is short and plain whatever the text is.
        text: as the model gets it.
        seeds: at least one.
        asks: the dimensions that it is about; none: what `Suite.text_dimensions` says of its text.
        auxiliary_info: what is to be seen, by dimension, in whatever form the suite reads (VBench's, for example).
        original: what was asked for where the text was rewritten: judges go by it.
    """

    id: str
    text: str
    seeds: tuple[int, ...]
    asks: frozenset[str] | None = None
    auxiliary_info: Mapping[str, Any] = field(default_factory=dict)
    original: str | None = None

    @property
    def asked_text(self) -> str:
        """The prompt before anything rewrote it."""
        return self.text if self.original is None else self.original

    def __post_init__(self) -> None:
        """Raises ValueError for an id that cannot name a file, or no seeds."""
        if not _ID.fullmatch(self.id):
            raise ValueError(f"the id of a prompt names files: letters, digits, - and _, not {self.id!r}")
        if not self.seeds:
            raise ValueError(f"prompt {self.id} has no seed")


@dataclass(frozen=True)
class Measurement:
    """What was measured of a video.

    Attributes:
        values: raw values by dimension.
        checks: what was right and what was wrong, by name, for people.
    """

    values: Mapping[str, float]
    checks: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class FinishedVideo:
    """A video as `Suite.measure_files` gets it: its prompt, the place of its seed among the prompt's, its mp4."""

    prompt: EvaluationPrompt
    number: int
    path: Path


@dataclass(frozen=True)
class FileMeasurements:
    """What was measured of finished videos together.

    Attributes:
        values: raw values by dimension, a mapping a video, in their order. Where the definition of a dimension leaves
            a video out, its mapping lacks the dimension.
        missing: dimensions that could not be measured, and why.
    """

    values: Sequence[Mapping[str, float]]
    missing: Mapping[str, str]


class Suite(ABC):
    """What a suite declares. Its settings are a class ``Settings`` within it (see `hummingbird.config.plugins`).

    Workers make their own instance and measure one video at a time, so a model that measures is best loaded at its
    first use.
    """

    Settings: ClassVar[type[Section]] = NoSettings

    version: ClassVar[int] = 1
    """Changes with any definition, range or weight; stands beside every score that is written."""
    dimensions: ClassVar[Sequence[Dimension]]
    parts: ClassVar[Mapping[str, float]] = VBENCH_PARTS
    """Weights of the parts in the total; every part needs a dimension."""
    left_out: ClassVar[Mapping[str, str]] = {}
    """Dimensions that readers of VBench will look for in vain, and why there is none here."""
    min_frames: ClassVar[int] = 1
    """Frames that a video needs to be measured."""

    def __init__(self, settings: Section) -> None:
        self.settings = settings

    @property
    def missing(self) -> Mapping[str, str]:
        """Dimensions that cannot be measured here, and why."""
        return {}

    @property
    def models(self) -> Mapping[str, Path]:
        """Files and folders that it measures with, by name: scores are stamped with their hashes."""
        return {}

    @property
    def of_files(self) -> frozenset[str]:
        """Dimensions that `measure_files` measures, and `measure` does not."""
        return frozenset()

    def check(self) -> None:  # noqa: B027 (a hook; most suites need none)
        """Called once, before any video is made.

        Raises:
            InputError: something that it measures with cannot be used.
        """

    def measure_files(self, videos: Sequence[FinishedVideo], folder: Path) -> FileMeasurements:
        """The dimensions `of_files`, of all finished videos of one model.

        Args:
            folder: for whatever it keeps; the same in a run that is taken up again.
        """
        raise NotImplementedError(
            f"{type(self).__name__} names dimensions of files and does not measure them"
        )

    def text_dimensions(self, text: str) -> frozenset[str]:
        """The dimensions that a prompt is about: all, unless a suite knows better.

        Raises:
            InputError: a prompt that this suite cannot judge.
        """
        return frozenset(d.name for d in self.dimensions)

    @abstractmethod
    def prompts(self, count: int, seed: int) -> Sequence[EvaluationPrompt]:
        """``count`` prompts of the suite's own, the same for the same arguments.

        Raises:
            InputError: it has none, or not so many.
        """

    @abstractmethod
    def measure(self, frames: NDArray[np.uint8], prompt: EvaluationPrompt) -> Measurement:
        """Raw values of a video (T, H, W, 3) uint8 RGB: of each dimension that the prompt asks for and that is not
        missing."""

    def figures(self, videos: Sequence[tuple[EvaluationPrompt, Measurement | None]]) -> Mapping[str, float]:
        """Shares and means to show beside the score, by name; None stands for a video that could not be made."""
        return {}

    def prompt_dimensions(self, prompt: EvaluationPrompt) -> frozenset[str]:
        """The dimensions that a prompt asks for, measured or missing.

        Raises:
            InputError: it names one that this suite does not have, or see `text_dimensions`.
        """
        asks = self.text_dimensions(prompt.text) if prompt.asks is None else prompt.asks
        unknown = sorted(asks - {d.name for d in self.dimensions})
        if unknown:
            names = ", ".join(d.name for d in self.dimensions)
            raise InputError(
                f"prompt {prompt.id} asks for '{unknown[0]}'; the dimensions of this suite: {names}"
            )
        return asks


def measure_video(
    suite: Suite, frames: NDArray[np.uint8], prompt: EvaluationPrompt, video: str
) -> Measurement:
    """`Suite.measure`, and a check of what it returns.

    Args:
        video: its name, for errors.

    Raises:
        ValueError: the video cannot be measured, or a value is missing, not asked for, NaN or out of range; names the
            video and the dimension.
    """
    if len(frames) < suite.min_frames:
        raise ValueError(
            f"{video}: a video of at least {suite.min_frames} frames is needed, not {len(frames)}"
        )
    try:
        measured = suite.measure(frames, prompt)
        values = {name: float(value) for name, value in measured.values.items()}  # NumPy's and torch's too
        measurement = Measurement(values, {name: bool(right) for name, right in measured.checks.items()})
    except Exception as error:
        raise ValueError(f"{video} cannot be measured: {type(error).__name__}: {error}") from error
    check_values(suite, prompt, measurement.values, video)
    return measurement


def measure_pair(suite: Suite, video: tuple[NDArray[np.uint8], EvaluationPrompt]) -> Measurement:
    """`measure_video` for processes that measure and nothing else: what they import loads no torch."""
    frames, prompt = video
    return measure_video(suite, frames, prompt, f"video {prompt.id}")


def check_values(suite: Suite, prompt: EvaluationPrompt, values: Mapping[str, float], video: str) -> None:
    """Whether ``values`` are all that the prompt asks for, each in its range.

    Raises:
        ValueError: see `measure_video`.
    """
    expected = suite.prompt_dimensions(prompt) - suite.missing.keys() - suite.of_files
    for name in sorted(expected - values.keys()):
        raise ValueError(f"{video}: {name} was not measured")
    for name in sorted(values.keys() - expected):
        raise ValueError(f"{video}: {name} was measured, but the prompt does not ask for it")
    for dimension in suite.dimensions:
        if dimension.name in values:
            dimension.check(values[dimension.name], video)


def check_declaration(suite: Suite, name: str) -> None:
    """Whether a suite's dimensions and parts can be scored.

    Raises:
        InputError: two dimensions of one name or of that of a part, a range that is none, a part without dimensions.
    """
    names = [d.name for d in suite.dimensions]
    reserved = {TOTAL, *suite.parts}
    faults = [f"two dimensions '{dimension}'" for dimension in set(names) if names.count(dimension) > 1]
    faults += [f"a dimension cannot be called '{dimension}'" for dimension in reserved & set(names)]
    faults += [
        f"the range of '{d.name}' is none"
        for d in suite.dimensions
        if not (d.minimum < d.maximum and math.isfinite(d.highest - d.lowest) and d.lowest < d.highest)
    ]
    faults += [
        f"the part '{part}' has no dimension"
        for part in suite.parts
        if not any(d.part == part and d.weight > 0 for d in suite.dimensions)
    ]
    faults += [
        f"a reason for '{dimension}', which is no dimension" for dimension in set(suite.missing) - set(names)
    ]
    if faults:
        raise InputError(f"evaluate.suite: {name}: {faults[0]}")


def worst_values(suite: Suite, prompt: EvaluationPrompt) -> dict[str, float]:
    """What a video that could not be made counts as."""
    expected = suite.prompt_dimensions(prompt) - suite.missing.keys() - suite.of_files
    return {d.name: d.lowest for d in suite.dimensions if d.name in expected}
