"""Curation against a truth that is known here by hand."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hummingbird.evaluation.curation import of_footage, score_curation, stated_attributes
from hummingbird.shapes.scene import Attributes
from hummingbird.shapes.truth import TrueFile, TrueShot

TWO = Attributes((("red", "circle"), ("blue", "star")), "growing", "brick", "left of")
ONE_TEXT = "a red circle moving left on a striped background"
TWO_TEXT = "a red circle left of a blue star, both growing, on a brick background"


def shot(start: float, defect: str | None = None, group: int | None = None) -> TrueShot:
    objects = (("red", "circle"),)
    motion = None if defect == "static" else "moving left"
    frames = (int(start * 25), 50)
    return TrueShot(*frames, start, start + 2, objects, motion, "striped", None, defect, group)


def file(uri: str, *shots: TrueShot, broken: str | None = None, copy_of: str | None = None) -> TrueFile:
    return TrueFile(uri, 128, 128, 25, broken, copy_of, None, "missing", shots)


def clip(
    start: float, *reasons: str, uri: str = "a.mp4", caption: str = ONE_TEXT, original: str | None = None
) -> dict[str, Any]:
    return {
        "clip_id": f"clip{start}",
        "source_uri": f"/raw/{uri}",
        "start_seconds": start,
        "end_seconds": start + 2,
        "verdict": "dropped" if reasons else "kept",
        "reasons": list(reasons),
        "caption": caption,
        "caption_original": original,
    }


def test_rates_of_dropping_are_counted_against_the_truth() -> None:
    truth = [file("a.mp4", shot(0), shot(2, "text"), shot(4, "zoom"), shot(6, "static"), shot(8))]
    clips = [clip(0), clip(2, "text"), clip(4, "flicker"), clip(6), clip(8, "text")]
    result = score_curation(clips, [], truth)
    assert result.precision == pytest.approx(2 / 3)
    assert result.recall == pytest.approx(2 / 3)
    assert result.right_reason == pytest.approx(1 / 3)
    assert result.sound_dropped == pytest.approx(1 / 2)
    assert result.by_defect == {"static": (0, 1), "text": (1, 1), "zoom": (0, 1)}
    assert len(result.mistakes) == 3
    assert "zoom, was flicker" in result.mistakes[0]


def test_a_clip_belongs_to_the_shot_it_shows_most_of() -> None:
    truth = [file("a.mp4", shot(0), shot(2, "blur"))]
    assert score_curation([clip(0.2), clip(1.8, "technical_quality")], [], truth).mistakes == []


def test_of_copies_exactly_one_may_stay() -> None:
    truth = [file("a.mp4", shot(0, group=0)), file("b.mp4", shot(0, "near_copy", group=0))]
    right = [clip(0), clip(0, "duplicate", uri="b.mp4")]
    assert score_curation(right, [], truth).mistakes == []
    both = [clip(0), clip(0, uri="b.mp4")]
    assert score_curation(both, [], truth).recall == 0
    # Its original gone, the copy is no copy any more: one mistake, not two.
    other = [clip(0, "static"), clip(0, uri="b.mp4")]
    assert len(score_curation(other, [], truth).mistakes) == 1


def test_an_exact_copy_of_a_defective_shot_has_its_defect() -> None:
    truth = [
        file("a.mp4", shot(0, "blur", group=0)),
        file("b.mp4", shot(0, "exact_copy", group=0), copy_of="a.mp4"),
    ]
    clips = [clip(0, "technical_quality"), clip(0, "technical_quality", uri="b.mp4")]
    assert score_curation(clips, [], truth).right_reason == 1


def test_broken_files_belong_in_quarantine_and_nowhere_else() -> None:
    truth = [file("a.mp4", shot(0)), file("broken.mp4", broken="truncated")]
    row = {"source_uri": "/raw/broken.mp4", "stage": "read", "error": "moov atom not found"}
    assert score_curation([clip(0)], [row], truth).quarantine_right
    assert not score_curation([clip(0)], [], truth).quarantine_right
    assert not score_curation([clip(0)], [{**row, "error": ""}], truth).quarantine_right


def test_a_shot_without_a_clip_is_lost() -> None:
    assert score_curation([clip(0)], [], [file("a.mp4", shot(0), shot(2))]).lost_shots == 1


def test_captions_are_scored_on_kept_clips() -> None:
    truth = [file("a.mp4", shot(0), shot(2), shot(4, "text"), shot(6, "static"))]
    clips = [
        clip(0, original="IMG 12"),
        clip(2, original="something red", caption=ONE_TEXT.replace("left", "right")),
        clip(4, "text", caption="nonsense"),
        clip(6, caption="nonsense"),
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
    assert stated_attributes(text, TWO) == right


def test_rows_of_other_sources_and_of_older_footage_are_left_out() -> None:
    uris = ["/raw/a.mp4", "/raw/b.mp4", "/raw/older.mp4", "/mine/a.mp4", "/raw/below/a.mp4"]
    rows = pa.table({"source_uri": uris})
    truth = [file("a.mp4", shot(0)), file("b.mp4", broken="empty")]
    assert of_footage(rows, Path("/raw"), truth)["source_uri"].to_pylist() == ["/raw/a.mp4", "/raw/b.mp4"]


@pytest.mark.parametrize("truth", [[], [file("a.mp4", broken="empty")]])
def test_a_clip_of_an_unknown_or_broken_file_is_an_error(truth: list[TrueFile]) -> None:
    with pytest.raises(ValueError, match=r"no shot of a\.mp4"):
        score_curation([clip(0)], [], truth)
