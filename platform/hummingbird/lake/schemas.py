"""The tables of the lake: columns, field ids, and the Arrow schemas that writers fill.

Columns are only ever added, at the end, and none of the new ones is required: by later versions, and for the scores
of filters from outside (`hummingbird.lake.lake.Lake.declare_scores`). (Iceberg numbers the columns of
a new table first, then the elements of its lists; an older table keeps the ids that it has.)
`SCHEMA_VERSION` is written into every table as the property ``hummingbird.schema-version``.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import pyarrow as pa
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.types import (
    DoubleType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    NestedField,
    StringType,
    TimestamptzType,
)

SCHEMA_VERSION = 1
VERSION_PROPERTY = "hummingbird.schema-version"

TableName = Literal["clips", "quarantine", "runs", "models"]
TABLES: tuple[TableName, ...] = get_args(TableName)

VERDICTS = ("kept", "dropped")
REASONS = (
    "technical_quality",
    "aesthetic_quality",
    "overall_quality",
    "static",
    "freeze",
    "flicker",
    "zoom",
    "text",
    "duplicate",
    "too_short",
    "low_caption",
    "unjudged",
)
"""Why a clip can be dropped, besides the reasons of filters from outside; a dropped clip has at least one reason, a
kept one none. ``unjudged``: scored by a run whose thresholds are percentiles, which has not scored all yet."""
REASONS_PROPERTY = "hummingbird.reasons"
"""Of the table ``clips``: further reasons, with commas between them."""

JSON_COLUMNS = frozenset({"settings", "inputs", "outputs", "metrics", "plan", "scores"})
"""Columns of `runs` and `models` that hold JSON as text."""


def _field(number: int, name: str, kind: IcebergType, doc: str, required: bool = False) -> NestedField:
    return NestedField(number, name, kind, required=required, doc=doc)


_CLIPS = Schema(
    _field(1, "clip_id", StringType(), "from the source and the time range", True),
    _field(2, "batch_id", StringType(), "the batch that committed the row", True),
    _field(3, "source_uri", StringType(), "the raw file", True),
    _field(4, "start_seconds", DoubleType(), "start in the source", True),
    _field(5, "end_seconds", DoubleType(), "end in the source, exclusive", True),
    _field(6, "width", IntegerType(), "pixels"),
    _field(7, "height", IntegerType(), "pixels"),
    _field(8, "fps", DoubleType(), "frames a second"),
    _field(9, "num_frames", IntegerType(), "frames of the clip"),
    _field(10, "media_path", StringType(), "the clip's file, relative to the storage"),
    _field(11, "content_hash", StringType(), "SHA-256 of the clip's file"),
    _field(12, "perceptual_hash", StringType(), "for near copies"),
    _field(13, "frames_hash", StringType(), "SHA-256 of the frames that the captioner saw"),
    _field(14, "quality_technical", DoubleType(), "technical score"),
    _field(15, "quality_aesthetic", DoubleType(), "aesthetic score"),
    _field(16, "quality_overall", DoubleType(), "fused score, 0 to 1"),
    _field(17, "motion_score", DoubleType(), "amount of motion"),
    _field(18, "zoom_score", DoubleType(), "share of the motion that is zoom"),
    _field(19, "flicker_score", DoubleType(), "change of brightness from frame to frame"),
    _field(20, "text_share", DoubleType(), "share of the clip, in time and picture, under overlaid text"),
    _field(21, "shot_index", IntegerType(), "number of the shot in the source, from 0"),
    _field(22, "caption_original", StringType(), "the caption that came with the source"),
    _field(23, "caption", StringType(), "the caption in use"),
    _field(24, "caption_model", StringType(), "the model that wrote it"),
    _field(25, "caption_prompt_version", StringType(), "name and version of the prompt it was asked with"),
    _field(26, "verdict", StringType(), "kept or dropped", True),
    _field(
        27,
        "reasons",
        ListType(44, StringType(), element_required=True),
        "why it was dropped; empty: kept",
        True,
    ),
    _field(28, "models_licence", StringType(), "licences of the models that made scores and caption"),
    _field(29, "freeze_score", DoubleType(), "longest stretch without change, in seconds"),
    _field(30, "sharpness_score", DoubleType(), "share of its edges' steepness that a clip loses by a blur"),
    _field(31, "noise_score", DoubleType(), "standard deviation of the noise, in gray levels"),
    _field(32, "blockiness_score", DoubleType(), "steepness across an 8 x 8 grid over that elsewhere"),
    _field(33, "exposure_score", DoubleType(), "contrast left between black and white, 0 to 1"),
    _field(34, "quality_weightless", DoubleType(), "technical score without weights, 0 to 1"),
    _field(35, "technical_by", StringType(), "which technical score decided: model or weightless"),
    _field(36, "scoring_key", StringType(), "hash of the source, settings and models that made the scores"),
    _field(
        37,
        "caption_engine",
        StringType(),
        "what ran the captioner: vllm, http, transformers; source: the caption came with the file; none",
    ),
    _field(
        38,
        "caption_described",
        StringType(),
        "the captioner's words, where a rewriter made the caption of them",
    ),
    _field(39, "caption_rewriter", StringType(), "the language model that rewrote them"),
    _field(40, "caption_rewrite_prompt", StringType(), "name and version of the prompt it was asked with"),
    _field(41, "caption_tries", IntegerType(), "answers asked for in all, 1 or 2 where none failed a check"),
    _field(
        42, "caption_problem", StringType(), "the check that the last answer failed: dropped as low_caption"
    ),
    _field(43, "embedding", StringType(), "the clip's coarse picture as a vector, for near copies"),
    identifier_field_ids=[1],
)

_QUARANTINE = Schema(
    _field(1, "source_uri", StringType(), "the input that failed", True),
    _field(2, "batch_id", StringType(), "the batch that committed the row", True),
    _field(3, "stage", StringType(), "the stage that failed", True),
    _field(4, "error", StringType(), "what went wrong", True),
    _field(5, "scoring_key", StringType(), "hash of the source, settings and models it failed with"),
    identifier_field_ids=[1],
)

_RUNS = Schema(
    _field(1, "run_id", StringType(), "verb and key of a run, or the id of a batch", True),
    _field(2, "kind", StringType(), "run, or batch: a ledger row, written last", True),
    _field(3, "verb", StringType(), "the job"),
    _field(4, "state", StringType(), "running, finished, failed or interrupted", True),
    _field(5, "settings", StringType(), "JSON: the settings tree"),
    _field(6, "settings_hash", StringType(), "SHA-256 of the settings"),
    _field(7, "code_version", StringType(), "version and commit of the code"),
    _field(8, "input_snapshot", LongType(), "the snapshot of clips that was read"),
    _field(9, "inputs", StringType(), "JSON"),
    _field(10, "outputs", StringType(), "JSON: artifacts"),
    _field(11, "metrics", StringType(), "JSON"),
    _field(12, "error", StringType(), "why it failed"),
    _field(13, "started", TimestamptzType(), "UTC", True),
    _field(14, "finished", TimestamptzType(), "UTC"),
    _field(15, "sequence", LongType(), "ledger rows only: their order, from 1"),
    _field(16, "clips_snapshot", LongType(), "ledger rows only: the state of clips with this batch"),
    _field(17, "quarantine_snapshot", LongType(), "ledger rows only: the same of quarantine"),
    identifier_field_ids=[1],
)

_MODELS = Schema(
    _field(1, "model_id", StringType(), "unique name, usually kind and hash of the weights", True),
    _field(2, "kind", StringType(), "teacher, pruned, distilled, feedback, package, ...", True),
    _field(3, "parent_id", StringType(), "the model it was made from"),
    _field(4, "run_id", StringType(), "the run that made it"),
    _field(5, "snapshot_id", LongType(), "the snapshot of clips it learned from"),
    _field(6, "path", StringType(), "folder or file"),
    _field(7, "weights_hash", StringType(), "SHA-256 of the weights"),
    _field(8, "parameters", LongType(), "parameters of the U-Net"),
    _field(9, "plan", StringType(), "JSON: the pruning plan"),
    _field(10, "scores", StringType(), "JSON"),
    _field(11, "licence", StringType(), "licence of the weights"),
    _field(12, "settings_hash", StringType(), "SHA-256 of the settings that made it"),
    _field(13, "created", TimestamptzType(), "UTC", True),
    _field(14, "source", StringType(), "where imported weights are from"),
    identifier_field_ids=[1],
)

ICEBERG: dict[TableName, Schema] = {
    "clips": _CLIPS,
    "quarantine": _QUARANTINE,
    "runs": _RUNS,
    "models": _MODELS,
}


def _plain(kind: pa.DataType) -> pa.DataType:
    """The small variants of pyiceberg's large strings and lists, which every Arrow function takes."""
    if pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_large_list(kind):
        return pa.list_(pa.field("element", _plain(kind.value_type), nullable=kind.value_field.nullable))
    return kind


