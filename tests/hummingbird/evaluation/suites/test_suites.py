"""What a suite declares is checked, and so is every value it measures."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
from hummingbird.config.evaluate import EvaluateSettings
from hummingbird.config.plugins import NoSettings
from hummingbird.core.errors import InputError
from hummingbird.evaluation.evaluate import missing_dimensions
from hummingbird.evaluation.score import Dimension
from hummingbird.evaluation.suites import SUITES, resolve_suite
from hummingbird.evaluation.suites.base import (
    EvaluationPrompt,
    Measurement,
    Suite,
    check_declaration,
    measure_video,
    worst_values,
)
from hummingbird.evaluation.suites.vbench.measures import temporal_flickering
from hummingbird.evaluation.suites.vbench.suite import VBenchSuite

FRAMES = np.zeros((2, 4, 4, 3), np.uint8)
PROMPT = EvaluationPrompt("0001", "a dog", (1,))


class Bright(Suite):
    dimensions = (Dimension("light", 0.2, 0.8, 1.0, "quality"), Dimension("color", 0, 1, 1, None, lowest=-1))
    parts: ClassVar[Mapping[str, float]] = {"quality": 1.0}
    value: Any = 0.5

    @property
    def missing(self) -> dict[str, str]:
        return {"color": "is measured with nothing"}

    def prompts(self, count: int, seed: int) -> list[EvaluationPrompt]:
        return [PROMPT]

    def measure(self, frames: Any, prompt: EvaluationPrompt) -> Measurement:
        return Measurement(self.value)


def bright(values: Any) -> Bright:
    suite = Bright(NoSettings())
    suite.value = values
    return suite


@pytest.mark.parametrize("name", SUITES)
def test_the_projects_suites_can_be_scored(name: str) -> None:
    check_declaration(resolve_suite(EvaluateSettings(suite=name)).build(), name)


def test_a_file_of_prompts_chooses_its_suite() -> None:
    assert resolve_suite(EvaluateSettings(prompts=3)).name == "shapes"
    assert resolve_suite(EvaluateSettings.model_validate({"prompts": "/x.jsonl"})).name == "prompts"
    assert (
        resolve_suite(EvaluateSettings.model_validate({"prompts": "/x.jsonl", "suite": "vbench"})).name
        == "vbench"
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "video 7: light was not measured"),
        ({"light": float("nan")}, "video 7: light is nan"),
        ({"light": 1.7}, "video 7: light is 1.7, outside its range"),
        ({"light": 0.5, "color": 0.5}, "video 7: color was measured, but"),
        ({"light": "x"}, "video 7 cannot be measured: ValueError: could not convert"),
    ],
)
def test_a_value_that_cannot_be_is_an_error_that_names_video_and_dimension(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        measure_video(bright(values), FRAMES, PROMPT, "video 7")


def test_what_measuring_raises_names_the_video() -> None:
    class Broken(Bright):
        def measure(self, frames: Any, prompt: EvaluationPrompt) -> Measurement:
            raise KeyError("nothing")

    with pytest.raises(ValueError, match="video 7 cannot be measured: KeyError: 'nothing'"):
        measure_video(Broken(NoSettings()), FRAMES, PROMPT, "video 7")


def test_missing_dimensions_are_neither_measured_nor_counted() -> None:
    suite = bright({"light": np.float32(0.5)})
    assert measure_video(suite, FRAMES, PROMPT, "v").values == {"light": 0.5}
    assert worst_values(suite, PROMPT) == {"light": 0.0}
    assert missing_dimensions(suite, [PROMPT]) == {"color": "is measured with nothing"}
    assert missing_dimensions(suite, [EvaluationPrompt("1", "x", (1,), frozenset({"color"}))]) == {
        "light": "no prompt asks for it",
        "color": "is measured with nothing",
    }


def test_a_prompt_that_asks_for_an_unknown_dimension_is_bad_input() -> None:
    with pytest.raises(InputError, match="prompt 0001 asks for 'taste'; the dimensions of this suite: light"):
        bright({}).prompt_dimensions(EvaluationPrompt("0001", "x", (1,), frozenset({"taste"})))


@pytest.mark.parametrize(
    ("dimensions", "message"),
    [
        ((Dimension("a", 0, 1, 1, "quality"), Dimension("a", 0, 1, 1, "quality")), "two dimensions 'a'"),
        ((Dimension("quality", 0, 1, 1, "quality"),), "cannot be called 'quality'"),
        ((Dimension("a", 1, 1, 1, "quality"),), "the range of 'a' is none"),
        ((Dimension("a", 0, 1, 1, "quality", lowest=float("-inf")),), "the range of 'a' is none"),
        ((Dimension("a", 0, 1, 1, None),), "the part 'quality' has no dimension"),
    ],
)
def test_a_declaration_that_cannot_be_scored_is_refused(
    dimensions: tuple[Dimension, ...], message: str
) -> None:
    class Odd(Suite):
        def prompts(self, count: int, seed: int) -> list[EvaluationPrompt]:
            return [PROMPT]

        def measure(self, frames: Any, prompt: EvaluationPrompt) -> Measurement:
            return Measurement({})

    Odd.dimensions, Odd.parts = dimensions, {"quality": 1.0}
    with pytest.raises(InputError, match=message):
        check_declaration(Odd(NoSettings()), "odd")


@pytest.mark.parametrize("name", ["", "../x", "a b", "é", "x" * 65])
def test_an_id_that_cannot_name_a_file_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="names files"):
        EvaluationPrompt(name, "a dog", (1,))


def test_flickering_is_vbenchs_mean_absolute_difference() -> None:
    frames = np.stack([np.full((4, 6, 3), level, np.uint8) for level in (10, 30, 25, 255)])
    # (255 - mean of 20, 5 and 230) / 255, whichever way the level goes
    assert temporal_flickering(frames) == pytest.approx((255 - (20 + 5 + 230) / 3) / 255, abs=1e-9)
    assert temporal_flickering(frames[:1].repeat(3, 0)) == 1
    noise = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    assert temporal_flickering(noise) == pytest.approx(2 / 3, abs=0.01)


def test_vbench_measures_what_a_prompt_asks_for() -> None:
    suite = VBenchSuite(VBenchSuite.Settings())
    seen = {"object_class": {"object": "dog"}}
    dog = EvaluationPrompt("1", "a dog", (1,), frozenset({"object class"}), seen)
    assert suite.measure(FRAMES, dog).values == {}
    assert set(suite.measure(FRAMES, PROMPT).values) == {"temporal flickering"}
