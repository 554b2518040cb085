"""Evaluation prompts: the same for a seed, distinct, balanced."""

from collections import Counter

import pytest
from hummingbird.core.errors import InputError
from hummingbird.evaluation.suites.shapes.prompts import draw_prompts
from hummingbird.shapes.scene import parse_caption


def test_prompts_are_fixed_by_their_seed() -> None:
    assert draw_prompts(24, 3) == draw_prompts(24, 3)
    assert draw_prompts(24, 3) != draw_prompts(24, 4)


def test_fewer_prompts_are_the_first_of_more() -> None:
    assert draw_prompts(40, 3)[:24] == draw_prompts(24, 3)


def test_prompts_are_distinct_and_balanced() -> None:
    prompts = draw_prompts(200, 0)
    assert len({p.text for p in prompts}) == len({p.seeds for p in prompts}) == 200
    stated = [parse_caption(p.text) for p in prompts]
    attributes = [one for one in stated if one is not None]
    assert len(attributes) == 200
    assert Counter(len(a.objects) for a in attributes) == {1: 100, 2: 100}
    for values in (
        [a.motion for a in attributes],
        [a.background for a in attributes],
        [shape for a in attributes for _, shape in a.objects],
        [color for a in attributes for color, _ in a.objects],
        [a.relation for a in attributes if a.relation],
    ):
        counts = Counter(values).values()
        assert max(counts) - min(counts) <= 4


def test_a_single_prompt_is_refused() -> None:
    with pytest.raises(InputError, match="at least 2 prompts"):
        draw_prompts(1, 0)
