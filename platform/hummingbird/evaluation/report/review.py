"""The review of a curation run: what was kept, dropped and set aside, with frames, scores and captions."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from hummingbird.evaluation.report.data import Headline, ReportData
from hummingbird.evaluation.report.from_lake import captions_part, curation_part
from hummingbird.evaluation.report.from_runs import load_result, runs_part
from hummingbird.evaluation.report.page import write_report
from hummingbird.lake.lake import Lake


def write_review(lake: Lake, storage: Path, result: Path) -> Path:
    """Writes ``report.html`` beside the ``result.json`` of a curation run and returns its path."""
    found = load_result(result)
    source, snapshot = str(found["inputs"]["source"]), found["input_snapshot"]
    # The lake may hold clips of other folders too.
    clips, quarantine = (_below(lake.read(t, snapshot_id=snapshot), source) for t in ("clips", "quarantine"))
    curation = curation_part(clips, quarantine, storage)
    data = ReportData(
        title="Curation",
        subtitle=source,
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        headlines=(
            Headline("kept", str(curation.kept)),
            Headline("dropped", str(curation.dropped)),
            Headline("in quarantine", str(curation.quarantined), "files that could not be read"),
        ),
        curation=curation,
        captions=captions_part(clips, storage),
        runs=runs_part([found]),
    )
    return write_report(data, result.with_name("report.html"))


def _below(rows: pa.Table, source: str) -> pa.Table:
    """The rows whose files lie in the folder ``source``."""
    return rows.filter(pc.starts_with(rows["source_uri"], f"{source.rstrip('/')}/"))
