"""Raw footage of the shapes world: mp4 files of several shots, captions as poor as the web's, known defects.

What is sound and what is not, and why, stands in ``hummingbird.shapes.truth``; how strong the defects are, in
``hummingbird.shapes.defects``.
"""

import csv
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hummingbird.config.footage import FootageSettings
from hummingbird.core.errors import InputError
from hummingbird.core.progress import ProgressBar
from hummingbird.shapes.coding import write_footage, write_tone
from hummingbird.shapes.defects import ZOOM_MARGIN, apply_defect, near_copy
from hummingbird.shapes.footage_plan import FilePlan, ShotPlan, plan_footage
from hummingbird.shapes.scene import render
from hummingbird.shapes.truth import TrueFile, TrueShot, read_settings, truth_path, write_truth

CAPTIONS_FILE = "captions.csv"
_PAGE = "<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body>Gone.</body></html>\n"


def make_footage(folder: Path, settings: FootageSettings) -> Path:
    """Write the footage to ``folder`` and the truth about it to ``truth_path(folder)``, which is returned.

    The same settings give the same bytes. Footage that is complete already is left as it is.

    Raises:
        InputError: the folder holds files that are none of this footage's, or the settings ask for too much.
    """
    truth = truth_path(folder)
    recorded: dict[str, Any] = settings.model_dump(mode="json", exclude={"processes"})
    try:
        files = plan_footage(settings)
    except ValueError as error:
        raise InputError(str(error)) from error
    names = [f"video-{number:04d}.mp4" for number in range(len(files))]
    if _is_complete(folder, truth, names, recorded):
        return truth
    _clear(folder, truth)
    jobs = [number for number, file in enumerate(files) if file.copy_of is None]
    # A fork of a process with threads (torch, Ray) may hang.
    context, workers = get_context("spawn"), min(settings.processes, len(jobs))
    with ProcessPoolExecutor(workers, context, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        running = [pool.submit(_write_file, folder / names[n], files[n], n, settings.seed) for n in jobs]
        for done in ProgressBar(as_completed(running), total=len(running), desc="footage", unit="file"):
            done.result()
    for name, file in zip(names, files, strict=True):
        if file.copy_of is not None:
            shutil.copyfile(folder / names[file.copy_of], folder / name)
    _write_captions(folder / CAPTIONS_FILE, names, files)
    write_truth(truth, list(_truth(names, files)), recorded)
    return truth


def draw_shot(shot: ShotPlan, size: tuple[int, int], fps: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The frames of a shot with its defect, uint8 RGB (T, H, W, 3)."""
    margin = ZOOM_MARGIN if shot.defect == "zoom" else 1.0
    times = np.arange(shot.frames) / fps
    frames = render(shot.scene, times, round(size[0] * margin), round(size[1] * margin))
    if shot.defect == "near_copy":
        return near_copy(frames, rng)
    return apply_defect(shot.defect, frames, rng, fps=fps, size=size) if shot.defect else frames


def _write_file(path: Path, file: FilePlan, number: int, seed: int) -> None:
    rng = np.random.default_rng((seed, 1, number))
    if file.broken == "empty":
        path.touch()
    elif file.broken == "text":
        path.write_text(_PAGE, encoding="utf-8")
    elif file.broken == "audio":
        write_tone(path, 3.0)
    else:
        frames = np.concatenate([draw_shot(shot, file.size, file.fps, rng) for shot in file.shots])
        write_footage(path, frames, file.fps, file.crf, index_first=file.broken == "cut off")
    if file.broken in ("truncated", "cut off"):
        os.truncate(path, int(path.stat().st_size * rng.uniform(0.5, 0.8)))


def _is_complete(folder: Path, truth: Path, names: list[str], settings: dict[str, Any]) -> bool:
    complete = truth.is_file() and all((folder / name).is_file() for name in [*names, CAPTIONS_FILE])
    return complete and read_settings(truth) == settings


def _clear(folder: Path, truth: Path) -> None:
    """Make room for the footage: what an earlier run left is deleted, and nothing else may be there."""
    folder.mkdir(parents=True, exist_ok=True)
    truth.unlink(missing_ok=True)
    for path in sorted(folder.iterdir()):
        if path.name != CAPTIONS_FILE and not (path.name.startswith("video-") and path.suffix == ".mp4"):
            raise InputError(f"{folder} holds {path.name}, which is no footage of ours: name an empty folder")
    for path in folder.iterdir():
        path.unlink()


def _write_captions(path: Path, names: list[str], files: list[FilePlan]) -> None:
    with path.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(["uri", "caption"])
        for name, file in zip(names, files, strict=True):
            if file.caption is not None:
                writer.writerow([name, file.caption])


def _truth(names: list[str], files: list[FilePlan]) -> Iterator[TrueFile]:
    groups = _groups(files)
    for number, (name, file) in enumerate(zip(names, files, strict=True)):
        shots, first = [], 0
        for index, shot in enumerate([] if file.broken else file.shots):
            defect = "exact_copy" if file.copy_of is not None else "too_short" if file.short else shot.defect
            shots.append(
                TrueShot(
                    start_frame=first,
                    frames=shot.frames,
                    start_seconds=first / file.fps,
                    end_seconds=(first + shot.frames) / file.fps,
                    objects=tuple((o.color, o.shape) for o in shot.scene.objects),
                    motion=None if defect == "static" else shot.scene.motion,
                    background=shot.scene.background,
                    relation=shot.scene.relation,
                    defect=defect,
                    group=groups.get((number, index)),
                )
            )
            first += shot.frames
        has_frames = file.broken in (None, "truncated", "cut off")
        yield TrueFile(
            uri=name,
            width=file.size[0] if has_frames else 0,
            height=file.size[1] if has_frames else 0,
            fps=file.fps if has_frames else 0,
            broken=file.broken,
            copy_of=None if file.copy_of is None else names[file.copy_of],
            caption=file.caption,
            caption_kind=file.caption_kind,
            shots=tuple(shots),
        )


def _groups(files: list[FilePlan]) -> dict[tuple[int, int], int]:
    """The number of the group of every shot that is copied or a copy."""
    groups: dict[tuple[int, int], int] = {}
    for number, file in enumerate(files):
        for index, shot in enumerate(file.shots):
            source = (file.copy_of, index) if file.copy_of is not None else shot.source
            if source is not None:
                groups[number, index] = groups.setdefault(source, len(groups))
    return groups
