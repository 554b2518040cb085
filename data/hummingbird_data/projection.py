"""What a pilot says of the whole source: time, space, and what thresholds would drop."""

from typing import Any

import numpy as np
from hummingbird.core.files import file_size
from hummingbird.lake.lake import Lake

from hummingbird_data.curation_plan import CurationPlan
from hummingbird_data.runtime.progress import Work
from hummingbird_data.sources.source_batches import Sources

_SHARES = (1, 5, 10, 20)  # per cent of the clips that a proposed threshold drops
_DECODING = "decoding"  # is part of the other stages' time


def project(
    work: Work, total: int, plan: CurationPlan, lake: Lake, snapshot: int, sources: Sources, cores: int
) -> dict[str, Any] | None:
    """The whole source, from the files of a sample; None where this run has read none of them.

    Args:
        work: what the run did.
        total: files of the whole source.
        snapshot: of the clips, of which those of ``sources`` count.
        cores: that the work is spread over.

    Returns:
        ``files``; ``clips`` and ``gigabytes`` of clip files; ``core_hours``, ``gpu_hours``, and ``hours``: the core
        hours over ``cores``. ``thresholds``: by the name of a setting, values of it and the share of the sample's
        clips that each ``drops``.
    """
    if not work.files:
        return None
    columns = sorted({one.threshold.column for one in plan.filters})
    rows = [
        row
        for batch in lake.batches("clips", None, snapshot, ["source_uri", "media_path", *columns])
        for row in batch.to_pylist()
        if row["source_uri"] in sources
    ]
    size = sum(file_size(plan.storage / row["media_path"]) for row in rows)
    seconds = {name: spent for name, (_, spent) in work.stages.items() if name != _DECODING}
    on_gpus = _gpu_stages(plan, seconds)
    core_seconds = sum(spent for name, spent in seconds.items() if name not in on_gpus)
    gpu_seconds = sum(seconds[name] for name in on_gpus)
    scale = total / work.files / 3600
    return {
        "files": total,
        "sampled": len(sources),
        "clips": round(len(rows) * total / len(sources)),
        "gigabytes": round(size * total / len(sources) / 1e9, 6),
        "core_hours": round(core_seconds * scale, 6),
        "gpu_hours": round(gpu_seconds * scale, 6),
        "hours": round(core_seconds * scale / cores, 6),
        "cores": cores,
        "thresholds": _proposals(plan, rows),
    }


def describe_projection(projection: dict[str, Any]) -> str:
    """The projection as lines for a terminal."""
    p = projection
    lines = [
        f"the whole source, from {p['sampled']} of {p['files']} files: about {p['clips']} clips, "
        f"{p['gigabytes']:.3g} GB, {p['core_hours']:.3g} core hours ({p['hours']:.3g} hours on {p['cores']} cores)"
        + (f", {p['gpu_hours']:.3g} GPU hours" if p["gpu_hours"] else ""),
        "thresholds, and how many of the sample's clips each would drop (settings also take a percentile, such as 5%):",
    ]
    for setting, values in p["thresholds"].items():
        proposals = ", ".join(f"{one['value']:.4g} drops {one['drops']:.1%}" for one in values)
        lines.append(f"  curate.{setting}: {proposals}")
    return "\n".join(lines)


def _gpu_stages(plan: CurationPlan, seconds: dict[str, float]) -> set[str]:
    scoring = {stage.name: stage.gpus for stage in plan.scoring}
    captions = 0.0 if plan.captions is None else plan.captions.describe.engine.gpus
    return {name for name in seconds if scoring.get(name, captions)}


def _proposals(plan: CurationPlan, rows: list[dict[str, Any]]) -> dict[str, list[dict[str, float]]]:
    proposals = {}
    for threshold in (one.threshold for one in plan.filters):
        scores = [row[threshold.column] for row in rows if row[threshold.column] is not None]
        if not scores:
            continue
        below = threshold.drops == "below"
        places = [share if below else 100 - share for share in _SHARES]
        values = np.percentile(scores, places, method="lower" if below else "higher")
        if threshold.drops == "from":
            values = [min((score for score in scores if score > value), default=np.inf) for value in values]
        shares = {float(v): sum(threshold.applies(s, float(v)) for s in scores) / len(scores) for v in values}
        dropping = [{"value": value, "drops": round(share, 4)} for value, share in shares.items() if share]
        if dropping:  # many clips may have the same score
            proposals[threshold.setting] = dropping
    return proposals
