"""Evaluation prompts: the same for a seed, distinct, balanced."""

from collections import Counter

import pytest
from hummingbird.evaluation.suites.shapes.prompts import evaluation_prompts
from hummingbird.shapes.scene import parse_caption


def test_prompts_are_fixed_by_their_seed() -> None:
    assert evaluation_prompts(24, 3) == evaluation_prompts(24, 3)
    assert evaluation_prompts(24, 3) != evaluation_prompts(24, 4)


def test_fewer_prompts_are_the_first_of_more() -> None:
    assert evaluation_prompts(40, 3)[:24] == evaluation_prompts(24, 3)


def test_prompts_are_distinct_and_balanced() -> None:
    prompts = evaluation_prompts(200, 0)
    assert len({p.text for p in prompts}) == len({p.seed for p in prompts}) == 200
    assert all(parse_caption(p.text) == p.attributes for p in prompts)
    assert Counter(len(p.attributes.objects) for p in prompts) == {1: 100, 2: 100}
    for values in (
        [p.attributes.motion for p in prompts],
        [p.attributes.background for p in prompts],
        [shape for p in prompts for _, shape in p.attributes.objects],
        [color for p in prompts for color, _ in p.attributes.objects],
        [p.attributes.relation for p in prompts if p.attributes.relation],
    ):
        counts = Counter(values).values()
        assert max(counts) - min(counts) <= 4


def test_a_single_prompt_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 prompts"):
        evaluation_prompts(1, 0)
