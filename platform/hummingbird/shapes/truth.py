"""The truth about generated footage: a JSON-lines file outside the folder of footage, which only judges read.

The first line is {"schema_version": 1, "settings": {...}}; every other line is one file, in order of name:
- uri: the file's name, as in captions.csv; width, height, fps: of the picture (0 for a file without one);
- broken: null, or why nothing can be read from the file: "truncated" (its end and its index are missing),
  "cut off" (its end is missing, the index is there), "empty", "text" (an HTML page) or "audio" (sound alone).
  A broken file belongs in quarantine, and no clip of it in the table;
- copy_of: null, or the uri of the file that this one is an exact copy of;
- caption, caption_kind: what captions.csv says (null: nothing), and whether that is "missing", "vague",
  "wrong" (another scene's, chosen to have as little as possible in common with the file's) or "right" (for
  one sound shot; the others still differ);
- shots (none if broken), in order, without gaps: start_frame, frames, start_seconds, end_seconds; the scene's
  objects (color and shape), motion (null where nothing moves), background, relation, and its true caption
  (null where the motion is); defect (null, a key of ``hummingbird.shapes.defects.REASONS``, "near_copy",
  "exact_copy" or "too_short"); reason (null for a sound shot, else the one it must be dropped for); group
  (null, or a number that a shot and its copy share: exactly one of the two may stay. The one that is called
  the copy comes later in the order of file names).
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hummingbird.shapes.defects import REASONS
from hummingbird.shapes.scene import Attributes, format_caption

SCHEMA_VERSION = 1
ALL_REASONS = {**REASONS, "near_copy": "duplicate", "exact_copy": "duplicate", "too_short": "too_short"}


@dataclass(frozen=True)
class TrueShot:
    """One shot of a file. ``objects`` are (color, shape) pairs, the relation's subject first."""

    start_frame: int
    frames: int
    start_seconds: float
    end_seconds: float
    objects: tuple[tuple[str, str], ...]
    motion: str | None
    background: str
    relation: str | None
    defect: str | None
    group: int | None

    @property
    def reason(self) -> str | None:
        """The reason to drop the shot for, None if it is sound."""
        return ALL_REASONS[self.defect] if self.defect else None

    @property
    def attributes(self) -> Attributes | None:
        """What a true caption states, None where nothing moves."""
        if self.motion is None:
            return None
        return Attributes(self.objects, self.motion, self.background, self.relation)


@dataclass(frozen=True)
class TrueFile:
    """One file of the footage."""

    uri: str
    width: int
    height: int
    fps: int
    broken: str | None
    copy_of: str | None
    caption: str | None
    caption_kind: str
    shots: tuple[TrueShot, ...]


def truth_path(folder: Path) -> Path:
    """Where the truth about the footage in ``folder`` lies: beside the folder."""
    return folder.parent / f"{folder.name}-truth.jsonl"


def write_truth(path: Path, files: Sequence[TrueFile], settings: Mapping[str, Any]) -> None:
    """Write the truth in one step: a file that is there is complete."""
    lines: list[Mapping[str, Any]] = [{"schema_version": SCHEMA_VERSION, "settings": settings}]
    for file in files:
        line = dataclasses.asdict(file)
        for shot, row in zip(file.shots, line["shots"], strict=True):
            row["reason"] = shot.reason
            row["caption"] = format_caption(shot.attributes) if shot.attributes else None
        lines.append(line)
    partial = path.with_suffix(".partial")
    partial.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    partial.replace(path)


def read_truth(path: Path) -> list[TrueFile]:
    """The files of the footage, in order of name.

    Raises:
        ValueError: another schema version, or no truth file.
    """
    header, *lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if header.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(
            f"{path} is no truth file of schema version {SCHEMA_VERSION}: draw the footage again"
        )
    return [_file(line) for line in lines]


def read_settings(path: Path) -> Mapping[str, Any]:
    """The settings that the footage was drawn with."""
    with path.open(encoding="utf-8") as file:
        header: Mapping[str, Any] = json.loads(file.readline())
    if header.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(
            f"{path} is no truth file of schema version {SCHEMA_VERSION}: draw the footage again"
        )
    settings: Mapping[str, Any] = header["settings"]
    return settings


def _file(line: dict[str, Any]) -> TrueFile:
    shots = []
    for shot in line.pop("shots"):
        objects = tuple((str(color), str(shape)) for color, shape in shot.pop("objects"))
        del shot["reason"], shot["caption"]
        shots.append(TrueShot(objects=objects, **shot))
    return TrueFile(shots=tuple(shots), **line)
