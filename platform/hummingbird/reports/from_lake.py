"""Parts of the report from the lake: curation, captions, lineage."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from hummingbird.lake.lake import Lake
from hummingbird.models.video import read_mp4
from hummingbird.reports.embed import strip_uris
from hummingbird.reports.report_data import CaptionChange, Captions, Curation, LineageNode, Strip

Row = dict[str, Any]

_SCORES = {
    "technical quality": ("quality_technical", "min_technical"),
    "technical quality, no weights": ("quality_weightless", "min_weightless"),
    "aesthetic quality": ("quality_aesthetic", None),
    "sharpness": ("sharpness_score", None),
    "noise": ("noise_score", None),
    "blockiness": ("blockiness_score", None),
    "exposure": ("exposure_score", None),
    "motion": ("motion_score", "min_motion"),
    "freeze": ("freeze_score", "max_freeze"),
    "zoom": ("zoom_score", "max_zoom"),
    "flicker": ("flicker_score", "max_flicker"),
    "text": ("text_share", "max_text"),
}
"""Names on the page: the column, and the threshold that decides by it, if one does."""


def curation_part(
    clips: pa.Table,
    quarantine: pa.Table,
    storage: Path,
    truth: Mapping[str, float] | None = None,
    examples: int = 2,
    counts: Mapping[str, int] | None = None,
    thresholds: Mapping[str, float] | None = None,
) -> Curation:
    """What became of the clips: rows of ``clips`` and ``quarantine`` as the lake reads them.

    Args:
        storage: the root that ``media_path`` is relative to.
        truth: rates by name, where the truth is known.
        examples: strips for each reason; twice as many of kept clips.
        counts: clips by verdict and by reason, where ``clips`` are but some of them.
        thresholds: what was kept and dropped by, by the names of curation's settings.
    """
    rows: list[Row] = clips.sort_by("clip_id").to_pylist()
    kept = [row for row in rows if row["verdict"] == "kept"]
    dropped = [row for row in rows if row["verdict"] == "dropped"]
    reasons = Counter(reason for row in dropped for reason in row["reasons"])
    if counts is not None:
        reasons = Counter({reason: counts[reason] for reason in reasons})
    failed = quarantine.sort_by("source_uri").to_pylist()
    return Curation(
        kept=len(kept) if counts is None else counts["kept"],
        dropped=len(dropped) if counts is None else counts["dropped"],
        quarantined=len(failed),
        reasons=dict(reasons.most_common()),
        kept_examples=tuple(_strip(row, storage) for row in _spread(kept, 2 * examples)),
        examples={
            reason: tuple(_strip(row, storage) for row in _spread(_because(dropped, reason), examples))
            for reason, _ in reasons.most_common()
        },
        quarantine=tuple((Path(row["source_uri"]).name, row["stage"], row["error"]) for row in failed),
        truth=dict(truth or {}),
        distributions=_distributions(kept, dropped),
        thresholds={
            name: thresholds[setting]
            for name, (_, setting) in _SCORES.items()
            if thresholds and setting and math.isfinite(thresholds.get(setting, math.inf))
        },
    )


def captions_part(
    clips: pa.Table,
    storage: Path,
    accuracy: tuple[float, float] | None = None,
    true: Mapping[str, tuple[bool, bool]] | None = None,
    examples: int = 6,
) -> Captions | None:
    """Captions of kept clips before and after, or None where there is no kept clip.

    Args:
        accuracy: share of attributes that are right before and after, where known.
        true: by ``clip_id``, whether the caption is true before and after.
    """
    kept = [row for row in clips.sort_by("clip_id").to_pylist() if row["verdict"] == "kept"]
    changed = [row for row in kept if row["caption"] != row["caption_original"]]
    if not changed:
        return None
    before, after = accuracy or (None, None)
    changes = []
    for row in _spread(changed, examples):
        was, now = (true or {}).get(row["clip_id"], (None, None))
        frames = strip_uris(_frames(row, storage))
        changes.append(CaptionChange(frames, row["caption_original"] or "", row["caption"] or "", was, now))
    models = sorted({row["caption_model"] for row in changed if row["caption_model"]})
    return Captions(tuple(changes), before, after, ", ".join(models))


def lineage_part(lake: Lake, model_id: str) -> tuple[LineageNode, ...]:
    """From a model through its parents to the snapshot of clips that it learned from."""
    line = lake.lineage(model_id)
    nodes = []
    made_by = ""
    for entry in line:
        model, run = entry["model"], entry["run"]
        facts = [("id", model["model_id"])]
        if model["parameters"]:
            facts.append(("parameters", f"{model['parameters']:,}"))
        if model["licence"]:
            facts.append(("licence", model["licence"]))
        nodes.append(LineageNode("model", str(model["kind"]), made_by, tuple(facts)))
        made_by = run["verb"] if run is not None else ""
    snapshot = next((e for e in line if e["snapshot_id"] is not None), None)
    if snapshot is not None:
        # The snapshot belongs to the training of the first model that has one, not to the last in the chain.
        nodes.append(_data_node(lake, snapshot["snapshot_id"]))
    return tuple(nodes)


def _data_node(lake: Lake, snapshot_id: int) -> LineageNode:
    clips = lake.kept_clips(snapshot_id)
    sources = len(set(clips["source_uri"].to_pylist()))
    facts = (("snapshot", str(snapshot_id)), ("source files", str(sources)))
    return LineageNode("data", f"{clips.num_rows} kept clips", "learned from", facts)


def _because(rows: Sequence[Row], reason: str) -> list[Row]:
    """Clips dropped for ``reason``; those with no other reason first, as they show it best."""
    return sorted((row for row in rows if reason in row["reasons"]), key=lambda row: len(row["reasons"]))


def _spread(rows: Sequence[Row], count: int) -> list[Row]:
    """The first ``count`` rows with different sources where there are as many, so that examples differ."""
    first = {row["source_uri"]: row for row in reversed(rows)}
    ordered = [row for row in rows if first[row["source_uri"]] is row]
    others = [row for row in rows if first[row["source_uri"]] is not row]
    return [*ordered, *others][:count]


def _frames(row: Row, storage: Path) -> Any:
    return read_mp4(storage / row["media_path"])[0]


def _strip(row: Row, storage: Path) -> Strip:
    name = Path(row["source_uri"]).name
    return Strip(
        frames=strip_uris(_frames(row, storage)),
        title=f"{name}, {row['start_seconds']:.1f} to {row['end_seconds']:.1f} s",
        text=row["caption"] or row["caption_original"] or "",
        facts=tuple((name, f"{row[key]:.3g}") for name, (key, _) in _SCORES.items() if row[key] is not None),
        tags=tuple(row["reasons"]),
    )


def _distributions(
    kept: Sequence[Row], dropped: Sequence[Row]
) -> dict[str, tuple[tuple[float, ...], tuple[float, ...]]]:
    distributions = {}
    for name, (key, _) in _SCORES.items():
        values = [tuple(float(row[key]) for row in rows if row[key] is not None) for rows in (kept, dropped)]
        if values[0] or values[1]:
            distributions[name] = (values[0], values[1])
    return distributions
