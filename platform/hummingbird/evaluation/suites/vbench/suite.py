"""VBench's suite: what can be measured here with the models that settings name, and the rest by its own package."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hummingbird.config.section import AbsolutePath, Section
from hummingbird.core.errors import InputError
from hummingbird.evaluation.suites.base import (
    EvaluationPrompt,
    FileMeasurements,
    FinishedVideo,
    Measurement,
    Suite,
)
from hummingbird.evaluation.suites.vbench.dimensions import FLICKERING, NEEDS, STYLE, VBENCH
from hummingbird.evaluation.suites.vbench.measures import temporal_flickering
from hummingbird.evaluation.suites.vbench.official import measure_officially

if TYPE_CHECKING:
    from hummingbird.evaluation.suites.vbench.networks import AestheticHead, Clip, Dino, VideoText

Measure = Callable[[NDArray[np.uint8], EvaluationPrompt], float]


class VBenchSuite(Suite):
    """All sixteen dimensions, on prompts from a file, whose lines may say which ``dimensions`` they are for."""

    class Settings(Section):
        """What measures: each is optional, and what is not given leaves its dimensions missing."""

        dino: AbsolutePath | None = Field(None, description="DINO ViT-B/16: folder in transformers' format")
        clip: AbsolutePath | None = Field(None, description="CLIP ViT-B/32: folder in transformers' format")
        clip_large: AbsolutePath | None = Field(
            None, description="CLIP ViT-L/14: folder in transformers' format, with its tokenizer"
        )
        aesthetic_head: AbsolutePath | None = Field(
            None, description="LAION's linear head on clip_large: file of weight (1, 768) and bias (1,)"
        )
        viclip: AbsolutePath | None = Field(
            None, description="ViCLIP's file of weights; its texts go through the tokenizer of clip_large"
        )
        official: AbsolutePath | None = Field(
            None, description="python of the environment of VBench's own package (make vbench-env)"
        )
        official_dimensions: tuple[str, ...] = Field(
            (), description="dimensions that the package measures; none: all that the models here do not"
        )

    settings: Settings
    version: ClassVar[int] = 2
    dimensions = VBENCH
    min_frames = 2

    @property
    def models(self) -> Mapping[str, Path]:
        s = self.settings
        named = {
            "dino": s.dino,
            "clip": s.clip,
            "clip_large": s.clip_large,
            "aesthetic_head": s.aesthetic_head,
            "viclip": s.viclip,
        }
        return {name: path for name, path in named.items() if path is not None}

    @property
    def missing(self) -> Mapping[str, str]:
        return {
            name: f"is measured with {needs.model}: {needs.setting}"
            for name, needs in NEEDS.items()
            if name not in self._measures and name not in self.of_files
        }

    @property
    def of_files(self) -> frozenset[str]:
        s = self.settings
        if s.official is None:
            return frozenset()
        return frozenset(s.official_dimensions or NEEDS.keys() - self._measures.keys())

    def check(self) -> None:
        s = self.settings
        for name, path in self.models.items():
            if not path.exists():
                raise InputError(f"evaluate.suite: {name}: there is nothing at {path}")
        if s.aesthetic_head is not None and s.clip_large is None:
            raise InputError(
                "evaluate.suite: aesthetic_head is a head on a CLIP model: name it as clip_large"
            )
        if s.viclip is not None and s.clip_large is None:
            raise InputError(
                "evaluate.suite: the words of viclip are CLIP's: name clip_large for its tokenizer"
            )
        if s.official is None and s.official_dimensions:
            raise InputError("evaluate.suite: official_dimensions needs official, the package's python")
        if s.official is not None and not s.official.is_file():
            raise InputError(f"evaluate.suite: official: there is no python at {s.official}: make vbench-env")
        for name in s.official_dimensions:
            if name not in {d.name for d in VBENCH}:
                raise InputError(f"evaluate.suite: official_dimensions: VBench has no dimension '{name}'")
        for network in ("dino", "clip", "clip_large", "aesthetic_head", "viclip"):
            if network in self.models:
                getattr(self, f"_{network}")

    def prompts(self, count: int, seed: int) -> Sequence[EvaluationPrompt]:
        raise InputError(
            "this suite brings no prompts of its own: name a file with evaluate.prompts=FILE, "
            'lines {"prompt": "...", "seed": 3}, or VBench_full_info.json'
        )

    def prompt_dimensions(self, prompt: EvaluationPrompt) -> frozenset[str]:
        """A prompt asks for what stands in a list only where its ``auxiliary_info`` has that list's entry.

        Raises:
            InputError: it names a dimension without the entry.
        """
        asks = super().prompt_dimensions(prompt)
        absent = sorted(
            name
            for name in asks
            if name in NEEDS and NEEDS[name].auxiliary and key_of(name) not in prompt.auxiliary_info
        )
        if prompt.asks is None:
            return asks - frozenset(absent)
        if absent:
            raise InputError(
                f"prompt {prompt.id} asks for {absent[0]}, which needs auxiliary_info.{key_of(absent[0])}, "
                "as VBench_full_info.json has it"
            )
        return asks

    def measure(self, frames: NDArray[np.uint8], prompt: EvaluationPrompt) -> Measurement:
        asked = self.prompt_dimensions(prompt) - self.missing.keys() - self.of_files
        return Measurement(
            {name: measure(frames, prompt) for name, measure in self._measures.items() if name in asked}
        )

    def measure_files(self, videos: Sequence[FinishedVideo], folder: Path) -> FileMeasurements:
        assert self.settings.official is not None
        asked = [self.prompt_dimensions(video.prompt) & self.of_files for video in videos]
        return measure_officially(self.settings.official, videos, asked, folder)

    @cached_property
    def _measures(self) -> dict[str, Measure]:
        """What is measured here, by dimension; a network is loaded when its first video is measured."""
        s = self.settings
        measures: dict[str, Measure] = {FLICKERING: lambda frames, prompt: temporal_flickering(frames)}
        if s.dino is not None:
            measures["subject consistency"] = lambda frames, prompt: self._dino.subject_consistency(frames)
        if s.clip is not None:
            measures["background consistency"] = lambda frames, prompt: self._clip.background_consistency(
                frames
            )
            measures[STYLE] = lambda frames, prompt: self._clip.appearance_style(frames, style_of(prompt))
        if s.clip_large is not None and s.aesthetic_head is not None:
            measures["aesthetic quality"] = lambda frames, prompt: self._aesthetic_head.aesthetic_quality(
                frames
            )
        if s.viclip is not None:
            for name in ("temporal style", "overall consistency"):
                measures[name] = lambda frames, prompt: self._viclip.consistency(frames, prompt.asked_text)
        return {name: measure for name, measure in measures.items() if name not in s.official_dimensions}

    @cached_property
    def _dino(self) -> "Dino":
        from hummingbird.evaluation.suites.vbench.networks import Dino

        return Dino(self.models["dino"])

    @cached_property
    def _clip(self) -> "Clip":
        from hummingbird.evaluation.suites.vbench.networks import Clip

        return Clip(self.models["clip"])

    @cached_property
    def _clip_large(self) -> "Clip":
        from hummingbird.evaluation.suites.vbench.networks import Clip

        return Clip(self.models["clip_large"])

    @cached_property
    def _aesthetic_head(self) -> "AestheticHead":
        from hummingbird.evaluation.suites.vbench.networks import AestheticHead

        return AestheticHead(self.models["aesthetic_head"], self._clip_large)

    @cached_property
    def _viclip(self) -> "VideoText":
        from hummingbird.evaluation.suites.vbench.networks import VideoText

        return VideoText(self.models["viclip"], self.models["clip_large"])


def key_of(dimension: str) -> str:
    """What VBench's files call a dimension."""
    return dimension.replace(" ", "_")


def style_of(prompt: EvaluationPrompt) -> str:
    """The words of the style that a prompt asks for, in either form that VBench has had of its list."""
    entry = prompt.auxiliary_info[key_of(STYLE)]
    return str(entry[key_of(STYLE)] if isinstance(entry, Mapping) else entry)
