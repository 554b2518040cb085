"""A reward from outside as a dimension of one's own prompts."""

import numpy as np
import pytest
from hummingbird.config.evaluate import EvaluateSettings
from hummingbird.core.errors import InputError
from hummingbird.evaluation.suites import resolve_suite
from hummingbird.evaluation.suites.base import EvaluationPrompt, check_declaration, measure_video

NAME = "warmth_reward:WarmthReward"


def test_a_reward_is_a_dimension_beside_the_parts() -> None:
    settings = EvaluateSettings(suite={"prompts": {"rewards": {NAME: {"word": "fire"}}}})
    suite = resolve_suite(settings).build()
    check_declaration(suite, "prompts")
    suite.check()
    red = np.zeros((4, 8, 8, 3), np.uint8)
    red[..., 0] = 204
    for text, expected in (("a fire", 0.8), ("the sea", -0.8)):
        measured = measure_video(suite, red, EvaluationPrompt("1", text, (0,)), "video 1")
        assert measured.values[f"reward {NAME}"] == pytest.approx(expected)
        assert measured.values["temporal flickering"] == 1
    rewritten = EvaluationPrompt("1", "tall flames over a log, 4k", (0,), original="a fire")
    assert measure_video(suite, red, rewritten, "v").values[f"reward {NAME}"] == pytest.approx(0.8)
    narrow = EvaluateSettings(suite={"prompts": {"rewards": {NAME: {}}, "reward_range": [0, 0.5]}})
    with pytest.raises(ValueError, match=r"video 1: reward .* is 0\.8, outside its range of 0 to 0\.5"):
        measure_video(resolve_suite(narrow).build(), red, EvaluationPrompt("1", "fire", (0,)), "video 1")


def test_an_unknown_reward_is_bad_input() -> None:
    settings = EvaluateSettings(suite={"prompts": {"rewards": {"shapes_imag": {}}}})
    with pytest.raises(InputError, match="did you mean 'shapes_image'"):
        _ = resolve_suite(settings).build().models
