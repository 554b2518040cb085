"""What the doctor looks at on the machine: packages, GPUs, disk, compiler."""

import importlib.metadata
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from packaging.requirements import InvalidRequirement, Requirement

from hummingbird_jobs.doctor.finding import Finding
from hummingbird_jobs.doctor.places import existing_folder

GB = 1e9
CACHE_BYTES = 690_000
"""Of a clip of 26 frames of 320 x 512; docs/latents.md."""


def check_versions(settings: Settings) -> Iterator[Finding]:
    """The packages that the project names, in versions that it takes."""
    try:
        required = importlib.metadata.requires("hummingbird") or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding("missing", "versions", "the package hummingbird is not installed: make install")
        return
    count = 0
    for line in required:
        try:
            requirement = Requirement(line)
        except InvalidRequirement as error:
            raise InputError(f"cannot read the requirement {line!r}: {error}") from error
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        count += 1
        try:
            found = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding("missing", "versions", f"{requirement} is not installed: make install")
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            yield Finding(
                "missing", "versions", f"{requirement.name} {found} is installed, {requirement} needed"
            )
    yield Finding("ok", "versions", f"{count} packages looked at, Python {sys.version.split()[0]}")


def check_gpus(settings: Settings) -> Iterator[Finding]:
    """GPUs here or in the cluster, and whether the stages fit their memory."""
    import torch
    from hummingbird.pruning.planner.fit import GIB
    from hummingbird.pruning.planner.stage_table import USUAL_GPUS, UsualGpu, stage_costs

    wanted = settings.training.workers
    if settings.ray.address is not None:
        import ray
        from hummingbird.config.cluster import connect

        connect(settings.ray)
        count = int(ray.cluster_resources().get("GPU", 0))
        place = f"the cluster at {settings.ray.address}"
    else:
        count, place = torch.cuda.device_count(), "this machine"
    needs = settings.training.device != "cpu" and (
        settings.compile.device == "cuda" or settings.training.device == "cuda"
    )
    enough = count >= wanted
    detail = f"{place} has {count}, training.workers={wanted}"
    if needs and not enough:
        detail += ": run it where they are (ray.address), or with fewer workers"
    yield Finding("ok" if enough else "missing" if needs else "note", "GPUs", detail)
    gpus: tuple[UsualGpu, ...] = USUAL_GPUS
    if torch.cuda.is_available():
        about = torch.cuda.get_device_properties(0)
        gpus = (UsualGpu(about.name, int(about.total_memory / GIB), 1, 1),)
    for row in stage_costs(settings, gpus):
        what = f"memory of {row.stage}"
        need = f"{row.peak / GIB:.1f} GiB of the {row.gpu.memory} of {row.gpu.name}"
        if row.fits:
            yield Finding("ok", what, need)
        else:
            do = "; ".join(row.advice) or "none of the planner's changes is enough: a larger GPU"
            yield Finding("missing" if torch.cuda.is_available() else "note", what, f"{need}: {do}")


def check_disk(settings: Settings) -> Iterator[Finding]:
    """Room for the imports, and in the temporary folder for reading them; a cache by the number of clips."""
    sections = [settings.import_checkpoint, *settings.line.imports]
    sizes = [s.checkpoint.stat().st_size for s in sections if s.checkpoint and s.checkpoint.is_file()]
    if isinstance(settings.storage, Path):
        free = shutil.disk_usage(existing_folder(settings.storage)).free
        need = 3 * sum(sizes)  # the pipeline, the pruned and the trained one
        clips = int(max(0, free - need) / CACHE_BYTES)
        detail = f"{free / GB:.0f} GB free at {settings.storage}; models take about {need / GB:.0f} GB"
        if free < need:
            yield Finding("missing", "disk", f"{detail}: a larger disk, or storage=PLACE")
        else:
            yield Finding("ok", "disk", f"{detail}; beside them there is room for latents of {clips:,} clips")
    temporary = Path(tempfile.gettempdir())
    free = shutil.disk_usage(temporary).free
    if sizes and free < max(sizes):
        detail = f"{free / GB:.1f} GB free in {temporary}, {max(sizes) / GB:.1f} needed to read a checkpoint"
        yield Finding("missing", "temporary disk", f"{detail}: TMPDIR=FOLDER")


def check_compiler(settings: Settings) -> Iterator[Finding]:
    """A C++ compiler, where a package is made."""
    if "compile" in settings.line.verbs:
        found = shutil.which("g++") or shutil.which("clang++")
        yield Finding("ok" if found else "missing", "compiler", found or "no g++: install it")
