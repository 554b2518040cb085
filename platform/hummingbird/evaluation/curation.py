"""Curation against the truth: were the clips with defects dropped, for the right reason, and are captions true?

Only the small world's raw footage comes with a truth, and only this judges by it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hummingbird.shapes.scene import BACKGROUNDS, COLORS, MOTIONS, SHAPES, Attributes, parse_caption

Row = Mapping[str, Any]


@dataclass(frozen=True)
class TrueShot:
    """What is known of one shot of a source file. ``reasons``: those that it may rightly be dropped for; none if
    it is sound. ``attributes``: what it shows."""

    source: str
    start: float
    end: float
    reasons: frozenset[str]
    attributes: Attributes


@dataclass(frozen=True)
class CurationTruth:
    """The truth about a folder of footage: its shots by file, and the names of the files that are broken."""

    shots: Sequence[TrueShot]
    broken: frozenset[str]


@dataclass(frozen=True)
class CurationScore:
    """Rates against the truth.

    Attributes:
        precision, recall: of dropping, over clips: defective is positive.
        right_reason: share of the defective clips that were dropped for a reason that they have.
        sound_dropped: share of the sound clips that were dropped.
        lost_shots: shots that no clip shows.
        quarantine_right: every broken file in quarantine with an error, and no other.
        caption_before, caption_after: share of true attributes that the kept clips' captions state.
        true_captions: by ``clip_id`` of kept clips, whether all attributes are right before and after.
        mistakes: clip and reasons, wanted and given, for people.
    """

    precision: float
    recall: float
    right_reason: float
    sound_dropped: float
    lost_shots: int
    quarantine_right: bool
    caption_before: float
    caption_after: float
    true_captions: Mapping[str, tuple[bool, bool]]
    mistakes: Sequence[str]


def score_curation(clips: Sequence[Row], quarantine: Sequence[Row], truth: CurationTruth) -> CurationScore:
    """Compare rows of ``clips`` and ``quarantine`` with the truth; files are matched by name, clips by time.

    Raises ValueError where there is no clip, or one of a file that the truth does not know.
    """
    if not clips:
        raise ValueError("there are no clips to score")
    pairs = [(row, _shot_of(row, truth.shots)) for row in clips]
    defective = [(row, shot) for row, shot in pairs if shot.reasons]
    sound = [(row, shot) for row, shot in pairs if not shot.reasons]
    hits = sum(_dropped(row) for row, _ in defective)
    false_alarms = sum(_dropped(row) for row, _ in sound)
    right = sum(bool(shot.reasons & set(row["reasons"])) for row, shot in defective)
    kept = [(row, shot) for row, shot in pairs if not _dropped(row)]
    before = [stated(row["caption_original"] or "", shot.attributes) for row, shot in kept]
    after = [stated(row["caption"] or "", shot.attributes) for row, shot in kept]
    shown = {id(shot) for _, shot in pairs}
    quarantined = {Path(row["source_uri"]).name for row in quarantine if row["error"]}
    return CurationScore(
        precision=_rate(hits, hits + false_alarms),
        recall=_rate(hits, len(defective)),
        right_reason=_rate(right, len(defective)),
        sound_dropped=_rate(false_alarms, len(sound), empty=0.0),
        lost_shots=sum(id(s) not in shown and s.source not in truth.broken for s in truth.shots),
        quarantine_right=quarantined == truth.broken,
        caption_before=_share(before),
        caption_after=_share(after),
        true_captions={
            row["clip_id"]: (all(b), all(a)) for (row, _), b, a in zip(kept, before, after, strict=True)
        },
        mistakes=[_mistake(row, shot) for row, shot in pairs if _is_mistake(row, shot)],
    )


def stated(text: str, truth: Attributes) -> list[bool]:
    """For each true attribute, whether ``text`` states it: color and shape of every object, motion, background,
    relation. A text outside the grammar states the attributes whose words it has, but no relation."""
    said = parse_caption(text)
    if said is None:
        words = " ".join(text.lower().replace(",", " ").replace(".", " ").split())
        names = {name for name in (*COLORS, *SHAPES, *MOTIONS, *BACKGROUNDS) if f" {name} " in f" {words} "}
        found = [word in names for pair in truth.objects for word in pair]
        found += [truth.motion in names, truth.background in names]
        return found + ([False] if truth.relation else [])
    said = _as_told(said, truth)
    found = []
    for index, pair in enumerate(truth.objects):
        there = said.objects[index] if index < len(said.objects) else (None, None)
        found += [a == b for a, b in zip(there, pair, strict=True)]
    found += [said.motion == truth.motion, said.background == truth.background]
    return found + ([said.relation == truth.relation] if truth.relation else [])


_OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}


def _as_told(said: Attributes, truth: Attributes) -> Attributes:
    """The same statement with its objects in the order of the truth: A left of B is B right of A."""
    if len(said.objects) < 2 or said.relation is None:
        return said
    turned = Attributes(said.objects[::-1], said.motion, said.background, _OPPOSITE[said.relation])

    def agreement(order: Attributes) -> int:
        return sum(
            a == b
            for told, true in zip(order.objects, truth.objects, strict=False)
            for a, b in zip(told, true, strict=True)
        )

    return turned if agreement(turned) > agreement(said) else said


def _shot_of(row: Row, shots: Sequence[TrueShot]) -> TrueShot:
    name = Path(row["source_uri"]).name
    own = [shot for shot in shots if shot.source == name]
    if not own:
        raise ValueError(f"the truth knows no shot of {name}")
    return max(own, key=lambda shot: _overlap(row, shot))


def _overlap(row: Row, shot: TrueShot) -> float:
    return min(float(row["end_seconds"]), shot.end) - max(float(row["start_seconds"]), shot.start)


def _dropped(row: Row) -> bool:
    return bool(row["verdict"] == "dropped")


def _is_mistake(row: Row, shot: TrueShot) -> bool:
    return _dropped(row) != bool(shot.reasons) or (
        bool(shot.reasons) and not shot.reasons & set(row["reasons"])
    )


def _mistake(row: Row, shot: TrueShot) -> str:
    where = f"{shot.source} {float(row['start_seconds']):.2f} to {float(row['end_seconds']):.2f} s"
    return f"{where}: {', '.join(sorted(shot.reasons)) or 'sound'}, was {', '.join(row['reasons']) or 'kept'}"


def _rate(part: int, whole: int, empty: float = 1.0) -> float:
    return part / whole if whole else empty


def _share(answers: Sequence[Sequence[bool]]) -> float:
    flat = [answer for answers_of_one in answers for answer in answers_of_one]
    return _rate(sum(flat), len(flat))