def _arrow(schema: Schema) -> pa.Schema:
    fields = schema_to_pyarrow(schema, include_field_ids=False)
    return pa.schema([pa.field(f.name, _plain(f.type), nullable=f.nullable) for f in fields])


ARROW: dict[TableName, pa.Schema] = {name: _arrow(schema) for name, schema in ICEBERG.items()}
CLIPS = ARROW["clips"]
QUARANTINE = ARROW["quarantine"]
MODELS = ARROW["models"]


def arrow_schema(name: TableName, table: Table) -> pa.Schema:
    """The columns of `ARROW`, and what a table has besides: of clips, the scores of filters from outside."""
    known = ARROW[name]
    further = [field for field in _arrow(table.schema()) if field.name not in known.names]
    return pa.schema([*known, *further])


def with_all_columns(whole: pa.Schema, rows: pa.Table, columns: Sequence[str] | None = None) -> pa.Table:
    """Rows with the columns and types of ``whole``: those of a snapshot older than a column have null there.

    ``columns``: those wanted, in their order; none: all.
    """
    schema = pa.schema([whole.field(column) for column in columns or whole.names])
    for column in schema:
        if column.name not in rows.column_names:
            rows = rows.append_column(column, pa.nulls(rows.num_rows, column.type))
    return rows.select(schema.names).cast(schema)
