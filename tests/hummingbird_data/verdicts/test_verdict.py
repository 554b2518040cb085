"""Each score drops a clip for its own reason."""

import pytest
from hummingbird.config.settings import Settings
from hummingbird.lake.schemas import REASONS
from hummingbird_data.filters.shipped import filters_of
from hummingbird_data.verdicts.verdict import score_reasons, with_verdict

FILTERS = filters_of(Settings())
LIMITS = {
    "min_seconds": 2.0,
    "min_technical": 0.0,
    "min_aesthetic": -1.0,
    "min_overall": 0.3,
    "min_weightless": 0.5,
    "min_motion": 0.002,
    "max_freeze": 0.5,
    "max_zoom": 0.05,
    "max_flicker": 0.02,
    "max_text": 0.01,
}
SOUND = {
    "start_seconds": 1.0, "end_seconds": 3.0, "fps": 24.0, "quality_technical": 1.0, "motion_score": 0.1,
    "freeze_score": 0.0, "zoom_score": 0.0, "flicker_score": 0.0, "text_share": 0.0,
    "technical_by": "model", "quality_weightless": 0.1,
}  # fmt: skip


def test_a_sound_clip_is_kept() -> None:
    assert score_reasons(SOUND, FILTERS, LIMITS) == []
    assert with_verdict(SOUND, [])["verdict"] == "kept"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"quality_technical": -0.1}, "technical_quality"),
        ({"quality_aesthetic": -1.1}, "aesthetic_quality"),
        ({"quality_overall": 0.2}, "overall_quality"),
        ({"technical_by": "weightless", "quality_technical": None}, "technical_quality"),
        ({"motion_score": 0.001, "freeze_score": 2.0}, "static"),
        ({"freeze_score": 0.5}, "freeze"),
        ({"freeze_score": 1.6}, "freeze"),
        ({"freeze_score": 1.8}, "static"),
        ({"flicker_score": 0.03}, "flicker"),
        ({"zoom_score": 0.06}, "zoom"),
        ({"text_share": 0.02}, "text"),
        ({"end_seconds": 2.9}, "too_short"),
    ],
)
def test_each_score_has_its_reason(change: dict, reason: str) -> None:
    assert score_reasons({**SOUND, **change}, FILTERS, LIMITS) == [reason]
    assert reason in REASONS
    assert with_verdict(SOUND, [reason]) == {**SOUND, "verdict": "dropped", "reasons": [reason]}


def test_rounded_times_do_not_make_a_clip_too_short() -> None:
    assert score_reasons({**SOUND, "end_seconds": 2.9999}, FILTERS, LIMITS) == []


def test_a_clip_that_may_freeze_may_freeze_all_the_time() -> None:
    assert (
        score_reasons({**SOUND, "freeze_score": 1.8}, FILTERS, {**LIMITS, "max_freeze": float("inf")}) == []
    )
