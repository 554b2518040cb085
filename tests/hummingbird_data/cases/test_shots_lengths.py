"""Shots between the limits: no part is too short, and limits that leave no length are refused."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hummingbird.config.curate import CurateSettings
from hummingbird_data.reading.clips import ClipSettings, cut_windows
from pydantic import ValidationError


def windows(seconds: float, fps: Fraction, least: float, most: float) -> list[tuple[float, float]]:
    count = round(seconds * fps)
    times = [float(3 + number / fps) for number in range(count + 10)]
    made = cut_windows([(5, 5 + count)], times, fps, ClipSettings(min_seconds=least, max_seconds=most))
    assert all(a.stop <= b.first for a, b in pairwise(made))
    assert all(w.first >= 5 and w.stop <= 5 + count for w in made)
    return [(w.start, w.end) for w in made]


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001), Fraction(12)])
@pytest.mark.parametrize(("least", "most"), [(2, 2.5), (2, 2), (1.5, 2.9), (2, 4), (0.5, 0.5), (2.5, 2.6)])
def test_no_part_is_too_short_or_too_long(fps: Fraction, least: float, most: float) -> None:
    frame = 1 / float(fps)
    for seconds in np.arange(least + 0.1, 6 * most, 0.17):
        lengths = [end - start for start, end in windows(float(seconds), fps, least, most)]
        assert min(lengths) >= least - 0.5 * frame - 1e-6
        assert max(lengths) <= most + frame
        assert sum(lengths) >= seconds - most - 2 * frame  # what is left over would have been no whole part


@pytest.mark.parametrize(
    ("seconds", "lengths"), [(2.6, [2.5]), (3.4, [2.5]), (4.2, [2.1, 2.1]), (5.4, [2.5, 2.5])]
)
def test_a_rest_is_left_over_at_both_ends(seconds: float, lengths: list[float]) -> None:
    made = windows(seconds, Fraction(25), 2, 2.5)
    assert [round(end - start, 1) for start, end in made] == lengths
    before, behind = made[0][0] - (3 + 5 / 25), 3 + 5 / 25 + seconds - made[-1][1]
    assert abs(before - behind) <= 0.1


def test_limits_that_leave_no_length_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"max_seconds \(1\) is below min_seconds \(2\)"):
        CurateSettings(max_seconds=1.0)
    assert CurateSettings(max_seconds=1.0, min_seconds=1.0).max_seconds == 1
