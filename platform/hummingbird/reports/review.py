"""The review of a curation run: what was kept, dropped and set aside, with frames, scores and captions."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from hummingbird.core.files import AnyPath
from hummingbird.core.scratch import origin
from hummingbird.lake.lake import Lake
from hummingbird.lake.runs import load_result
from hummingbird.lake.schemas import QUARANTINE, TableName
from hummingbird.reports.from_lake import captions_part, curation_part
from hummingbird.reports.from_runs import runs_part
from hummingbird.reports.page import write_report
from hummingbird.reports.report_data import Captions, Curation, Headline, ReportData

Row = dict[str, Any]

_DRAWN = 2000  # clips that distributions are drawn from
_SHOWN = 50  # clips of each reason, and files of quarantine, that the page chooses from


def write_review(
    lake: Lake, storage: AnyPath, result: Path, in_source: Callable[[str], bool] | None = None
) -> AnyPath:
    """Writes ``report.html`` beside the ``result.json`` of a curation run and returns its path.

    Memory stays flat: counts are of all clips, pictures and distributions of a sample (the smallest ``clip_id``,
    which are hashes: so the same ones each time).

    Args:
        in_source: whether a source is one of the run's, of all that the lake holds; none: those below its folder.
    """
    run_result = load_result(result)
    curation, captions = reviewed_curation(lake, storage, run_result, in_source)
    data = ReportData(
        title="Curation",
        subtitle=str(run_result["inputs"].get("given", run_result["inputs"]["source"])),
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        headlines=(
            Headline("kept", str(curation.kept)),
            Headline("dropped", str(curation.dropped)),
            Headline("in quarantine", str(curation.quarantined), "files that could not be read"),
            *_about_captions(run_result["metrics"]),
            *_about_the_whole(run_result["metrics"]),
        ),
        curation=curation,
        captions=captions,
        runs=runs_part([run_result]),
    )
    return write_report(data, origin(result).with_name("report.html"))


def reviewed_curation(
    lake: Lake,
    storage: AnyPath,
    run_result: Mapping[str, Any],
    in_source: Callable[[str], bool] | None = None,
) -> tuple[Curation, Captions | None]:
    """What became of the clips of a curation run, and their captions.

    Args:
        run_result: its ``result.json``.
        in_source: as `write_review` takes it.
    """
    source, snapshot = str(run_result["inputs"]["source"]), run_result["input_snapshot"]
    if in_source is None:
        root = f"{source.rstrip('/')}/"
        in_source = lambda uri: uri.startswith(root)  # noqa: E731
    clips, counts = _sample(_rows(lake, "clips", snapshot, in_source), lake.schema("clips"))
    failed = list(_rows(lake, "quarantine", snapshot, in_source))
    shown = heapq.nsmallest(_SHOWN, failed, key=lambda row: str(row["source_uri"]))
    curation = curation_part(
        clips,
        pa.Table.from_pylist(shown, schema=QUARANTINE),
        storage,
        counts=counts,
        filters=run_result["metrics"].get("filters", ()),
        proposals=(run_result["metrics"].get("projection") or {}).get("thresholds"),
    )
    return replace(curation, quarantined=len(failed)), captions_part(clips, storage)


def _about_captions(metrics: Row) -> Iterator[Headline]:
    """What is said where captions are not a model's, or clips have none."""
    if metrics.get("caption_engine") is None:
        yield Headline("captions", "from the files", "models.captioner names no captioner")
    if metrics.get("without_caption"):
        yield Headline("without a caption", str(metrics["without_caption"]), "kept; encode leaves them out")


def _about_the_whole(metrics: Row) -> Iterator[Headline]:
    """What a pilot says of its whole source."""
    projection = metrics.get("projection")
    if projection:
        cost = f"{projection['core_hours']:.3g} core hours, {projection['gigabytes']:.3g} GB"
        if projection["gpu_hours"]:
            cost += f", {projection['gpu_hours']:.3g} GPU hours"
        files = f"about {projection['clips']} clips of {projection['files']} files: {cost}"
        yield Headline("a pilot", f"{projection['sampled']} files", files)


def _rows(lake: Lake, table: TableName, snapshot: int, in_source: Callable[[str], bool]) -> Iterator[Row]:
    columns = [name for name in lake.schema(table).names if name not in ("embedding", "perceptual_hash")]
    for batch in lake.batches(table, snapshot_id=snapshot, columns=columns):
        yield from (row for row in batch.to_pylist() if in_source(row["source_uri"]))


def _sample(rows: Iterator[Row], schema: pa.Schema) -> tuple[pa.Table, Counter[str]]:
    """Clips to show and to draw distributions from, and how many there are of each verdict and reason."""
    counts: Counter[str] = Counter()
    pools: dict[str, list[Row]] = {}

    def key(row: Row) -> str:
        return str(row["clip_id"])

    def smallest(pool: str) -> list[Row]:
        return heapq.nsmallest(_SHOWN if pool else _DRAWN, pools[pool], key=key)

    for row in rows:
        names = [row["verdict"], *row["reasons"]]
        counts.update(names)
        for pool in ("", *names):
            pools.setdefault(pool, []).append(row)
            if len(pools[pool]) >= 2 * (_SHOWN if pool else _DRAWN):
                pools[pool] = smallest(pool)
    chosen = {key(row): row for row in chain.from_iterable(map(smallest, pools))}
    return pa.Table.from_pylist(list(chosen.values()), schema=schema), counts
