"""Parts of the report from the lake: curation, captions, lineage."""

import math
import operator
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from hummingbird.core.files import AnyPath
from hummingbird.core.scratch import local_copy
from hummingbird.lake.lake import Lake
from hummingbird.models.video import read_mp4
from hummingbird.reports.embed import strip_uris
from hummingbird.reports.report_data import CaptionChange, Captions, Curation, LineageNode, Strip

Row = dict[str, Any]

Filters = Sequence[Mapping[str, Any]]
"""What the filters of a run declare, as its ``result.json`` has it (``metrics.filters``)."""

Proposals = Mapping[str, Sequence[Mapping[str, float]]]
"""Values of thresholds and the share that each ``drops``, by setting (``metrics.projection.thresholds``)."""

_USUAL = 0.05  # share of the clips
_BEYOND: dict[str, Callable[[float, float], bool]] = {
    "below": operator.lt,
    "above": operator.gt,
    "from": operator.ge,
}


def curation_part(
    clips: pa.Table,
    quarantine: pa.Table,
    storage: AnyPath,
    truth: Mapping[str, float] | None = None,
    examples: int = 2,
    counts: Mapping[str, int] | None = None,
    filters: Filters = (),
    proposals: Proposals | None = None,
) -> Curation:
    """What became of the clips: rows of ``clips`` and ``quarantine`` as the lake reads them.

    Args:
        storage: the root that ``media_path`` is relative to.
        truth: rates by name, where the truth is known.
        examples: strips for each reason; twice as many of kept clips.
        counts: clips by verdict and by reason, where ``clips`` are but some of them.
        filters: whose scores are shown, with their thresholds.
        proposals: thresholds of which is shown what they would drop.
    """
    rows: list[Row] = clips.sort_by("clip_id").to_pylist()
    kept = [row for row in rows if row["verdict"] == "kept"]
    dropped = [row for row in rows if row["verdict"] == "dropped"]
    reasons = Counter(reason for row in dropped for reason in row["reasons"])
    if counts is not None:
        reasons = Counter({reason: counts[reason] for reason in reasons})
    failed = quarantine.sort_by("source_uri").to_pylist()
    titles = {column: title for declared in filters for column, title in declared["scores"].items()}
    return Curation(
        kept=len(kept) if counts is None else counts["kept"],
        dropped=len(dropped) if counts is None else counts["dropped"],
        quarantined=len(failed),
        reasons=dict(reasons.most_common()),
        kept_examples=tuple(_strip(row, storage, titles) for row in _spread(kept, 2 * examples)),
        examples={
            reason: tuple(
                _strip(row, storage, titles) for row in _spread(_because(dropped, reason), examples)
            )
            for reason, _ in reasons.most_common()
        },
        quarantine=tuple((Path(row["source_uri"]).name, row["stage"], row["error"]) for row in failed),
        truth=dict(truth or {}),
        distributions=_distributions(kept, dropped, titles),
        thresholds={
            titles[declared["column"]]: float(declared["threshold"])
            for declared in filters
            if math.isfinite(float(declared["threshold"]))
        },
        proposals={
            f"curate.{declared['setting']}={proposal['value']:.4g} would drop {proposal['drops']:.0%}": tuple(
                _strip(row, storage, titles)
                for row in _nearest_beyond(rows, declared, proposal["value"], examples)
            )
            for declared, proposal in _proposed(filters, proposals or {})
        },
    )


def _proposed(
    filters: Filters, proposals: Proposals
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, float]]]:
    """Each filter that has proposals, with the one that drops nearly what is usual."""
    for declared in filters:
        values = proposals.get(declared["setting"])
        if values:
            yield declared, min(values, key=lambda proposal: abs(proposal["drops"] - _USUAL))


def _nearest_beyond(rows: list[Row], declared: Mapping[str, Any], value: float, count: int) -> list[Row]:
    """The clips that a threshold would drop, nearest to it first: what they look like says whether it is right."""
    column, is_beyond = declared["column"], _BEYOND[declared["drops"]]
    beyond = [row for row in rows if row[column] is not None and is_beyond(row[column], value)]
    return sorted(beyond, key=lambda row: abs(row[column] - value))[:count]


def captions_part(
    clips: pa.Table,
    storage: AnyPath,
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
        true_before, true_after = (true or {}).get(row["clip_id"], (None, None))
        frames = strip_uris(_frames(row, storage))
        changes.append(
            CaptionChange(
                frames, row["caption_original"] or "", row["caption"] or "", true_before, true_after
            )
        )
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


def _frames(row: Row, storage: AnyPath) -> Any:
    return read_mp4(local_copy(storage / row["media_path"], unchanging=True))[0]


def _strip(row: Row, storage: AnyPath, titles: Mapping[str, str]) -> Strip:
    name = Path(row["source_uri"]).name
    return Strip(
        frames=strip_uris(_frames(row, storage)),
        title=f"{name}, {row['start_seconds']:.1f} to {row['end_seconds']:.1f} s",
        text=row["caption"] or row["caption_original"] or "",
        facts=tuple(
            (title, f"{row[column]:.3g}") for column, title in titles.items() if row.get(column) is not None
        ),
        tags=tuple(row["reasons"]),
    )


def _distributions(
    kept: Sequence[Row], dropped: Sequence[Row], titles: Mapping[str, str]
) -> dict[str, tuple[tuple[float, ...], tuple[float, ...]]]:
    distributions = {}
    for column, title in titles.items():
        values = [
            tuple(float(row[column]) for row in rows if row.get(column) is not None)
            for rows in (kept, dropped)
        ]
        if values[0] or values[1]:
            distributions[title] = (values[0], values[1])
    return distributions
