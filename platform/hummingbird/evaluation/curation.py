"""Curation against the truth: were clips with defects dropped, for the right reason; are captions true?

Only the small world's raw footage comes with a truth, and only this judge reads it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hummingbird.shapes.scene import BACKGROUNDS, COLORS, MOTIONS, SHAPES, Attributes, parse_caption
from hummingbird.shapes.truth import TrueFile, TrueShot

Row = Mapping[str, Any]

_OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}


@dataclass(frozen=True)
class CurationScore:
    """Rates against the truth.

    Attributes:
        precision, recall: of dropping, over clips: defective is positive.
        right_reason: share of the defective clips that were dropped for a reason that they have.
        sound_dropped: share of the sound clips that were dropped.
        lost_shots: shots of readable files that no clip shows.
        quarantine_right: every broken file is in quarantine with an error, and no other.
        caption_before, caption_after: share of true attributes that the kept clips' captions state.
        true_captions: by ``clip_id`` of kept clips, whether all attributes are right before and after.
        by_defect: name of the defect to (right, all): clips, and those dropped for a right reason.
        mistakes: file, time, what it shows and what it was dropped for, for people.
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
    by_defect: Mapping[str, tuple[int, int]]
    mistakes: Sequence[str]

    @property
    def rates(self) -> dict[str, float]:
        """The rates of dropping, as a report names them."""
        return {
            "precision": self.precision,
            "recall": self.recall,
            "right reason": self.right_reason,
            "sound clips dropped": self.sound_dropped,
        }


@dataclass(frozen=True)
class _JudgedClip:
    """A clip, its shot, and the reasons it may rightly be dropped for: none for a sound one."""

    row: Row
    uri: str
    shot: TrueShot
    right_reasons: frozenset[str]

    @property
    def dropped(self) -> bool:
        return bool(self.row["verdict"] == "dropped")

    @property
    def right(self) -> bool:
        return bool(self.right_reasons & set(self.row["reasons"])) if self.right_reasons else not self.dropped

    @property
    def mistake(self) -> str:
        where = f"{self.uri} {self.row['start_seconds']:.2f} to {self.row['end_seconds']:.2f} s"
        reasons = ", ".join(self.row["reasons"]) or "kept"
        return f"{where}: {self.shot.defect or 'sound'}, was {reasons}"


def of_footage(rows: pa.Table, folder: str | Path, truth: Sequence[TrueFile]) -> pa.Table:
    """The rows of ``folder``'s files that the truth is about.

    A lake may hold other sources too, and files of footage that was drawn in the same folder before.
    """
    return rows.filter(pc.is_in(rows["source_uri"], pa.array([f"{folder}/{file.uri}" for file in truth])))


def score_curation(
    clips: Sequence[Row], quarantine: Sequence[Row], truth: Sequence[TrueFile]
) -> CurationScore:
    """Compare rows of both tables with the truth; files are matched by name, clips by time.

    Raises:
        ValueError: there is no clip, or one of a file that the truth does not know.
    """
    if not clips:
        raise ValueError("there are no clips to score")
    judged = _judge(clips, truth)
    defective = [j for j in judged if j.right_reasons]
    sound = [j for j in judged if not j.right_reasons]
    hits, alarms = sum(j.dropped for j in defective), sum(j.dropped for j in sound)
    kept = [(j, j.shot.attributes) for j in judged if not j.dropped]
    # What does not move has no true caption; kept, it is a mistake of dropping already.
    captioned = [(j.row, shown) for j, shown in kept if shown is not None]
    before = [stated_attributes(row["caption_original"] or "", shown) for row, shown in captioned]
    after = [stated_attributes(row["caption"] or "", shown) for row, shown in captioned]
    shown_shots = {(j.uri, j.shot.start_frame) for j in judged}
    quarantined = {Path(row["source_uri"]).name for row in quarantine if row["error"]}
    return CurationScore(
        precision=_rate(hits, hits + alarms),
        recall=_rate(hits, len(defective)),
        right_reason=_rate(sum(j.right for j in defective), len(defective)),
        sound_dropped=_rate(alarms, len(sound), empty=0.0),
        lost_shots=sum((f.uri, s.start_frame) not in shown_shots for f in truth for s in f.shots),
        quarantine_right=quarantined == {file.uri for file in truth if file.broken},
        caption_before=_share(before),
        caption_after=_share(after),
        true_captions={
            row["clip_id"]: (all(b), all(a)) for (row, _), b, a in zip(captioned, before, after, strict=True)
        },
        by_defect=_by_defect(defective),
        mistakes=[j.mistake for j in judged if not j.right],
    )


