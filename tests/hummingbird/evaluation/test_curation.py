"""Curation against a truth that is known here by hand."""

from typing import Any

import pytest
from hummingbird.evaluation.curation import CurationTruth, TrueShot, score_curation, stated
from hummingbird.shapes.scene import Attributes

ONE = Attributes((("red", "circle"),), "moving left", "striped")
TWO = Attributes((("red", "circle"), ("blue", "star")), "growing", "brick", "left of")
ONE_TEXT = "a red circle moving left on a striped background"
TWO_TEXT = "a red circle left of a blue star, both growing, on a brick background"


def shot(start: float, *reasons: str, attributes: Attributes = ONE) -> TrueShot:
    return TrueShot("a.mp4", start, start + 2, frozenset(reasons), attributes)


def clip(start: float, *reasons: str, caption: str = ONE_TEXT, original: str | None = None) -> dict[str, Any]:
    return {
        "clip_id": f"clip{start}",
        "source_uri": "/raw/a.mp4",
        "start_seconds": start,
        "end_seconds": start + 2,
        "verdict": "dropped" if reasons else "kept",
        "reasons": list(reasons),
        "caption": caption,
        "caption_original": original,
    }


def test_rates_of_dropping_are_counted_against_the_truth() -> None:
    truth = CurationTruth(
        [shot(0), shot(2, "text"), shot(4, "zoom"), shot(6, "static"), shot(8)], frozenset()
    )
    clips = [clip(0), clip(2, "text"), clip(4, "flicker"), clip(6), clip(8, "text")]
    result = score_curation(clips, [], truth)
    assert result.precision == pytest.approx(2 / 3)
    assert result.recall == pytest.approx(2 / 3)
    assert result.right_reason == pytest.approx(1 / 3)
    assert result.sound_dropped == pytest.approx(1 / 2)
    assert len(result.mistakes) == 3
    assert "zoom, was flicker" in result.mistakes[0]


def test_a_clip_belongs_to_the_shot_it_shows_most_of() -> None:
    truth = CurationTruth([shot(0), shot(2, "text")], frozenset())
    assert score_curation([clip(0.2), clip(1.8, "text")], [], truth).mistakes == []


def test_broken_files_belong_in_quarantine_and_nowhere_else() -> None:
    truth = CurationTruth([shot(0)], frozenset({"broken.mp4"}))
    row = {"source_uri": "/raw/broken.mp4", "stage": "read", "error": "moov atom not found"}
    assert score_curation([clip(0)], [row], truth).quarantine_right
    assert not score_curation([clip(0)], [], truth).quarantine_right
    assert not score_curation([clip(0)], [{**row, "error": ""}], truth).quarantine_right


def test_a_shot_without_a_clip_is_lost() -> None:
    truth = CurationTruth([shot(0), shot(2)], frozenset())
    assert score_curation([clip(0)], [], truth).lost_shots == 1


def test_captions_are_scored_on_kept_clips() -> None:
    truth = CurationTruth([shot(0), shot(2), shot(4, "text")], frozenset())
    clips = [
        clip(0, original="IMG 12"),
        clip(2, original="something red", caption=ONE_TEXT.replace("left", "right")),
        clip(4, "text", caption="nonsense"),
    ]
    result = score_curation(clips, [], truth)
    assert result.caption_before == pytest.approx(1 / 8)
    assert result.caption_after == pytest.approx(7 / 8)
    assert result.true_captions == {"clip0": (False, True), "clip2": (False, False)}


@pytest.mark.parametrize(
    ("text", "right"),
    [
        (TWO_TEXT, [True] * 7),
        ("a blue star right of a red circle, both growing, on a brick background", [True] * 7),
        ("a red circle right of a blue star, both growing, on a brick background", [True] * 6 + [False]),
        ("a red circle growing on a brick background", [True, True, False, False, True, True, False]),
        ("A star, red.", [True, False, False, True, False, False, False]),
        ("", [False] * 7),
    ],
)
def test_a_text_states_the_attributes_that_it_states(text: str, right: list[bool]) -> None:
    assert stated(text, TWO) == right


def test_a_clip_of_an_unknown_file_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no shot of a\.mp4"):
        score_curation([clip(0)], [], CurationTruth([], frozenset()))
