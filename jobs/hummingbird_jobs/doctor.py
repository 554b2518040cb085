"""The verb ``doctor``: what a recipe needs, looked at before any hour is spent on it."""

import argparse
import importlib.metadata
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hummingbird.config.import_checkpoint import ImportCheckpointSettings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.files import RemotePath, as_path
from packaging.requirements import InvalidRequirement, Requirement

MISSING = 1
"""Exit code where something is missing."""
GB = 1e9
CACHE_BYTES = 690_000
"""Of a clip of 26 frames of 320 x 512; docs/latents.md."""

State = Literal["ok", "note", "missing"]


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, how it is, and where something is missing what to do."""

    state: State
    what: str
    detail: str

    def __str__(self) -> str:
        return f"{self.state:8}{self.what}: {self.detail}"


Check = Callable[[Settings], Iterator[Finding]]


def doctor(settings: Settings, args: argparse.Namespace) -> None:
    """Prints a line a finding; exits with `MISSING` where something is missing."""
    findings = []
    for finding in examine(settings):
        print(finding, flush=True)
        findings.append(finding)
    missing = [finding for finding in findings if finding.state == "missing"]
    name = args.recipe or "these settings"
    print(f"\n{len(missing)} missing for {name}" if missing else f"\nnothing is missing for {name}")
    if missing:
        sys.exit(MISSING)


def examine(settings: Settings) -> Iterator[Finding]:
    """Every finding. What a check itself cannot do is a finding too."""
    for check in CHECKS:
        try:
            yield from check(settings)
        except InputError as error:
            yield Finding("missing", check.__name__.removeprefix("check_"), str(error))


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


def check_imports(settings: Settings) -> Iterator[Finding]:
    """The checkpoints that the line imports: files, and every tensor's name and shape; licences."""
    from hummingbird.importing.format import check_import

    if "import_checkpoint" not in settings.line.verbs:
        return
    sections = {"import_checkpoint": settings.import_checkpoint}
    for item in settings.line.imports:
        sections[item.into[0]] = ImportCheckpointSettings(**item.model_dump(exclude={"into"}))
    for what, section in sections.items():
        if section.checkpoint is None:
            yield Finding("missing", what, "no checkpoint is named: import_checkpoint.checkpoint=PATH")
            continue
        gone = [
            path
            for path in (section.checkpoint, section.tokenizer, section.decoder, section.unet, section.lora)
            if path is not None and not path.exists()
        ]
        for path in gone:
            yield Finding("missing", what, f"there is nothing at {path}: put it there, or name another")
        if not gone:
            try:
                imported = check_import(section)
            except InputError as error:
                yield Finding("missing", what, str(error))
            else:
                sizes = ", ".join(f"{name} {value:,}" for name, value in imported.metrics.items())
                yield Finding("ok", what, f"{section.checkpoint.name}: every tensor is there; {sizes}")
        if section.licence is None or section.source is None:
            yield Finding("missing", what, "licence and source must be stated")
        else:
            yield from _licence(what, section.licence, settings)


def _licence(what: str, licence: str, settings: Settings) -> Iterator[Finding]:
    if "-nc" not in licence.lower():
        yield Finding("ok", what, f"licence {licence}")
    elif settings.curate.allow_noncommercial:
        yield Finding(
            "note", what, f"licence {licence} forbids commercial use; what is made with it inherits that"
        )
    else:
        yield Finding(
            "missing", what, f"licence {licence}, and curate.allow_noncommercial=false: name another"
        )


def check_models(settings: Settings) -> Iterator[Finding]:
    """The models that are named as folders: captioner, rewriter, quality model, teacher, rewards."""
    from hummingbird.core.model_references import pipeline_folder

    imported = {into for item in settings.line.imports for into in item.into}
    if "import_checkpoint" not in settings.line.verbs:
        yield Finding("ok", "models.teacher", str(pipeline_folder(settings.models.teacher)))
    for name, engine in (
        ("captioner", settings.curate.caption_engine),
        ("rewriter", settings.curate.rewrite_engine),
        ("quality", None),
    ):
        value, what = getattr(settings.models, name), f"models.{name}"
        if value is None or what in imported:
            continue
        kind = engine if isinstance(engine, str) or engine is None else next(iter(engine))
        if kind == "http":
            yield Finding("note", what, f"{value} at an endpoint, which curate itself asks")
            continue
        if kind == "vllm" and shutil.which("vllm") is None and not _has_module("vllm"):
            yield Finding(
                "missing", what, "vllm is not installed: install it, or caption_engine=transformers"
            )
        yield from _folder(what, value, settings)
    tables = {"feedback.rewards": settings.feedback.rewards}
    tables["feedback.held_out.rewards"] = settings.feedback.held_out.rewards
    for place, rewards in tables.items():
        for name, own in rewards.items():
            what = f"{place}.{name}.model"
            if "feedback" in settings.line.verbs and "model" in own and what not in imported:
                yield from _folder(what, own["model"], settings)


