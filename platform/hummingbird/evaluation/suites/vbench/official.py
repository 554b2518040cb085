"""VBench's own package, in an environment of its own: videos under the names it expects, its result files read back."""

import hashlib
import json
import math
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hummingbird.evaluation.suites.base import EvaluationPrompt, FileMeasurements, FinishedVideo
from hummingbird.evaluation.suites.vbench import official_runner

_LONGEST = 240  # bytes of a file's name before "-0.mp4"
_SCALES = {"imaging quality": 100.0}
"""What the package divides its mean by and the videos' own values not."""
_LEAVES_OUT = frozenset({"color"})
"""Dimensions that the package averages over those videos alone in which it found the object."""


def measure_officially(
    python: Path, videos: Sequence[FinishedVideo], asked: Sequence[frozenset[str]], folder: Path
) -> FileMeasurements:
    """Measures videos with the package; what it measured before is read again.

    Args:
        python: of the environment that has the package.
        asked: dimensions, a set a video.
        folder: gets links to the videos, the list of them, and the package's files.

    Raises:
        ValueError: a result file that is not in the package's form, or lacks a video.
    """
    wanted = sorted(frozenset().union(*asked))
    paths = link_videos(videos, folder / "videos")
    text = json.dumps(full_info(videos, asked, paths), ensure_ascii=False, indent=1)
    results = folder / hashlib.sha256(text.encode()).hexdigest()[:12]
    results.mkdir(parents=True, exist_ok=True)
    info = results / "full_info.json"
    info.write_text(text, encoding="utf-8")
    absent = [name for name in wanted if not result_file(results, name).is_file()]
    problem = _run(python, info, results, absent) if absent else ""
    values: list[dict[str, float]] = [{} for _ in videos]
    missing: dict[str, str] = {}
    for name in wanted:
        if not result_file(results, name).is_file():
            missing[name] = f"VBench's own package could not measure it: {_reason(results, name) or problem}"
            continue
        found = read_results(result_file(results, name), name)
        for place, path in enumerate(paths):
            if name not in asked[place]:
                continue
            if str(path) in found:
                values[place][name] = found[str(path)]
            elif name not in _LEAVES_OUT:
                raise ValueError(f"{result_file(results, name)} has no value of {path}")
    return FileMeasurements(values, missing)


def result_file(folder: Path, dimension: str) -> Path:
    """Where the package writes what it found of a dimension."""
    return folder / f"{_key(dimension)}_eval_results.json"


def read_results(file: Path, dimension: str) -> dict[str, float]:
    """Raw values by path of a result file: ``{"color": [mean, [{"video_path": ..., "video_results": ...}, ...]]}``.

    Raises:
        ValueError: it is in another form, or a value is no number; names the file and the video.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        rows: list[Mapping[str, Any]] = content[_key(dimension)][1]
        raw = {str(row["video_path"]): row["video_results"] for row in rows}
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise ValueError(f"{file} is no result of {dimension} in VBench's form: {error!r}") from error
    for path, value in raw.items():
        if not isinstance(value, bool | int | float) or not math.isfinite(value):
            raise ValueError(f"{file}: {dimension} of {path} is {value!r}, which is no number")
    return {path: float(value) / _SCALES.get(dimension, 1.0) for path, value in raw.items()}


def full_info(
    videos: Sequence[FinishedVideo], asked: Sequence[frozenset[str]], paths: Sequence[Path]
) -> list[dict[str, Any]]:
    """The package's list: prompts with their dimensions, what is to be seen, and their videos."""
    entries: dict[str, dict[str, Any]] = {}
    for video, names, path in zip(videos, asked, paths, strict=True):
        prompt: EvaluationPrompt = video.prompt
        entry = entries.setdefault(
            prompt.id,
            {
                "prompt_en": prompt.asked_text,
                "dimension": sorted(map(_key, names)),
                "auxiliary_info": dict(prompt.auxiliary_info),
                "video_list": [],
            },
        )
        entry["video_list"].append(str(path))
    return list(entries.values())


def link_videos(videos: Sequence[FinishedVideo], folder: Path) -> list[Path]:
    """Links ``PROMPT-NUMBER.mp4``, as the package names files: human action is read from the name.

    A prompt that cannot name a file is named by its id.
    """
    folder.mkdir(parents=True, exist_ok=True)
    taken: set[str] = set()
    paths = []
    for video in videos:
        name = f"{_file_name(video.prompt)}-{video.number}.mp4"
        if name in taken:
            name = f"{video.prompt.id}-{video.number}.mp4"
        taken.add(name)
        path = folder / name
        path.unlink(missing_ok=True)
        path.symlink_to(video.path.absolute())
        paths.append(path.absolute())
    return paths


def _file_name(prompt: EvaluationPrompt) -> str:
    text = prompt.asked_text
    plain = text.isprintable() and "/" not in text and not text.startswith(".")
    return text if plain and len(text.encode()) <= _LONGEST else prompt.id


def _run(python: Path, info: Path, folder: Path, dimensions: Sequence[str]) -> str:
    """Runs the package; returns its last words where it ended badly."""
    command = [str(python), official_runner.__file__, str(info), str(folder), *map(_key, dimensions)]
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    with (folder / "log.txt").open("w", encoding="utf-8") as log:
        done = subprocess.run(command, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False)
    lines = (folder / "log.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"its process ended with code {done.returncode} ({(lines or ['it said nothing'])[-1][:200]})"


def _reason(folder: Path, dimension: str) -> str:
    file = folder / f"{_key(dimension)}_error.json"
    return str(json.loads(file.read_text(encoding="utf-8"))["error"])[:300] if file.is_file() else ""


def _key(dimension: str) -> str:
    return dimension.replace(" ", "_")
