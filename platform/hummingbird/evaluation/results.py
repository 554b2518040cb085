"""One row a video: what was asked, what was measured, or why there is none. Rows are appended and read back."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hummingbird.evaluation.suites.base import EvaluationPrompt


@dataclass(frozen=True)
class VideoTask:
    """One video to make: a prompt with one of its seeds."""

    prompt: EvaluationPrompt
    seed: int

    @property
    def id(self) -> str:
        """Names the video's file: the prompt's id, with the seed's number where it has several."""
        several = len(self.prompt.seeds) > 1
        return f"{self.prompt.id}-{self.prompt.seeds.index(self.seed)}" if several else self.prompt.id


def tasks_of(prompts: Sequence[EvaluationPrompt]) -> list[VideoTask]:
    """All videos of all prompts, in order.

    Raises:
        ValueError: two prompts with one id.
    """
    tasks = [VideoTask(prompt, seed) for prompt in prompts for seed in prompt.seeds]
    if len({task.id for task in tasks}) < len(tasks):
        raise ValueError("the ids of prompts must be distinct: they name files")
    return tasks


@dataclass(frozen=True)
class VideoResult:
    """One video of one model.

    Attributes:
        id, prompt, seed: of its `VideoTask`; the prompt is the text.
        values: raw values by dimension; of a failed one the worst.
        checks: see `hummingbird.evaluation.suites.base.Measurement`.
        video: its mp4 in the folder ``videos``; none where it could not be made.
        error: why it could not be made, in one line.
        shape: frames, height, width.
        precision, device: what made it.
    """

    id: str
    prompt: str
    seed: int
    values: dict[str, float]
    checks: dict[str, bool] = field(default_factory=dict)
    video: str | None = None
    error: str | None = None
    shape: tuple[int, ...] = ()
    precision: str = ""
    device: str = ""

    @property
    def key(self) -> tuple[str, str, int]:
        """What was asked for."""
        return self.id, self.prompt, self.seed


def read_results(file: Path) -> list[VideoResult]:
    """Whole lines only: a process that was killed may have left half a line at the end, which is cut off."""
    if not file.is_file():
        return []
    text = file.read_text(encoding="utf-8")
    whole, newline, rest = text.rpartition("\n")
    if rest:
        file.write_text(whole + newline, encoding="utf-8")
    rows = [json.loads(line) for line in whole.splitlines()]
    return [VideoResult(**{**row, "shape": tuple(row["shape"])}) for row in rows]


def write_prompts(prompts: Iterable[EvaluationPrompt], file: Path) -> None:
    """The map from ids to prompts, a line of JSON each."""
    lines = [
        json.dumps(
            {
                "id": p.id,
                "prompt": p.text,
                "seeds": p.seeds,
                "dimensions": sorted(p.asks or ()),
                **({"auxiliary_info": dict(p.auxiliary_info)} if p.auxiliary_info else {}),
                **({} if p.original is None else {"original": p.original}),
            }
        )
        for p in prompts
    ]
    file.write_text("\n".join([*lines, ""]), encoding="utf-8")


def write_table(results: Mapping[str, Sequence[VideoResult]], file: Path) -> None:
    """All rows of all models as Parquet: ``value NAME`` by dimension, ``check NAME`` by check."""
    rows: list[dict[str, Any]] = []
    for model, videos in results.items():
        for video in videos:
            row = asdict(video)
            values, checks = row.pop("values"), row.pop("checks")
            rows.append(
                {
                    "model": model,
                    **row,
                    **{f"value {name}": value for name, value in values.items()},
                    **{f"check {name}": value for name, value in checks.items()},
                }
            )
    columns = dict.fromkeys(name for row in rows for name in row)
    pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in columns}), file)