def _folder(what: str, name: str, settings: Settings) -> Iterator[Finding]:
    """A folder with weights, and its licence."""
    from hummingbird.core.model_references import model_folder, model_licence

    try:
        folder = model_folder(name)
        _check_weights(folder)
    except (InputError, FileNotFoundError) as error:
        yield Finding("missing", what, f"{error}: fetch it, or name its folder: {what}=FOLDER")
        return
    yield Finding("ok", what, str(folder))
    yield from _licence(what, model_licence(folder) or "unknown", settings)


def _check_weights(folder: Path) -> None:
    from hummingbird_data.runtime.model_files import check_files

    check_files(folder)


def _has_module(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


def check_source(settings: Settings) -> Iterator[Finding]:
    """Footage and prompts."""
    source = settings.curate.source
    if "curate" in settings.line.verbs and "footage" not in settings.line.verbs:
        if source is None:
            yield Finding("missing", "curate.source", "no footage is named: curate.source=PLACE")
        elif isinstance(source, Path) and not source.exists() and not list(source.parent.glob(source.name)):
            yield Finding("missing", "curate.source", f"there is nothing at {source}")
        else:
            yield Finding("ok", "curate.source", str(source))
    prompts = settings.evaluate.prompts
    if isinstance(prompts, Path):
        state: State = "ok" if prompts.is_file() else "missing"
        yield Finding(state, "evaluate.prompts", str(prompts) + ("" if state == "ok" else " is not there"))


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
        free = shutil.disk_usage(_existing(settings.storage)).free
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


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)


def check_storage(settings: Settings) -> Iterator[Finding]:
    """Whether a file can be written to the storage, read back and removed."""
    storage = as_path(settings.storage)
    probe = storage / f".doctor-{uuid.uuid4().hex}"
    if isinstance(storage, RemotePath):
        try:
            with probe.open("wb") as file:
                file.write(b"probe")
            with probe.open("rb") as file:
                whole = file.read() == b"probe"
            probe.unlink()
        except OSError as error:
            yield Finding("missing", "storage", f"{storage}: {error}: look at its address and credentials")
        else:
            state: State = "ok" if whole else "missing"
            yield Finding(state, "storage", f"{storage}: written and read back{'' if whole else ' differ'}")
    else:
        folder = _existing(storage)
        if os.access(folder, os.W_OK):
            yield Finding("ok", "storage", f"{storage}")
        else:
            yield Finding("missing", "storage", f"{folder} cannot be written to: storage=PLACE")


def check_catalog(settings: Settings) -> Iterator[Finding]:
    """Whether the lake's catalog answers."""
    from hummingbird.lake.lake import Lake

    local = isinstance(settings.storage, Path)
    if local and not settings.catalog.properties and not settings.storage.exists():
        yield Finding("ok", "catalog", "a new one, in the storage")
        return
    try:
        lake = Lake.open(settings)
        snapshot = lake.snapshot()
    except OSError as error:
        yield Finding("missing", "catalog", f"{error}: look at catalog.properties")
    else:
        yield Finding("ok", "catalog", f"it answers; the snapshot of clips is {snapshot}")


def check_compiler(settings: Settings) -> Iterator[Finding]:
    """A C++ compiler, where a package is made."""
    if "compile" in settings.line.verbs:
        found = shutil.which("g++") or shutil.which("clang++")
        yield Finding("ok" if found else "missing", "compiler", found or "no g++: install it")


CHECKS: tuple[Check, ...] = (
    check_versions,
    check_imports,
    check_models,
    check_source,
    check_gpus,
    check_disk,
    check_storage,
    check_catalog,
    check_compiler,
)