def stated_attributes(text: str, truth: Attributes) -> list[bool]:
    """For each true attribute (colors, shapes, motion, background, relation): does ``text`` state it?

    A text outside the grammar states the attributes whose words it has, but no relation.
    """
    stated = parse_caption(text)
    if stated is None:
        words = " ".join(text.lower().replace(",", " ").replace(".", " ").split())
        names = {name for name in (*COLORS, *SHAPES, *MOTIONS, *BACKGROUNDS) if f" {name} " in f" {words} "}
        matches = [word in names for pair in truth.objects for word in pair]
        matches += [truth.motion in names, truth.background in names]
        return matches + ([False] if truth.relation else [])
    stated = _in_truth_order(stated, truth)
    matches = []
    for index, pair in enumerate(truth.objects):
        stated_pair = stated.objects[index] if index < len(stated.objects) else (None, None)
        matches += [a == b for a, b in zip(stated_pair, pair, strict=True)]
    matches += [stated.motion == truth.motion, stated.background == truth.background]
    return matches + ([stated.relation == truth.relation] if truth.relation else [])


def _in_truth_order(stated: Attributes, truth: Attributes) -> Attributes:
    """The same statement with its objects in the order of the truth: A left of B is B right of A."""
    if len(stated.objects) < 2 or stated.relation is None:
        return stated
    swapped = Attributes(stated.objects[::-1], stated.motion, stated.background, _OPPOSITE[stated.relation])

    def agreement(order: Attributes) -> int:
        pairs = zip(order.objects, truth.objects, strict=False)
        return sum(
            a == b for stated_pair, true_pair in pairs for a, b in zip(stated_pair, true_pair, strict=True)
        )

    return swapped if agreement(swapped) > agreement(stated) else stated


def _judge(clips: Sequence[Row], truth: Sequence[TrueFile]) -> list[_JudgedClip]:
    files = {file.uri: file for file in truth}
    pairs = []
    for row in clips:
        name = Path(row["source_uri"]).name
        if name not in files or not files[name].shots:
            raise ValueError(f"the truth knows no shot of {name}")
        pairs.append((row, name, max(files[name].shots, key=lambda shot: _overlap(row, shot))))
    groups = {shot.group for row, _, shot in pairs if row["verdict"] == "kept" and shot.defect is None}
    own: dict[int | None, str | None] = {
        s.group: s.reason for f in truth if f.copy_of is None for s in f.shots if s.group is not None
    }
    return [_JudgedClip(row, name, shot, _right_reasons(shot, groups, own)) for row, name, shot in pairs]


def _right_reasons(
    shot: TrueShot, kept: set[int | None], own: Mapping[int | None, str | None]
) -> frozenset[str]:
    """Why a clip of ``shot`` may be dropped: a copy of a shot that was kept, or for the shot's own defect."""
    if shot.reason != "duplicate":
        return frozenset([shot.reason] if shot.reason else [])
    reasons = {"duplicate"} if shot.group in kept else set()
    # The exact copy of a defective shot has its defect, which curation finds before it looks for copies.
    original = own.get(shot.group) if shot.defect == "exact_copy" else None
    return frozenset(reasons | ({original} if original else set()))


def _overlap(row: Row, shot: TrueShot) -> float:
    ends = min(float(row["end_seconds"]), shot.end_seconds)
    return ends - max(float(row["start_seconds"]), shot.start_seconds)


def _by_defect(defective: Sequence[_JudgedClip]) -> dict[str, tuple[int, int]]:
    names = sorted({str(j.shot.defect) for j in defective})
    by_name = {name: [j.right for j in defective if j.shot.defect == name] for name in names}
    return {name: (sum(right), len(right)) for name, right in by_name.items()}


def _rate(part: int, whole: int, empty: float = 1.0) -> float:
    return part / whole if whole else empty


def _share(matches: Sequence[Sequence[bool]]) -> float:
    flat = [match for clip_matches in matches for match in clip_matches]
    return _rate(sum(flat), len(flat))
