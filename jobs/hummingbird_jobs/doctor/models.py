"""What the doctor looks at of models: checkpoints to import, folders, licences."""

import shutil
from collections.abc import Iterator
from importlib.util import find_spec

from hummingbird.config.import_checkpoint import ImportCheckpointSettings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError

from hummingbird_jobs.doctor.finding import Finding


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
        if kind == "vllm" and shutil.which("vllm") is None and find_spec("vllm") is None:
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
    from hummingbird_data.runtime.model_files import check_files

    try:
        folder = model_folder(name)
        check_files(folder)
    except (InputError, FileNotFoundError) as error:
        yield Finding("missing", what, f"{error}: fetch it, or name its folder: {what}=FOLDER")
        return
    yield Finding("ok", what, str(folder))
    yield from _licence(what, model_licence(folder) or "unknown", settings)


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
