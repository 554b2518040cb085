"""Which models a server offers: the package it loads, compiled where need be, and the teacher beside it."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.files import as_path
from hummingbird.core.model_references import SHIPPED, is_shipped, pipeline_folder, pipeline_part
from hummingbird.core.scratch import local_copy
from hummingbird.lake.lineage import latest_run
from hummingbird.lake.runs import load_result
from hummingbird.models.family import VideoUNetFamily
from hummingbird.models.lora import check_adapter
from hummingbird.models.pipeline import has_small_decoder, saved_family

from hummingbird_serve.background import compiled_name, compiled_package
from hummingbird_serve.generator import GeneratorSettings
from hummingbird_serve.lineage import model_lineage
from hummingbird_serve.requests import DECODERS, NO_STYLE, ServedModel

TEACHER_MAX_STEPS = 50


OfferedModels = dict[str, tuple[ServedModel, GeneratorSettings]]


def offered_models(settings: Settings, wait: bool = True) -> tuple[OfferedModels, Path]:
    """The student, then, if wanted, the teacher, by name; and their tokenizer.

    Where the student has no package yet, it is compiled now, or, if ``wait`` is false, offered as it is, with the name
    of the file that a package will have (`hummingbird_serve.background`).

    Raises:
        InputError: there is no such model, or its package is not for this machine.
    """
    student = _student(settings, wait)
    models = {student[0].name: student}
    if settings.serve.teacher:
        teacher = _teacher(settings, student[0])
        models.setdefault(teacher[0].name, teacher)
    folder = student[1].model
    tokenizer = folder / "tokenizer" if student[0].compiled else pipeline_part(folder, "tokenizer")
    return models, tokenizer / "tokenizer.json"


def token_counter(tokenizer: Path) -> Callable[[str], int]:
    """Counts the tokens of a prompt, with those that the tokenizer adds at the ends."""
    from tokenizers import Tokenizer

    reader = Tokenizer.from_file(str(tokenizer))
    reader.no_padding()
    reader.no_truncation()
    return lambda prompt: len(reader.encode(prompt).ids)


def _student(settings: Settings, wait: bool) -> tuple[ServedModel, GeneratorSettings]:
    chosen = chosen_student(settings)
    if isinstance(chosen, Path):
        package = _packaged(settings, chosen)
        if not settings.serve.styles:
            return package
        pipeline = line_outputs(settings).get("student") if settings.serve.model is None else None
        if pipeline is None:
            raise InputError(
                "serve.styles are put into a pipeline, and serve.model is a package: name its pipeline, whose package "
                "is found or made"
            )
        return _with_styles(settings, package, pipeline_folder(pipeline))
    folder = pipeline_folder(chosen or f"{SHIPPED}student")
    return _with_styles(settings, _piped(settings, chosen, folder, wait), folder)


def _with_styles(
    settings: Settings, offered: tuple[ServedModel, GeneratorSettings], pipeline: Path
) -> tuple[ServedModel, GeneratorSettings]:
    """With ``serve.styles``. Raises InputError where one is of another model, or its name is taken."""
    styles = {name: local_copy(folder) for name, folder in settings.serve.styles.items()}
    if not styles:
        return offered
    if NO_STYLE in styles:
        raise InputError(f"serve.styles: {NO_STYLE!r} is the name for no style: give yours another")
    config = json.loads((pipeline / "unet" / "config.json").read_text(encoding="utf-8"))
    for name, folder in styles.items():
        try:
            check_adapter(folder, config)
        except (FileNotFoundError, ValueError) as error:
            raise InputError(f"serve.styles.{name}: {error}") from error
    model, generator = offered
    return replace(model, styles=(NO_STYLE, *styles)), replace(generator, pipeline=pipeline, styles=styles)


def _piped(
    settings: Settings, chosen: str | None, folder: Path, wait: bool
) -> tuple[ServedModel, GeneratorSettings]:
    """A pipeline by its package, if it has one."""
    name = compiled_name(settings, folder)
    package = compiled_package(name)
    if package is not None:
        return _packaged(settings, package)
    if wait:
        return _packaged(settings, _compile(settings, chosen))
    return _eager(settings, folder, chosen or f"{SHIPPED}student", name)


def _packaged(settings: Settings, folder: Path) -> tuple[ServedModel, GeneratorSettings]:
    from hummingbird.compiling.package import check_machine, read_package_manifest

    manifest = read_package_manifest(folder)
    check_machine(manifest)
    if settings.serve.replica_gpus > 0 and manifest.device == "cpu":
        raise InputError(
            "serve.replica_gpus reserves GPUs, but the package is for the CPU: compile it with compile.device=cuda, "
            "or set serve.replica_gpus=0"
        )
    model = _student_card(
        settings,
        VideoUNetFamily(**manifest.configs),
        name=manifest.name,
        compiled=True,
        parameters=manifest.parameters,
        num_frames=manifest.num_frames,
        created=int((folder / "manifest.json").stat().st_mtime),
        qualities=_qualities(manifest.decoders),
        version=manifest.model_id or manifest.weights_hash[:12],
        lineage=model_lineage(settings, manifest.model_id),
    )
    return model, _generator(settings, folder, model, settings.serve.max_batch_size)


def _eager(settings: Settings, folder: Path, chosen: str, name: str) -> tuple[ServedModel, GeneratorSettings]:
    family = saved_family(folder)
    model = _student_card(
        settings,
        family,
        name=chosen if is_shipped(chosen) else folder.name,
        compiled=False,
        parameters=_parameters(folder / "unet"),
        num_frames=settings.compile.num_frames,
        created=int((folder / "unet" / "config.json").stat().st_mtime),
        qualities=_qualities(("small", "full") if has_small_decoder(folder) else ("full",)),
        compiled_name=name,
    )
    return model, _generator(settings, folder, model, settings.serve.max_batch_size)


def _student_card(settings: Settings, family: VideoUNetFamily, **facts: Any) -> ServedModel:
    own, measured = settings.serve, settings.evaluate
    few, (height, width) = family.few_steps, family.size
    return ServedModel(
        width=width,
        height=height,
        fps=measured.fps,
        steps=measured.few_step_inference_steps if few else measured.num_inference_steps,
        max_steps=own.max_inference_steps if few else TEACHER_MAX_STEPS,
        guidance=family.scheduler["guidance_scale"]
        if measured.guidance_scale is None
        else measured.guidance_scale,
        max_tokens=family.text_tokens,
        **facts,
    )


def _qualities(decoders: Sequence[str]) -> tuple[str, ...]:
    if len(decoders) < 2:
        return ()
    names = {decoder: quality for quality, decoder in DECODERS.items()}
    return tuple(names[decoder] for decoder in decoders)


def _teacher(settings: Settings, student: ServedModel) -> tuple[ServedModel, GeneratorSettings]:
    from hummingbird.config.evaluate import EvaluatedModel
    from hummingbird.evaluation.evaluated_models import resolve_model

    try:
        teacher = EvaluatedModel(name="teacher", path=settings.models.teacher)
        resolved = resolve_model(teacher, settings.evaluate)
    except InputError as error:
        raise InputError(f"{error}; serve.teacher=false serves without the teacher") from error
    folder = Path(resolved.folder)
    model = ServedModel(
        name=settings.models.teacher if settings.models.teacher.startswith("shapes-") else folder.name,
        compiled=False,
        parameters=_parameters(folder / "unet"),
        width=student.width,
        height=student.height,
        num_frames=student.num_frames,
        fps=student.fps,
        steps=resolved.parameters.num_inference_steps,
        max_steps=TEACHER_MAX_STEPS,
        guidance=resolved.parameters.guidance_scale,
        max_tokens=student.max_tokens,
        created=int((folder / "unet" / "config.json").stat().st_mtime),
        qualities=_qualities(("full", "small") if has_small_decoder(folder) else ("full",)),
    )
    return model, _generator(settings, folder, model, max_batch_size=1)


def _generator(
    settings: Settings, folder: Path, model: ServedModel, max_batch_size: int
) -> GeneratorSettings:
    own = settings.serve
    return GeneratorSettings(
        model=folder.absolute(),
        threads=own.threads,
        max_batch_size=max_batch_size,
        batch_wait_seconds=own.batch_wait_seconds if max_batch_size > 1 else 0.0,
        num_frames=model.num_frames,
        fps=model.fps,
        guidance=model.guidance,
        compiled=model.compiled_name,
    )


def chosen_student(settings: Settings) -> Path | str | None:
    """The folder of a package to serve, or the pipeline that is to be compiled for it; none: the shipped one.

    ``serve.model`` may name a package or a pipeline; without it, the student of the line that finished last in the
    storage is served, else the shipped one.

    Raises:
        InputError: ``serve.model`` is neither.
    """
    from hummingbird.compiling.package import MANIFEST, check_machine, read_package_manifest

    chosen = settings.serve.model
    if chosen is not None and not is_shipped(chosen) and (as_path(chosen) / MANIFEST).is_file():
        return local_copy(chosen)
    if chosen is None:
        outputs = line_outputs(settings)
        package = as_path(outputs["package"]) if "package" in outputs else None
        if package is not None and (package / MANIFEST).is_file():
            package = local_copy(package)
            try:
                check_machine(read_package_manifest(package))
                return package
            except InputError as error:
                print(f"{error}; doing so now", flush=True)
        chosen = outputs.get("student")
    return chosen


def line_outputs(settings: Settings) -> dict[str, Any]:
    """The outputs of the line that finished last in the storage; empty where there is none."""
    from hummingbird.lake.lake import Lake

    last = latest_run(Lake.open(settings), "line")
    return {} if last is None else dict(last["outputs"])


def compile_settings(settings: Settings, model: str | None) -> Settings:
    """Those that compile a student to be served: on the device that is there, with both decoders."""
    import torch

    own = {"device": "cuda" if torch.cuda.is_available() else "cpu", "decoder": "both"}
    wanted = {name: value for name, value in own.items() if name not in settings.compile.model_fields_set}
    return settings.model_copy(
        update={"compile": settings.compile.model_copy(update={**wanted, "model": model})}
    )


def _compile(settings: Settings, model: str | None) -> Path:
    from hummingbird.compiling.compile import compile_model

    started = time.monotonic()
    print("Compiling the model for this machine where that has not been done (minutes, once) ...", flush=True)
    result = compile_model(compile_settings(settings, model))
    print(f"Compiled and loaded ({time.monotonic() - started:.0f} s).", flush=True)
    return local_copy(load_result(result)["outputs"]["package"])


def _parameters(folder: Path) -> int:
    """Parameters of a model folder, from the headers of its safetensors files."""
    from safetensors import safe_open

    count = 0
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            for key in file.keys():  # noqa: SIM118 - it is no mapping
                size = 1
                for length in file.get_slice(key).get_shape():
                    size *= length
                count += size
    return count
