"""What the benchmark times: pipelines of folders, or of an architecture with random weights at its full size."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from transformers import CLIPTextConfig, CLIPTextModel

from hummingbird.compiling.compile import compile_model, compile_pipeline
from hummingbird.compiling.package import CompiledPipeline, is_package, read_package_manifest
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.files import AnyPath
from hummingbird.core.hashes import public_config
from hummingbird.core.model_references import SHIPPED_WEIGHTS, pipeline_folder
from hummingbird.core.scratch import local_copy
from hummingbird.evaluation.evaluated_models import is_few_step, own_guidance, pipeline_hash
from hummingbird.evaluation.work import DTYPES
from hummingbird.lake.runs import load_result
from hummingbird.models.pipeline import TextToVideoPipeline, load_parts, load_pipeline
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.models.unet import VideoUNet
from hummingbird.pruning.planner.planned_models import OPENCLIP_H_TEXT, PlannedModel, planned_model
from hummingbird.pruning.pruned_config import pruned_config
from hummingbird.pruning.pruning_plan import load_plan

_GUIDANCE_SIZE = 256  # of the embedding of a few-step student's guidance, as in the latent consistency models
_COMPILED = {"fp32": "float32", "bf16": "bfloat16"}  # as packages call it


@dataclass
class Subject:
    """One side of the comparison.

    Attributes:
        name: teacher or student.
        identity: what its weights, or their shapes, are known by.
        weights: trained or random.
        steps, decoders: what is timed, the headline's first.
        guided: whether a step takes two passes.
        compiles: whether it is timed compiled too.
        pipeline: loads it, in float32 on the CPU.
        package: compiles it for a precision and a decoder, below a folder.
        hashes: of the weights that take part, by decoder; none of random ones.
        packages: those that there are, by precision and decoder.
    """

    name: str
    identity: str
    weights: str
    steps: tuple[int, ...]
    decoders: tuple[str, ...]
    guidance_scale: float
    guided: bool
    compiles: bool
    pipeline: Callable[[], TextToVideoPipeline]
    package: Callable[[str, str, Path], Path]
    hashes: dict[str, str] = field(default_factory=dict)
    packages: dict[tuple[str, str], Path] = field(default_factory=dict)

    def load(self, precision: str, device: torch.device) -> TextToVideoPipeline:
        """The eager pipeline: U-Net and decoders in the precision, text in float32, as in a package.

        Raises:
            InputError: it lacks a decoder that is to be timed.
        """
        pipeline = self.pipeline()
        if "small" in self.decoders and pipeline.decoder is None:
            raise InputError(f"{self.name} has no small decoder: set benchmark.{self.name}_decoder=full")
        for part in (pipeline.unet, pipeline.vae, pipeline.decoder):
            if part is not None:
                part.to(DTYPES[precision])
        pipeline.to(device)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def compiled(self, precision: str, decoder: str, folder: Path) -> CompiledPipeline:
        """The compiled pipeline, of a package that is there or is made."""
        if (precision, decoder) not in self.packages:
            self.packages[precision, decoder] = self.package(precision, decoder, folder)
        pipeline = CompiledPipeline.load(self.packages[precision, decoder])
        pipeline.set_progress_bar_config(disable=True)
        return pipeline


def subjects_of_folders(settings: Settings) -> list[Subject]:
    """``models.teacher`` and the student, with the packages that settings name.

    Raises:
        InputError: a model is missing, or the student is no few-step student.
    """
    s = settings.benchmark
    teacher = pipeline_folder(settings.models.teacher)
    student = pipeline_folder(s.student or settings.models.student or "shapes-student")
    if not is_few_step(student):
        raise InputError(f"{student} is no few-step student: feedback makes one (benchmark.student)")

    def subject(name: str, folder: Path, package: AnyPath | None) -> Subject:
        def compile_folder(precision: str, decoder: str, place: Path) -> Path:
            changed = {"model": str(folder), "decoder": decoder, "precision": _COMPILED[precision]}
            section = settings.compile.model_copy(update=changed)
            result = load_result(compile_model(settings.model_copy(update={"compile": section})))
            return local_copy(result["outputs"]["package"])

        made = _subject(settings, name, own_guidance(folder), lambda: load_pipeline(folder), compile_folder)
        made.hashes = {decoder: pipeline_hash(folder, decoder) for decoder in made.decoders}
        made.identity = ":".join(made.hashes.values())
        if package is not None:
            manifest = read_package_manifest(local_copy(package))
            precision = next(short for short, long in _COMPILED.items() if long == manifest.precision)
            for decoder in manifest.decoders:
                made.packages[precision, decoder] = local_copy(package)
        return made

    return [
        subject("teacher", teacher, s.teacher_package),
        subject("student", student, s.student_package),
    ]


def drawn_subjects(settings: Settings) -> list[Subject]:
    """The architecture of ``models.teacher`` and the student that ``plan.plan`` cuts from it, with random weights.

    Raises:
        InputError: no such architecture or plan, or packages are named.
    """
    s = settings.benchmark
    if s.teacher_package is not None or s.student_package is not None:
        raise InputError("benchmark.random_weights compiles what it draws: name no packages")
    model = planned_model(settings.models.teacher)
    plan = load_plan(settings.plan.plan, model.unet)
    cut = {**pruned_config(plan, model.unet), "guidance_size": _GUIDANCE_SIZE}

    def subject(name: str, unet: dict[str, Any]) -> Subject:
        def draw() -> TextToVideoPipeline:
            return drawn_pipeline(model, unet, settings.seed)

        def compile_drawn(precision: str, decoder: str, place: Path) -> Path:
            folder = place / "packages" / f"{name}-{precision}-{decoder}"
            changed = {"decoder": decoder, "precision": _COMPILED[precision]}
            if not is_package(folder):
                section = settings.compile.model_copy(update=changed)
                compile_pipeline(draw(), folder, section, f"{name} of random weights")
            return folder

        made = _subject(settings, name, 7.5, draw, compile_drawn)
        made.identity, made.weights = f"{model.name}, {plan.name}, seed {settings.seed}", "random"
        return made

    return [subject("teacher", model.unet), subject("student", cut)]


def drawn_pipeline(model: PlannedModel, unet: dict[str, Any], seed: int) -> TextToVideoPipeline:
    """A pipeline of random weights: what it costs is what the trained one costs; its videos show nothing.

    Where the architecture has no tokenizer, the small world's serves: texts are padded to one length whatever they say.
    """
    torch.manual_seed(seed)
    public = public_config(unet)
    parts = load_parts(model.folder or SHIPPED_WEIGHTS / "teacher")
    vae, small, text = (
        model.vae,
        model.small,
        {**OPENCLIP_H_TEXT, "max_position_embeddings": model.text_tokens},
    )
    if model.folder is not None:
        text = parts["text_encoder"].config.to_dict()
    sizes = {"height": model.size[0], "width": model.size[1], "guidance_scale": 7.5}
    sampling = {"sampling": "consistency", "num_inference_steps": 4} if public.get("guidance_size") else {}
    return TextToVideoPipeline(
        unet=VideoUNet(**public).eval(),
        vae=AutoencoderKL.from_config(public_config(vae)).eval(),
        decoder=AutoencoderTiny.from_config(public_config(small)).eval(),
        text_encoder=CLIPTextModel(CLIPTextConfig(**text)).eval(),
        tokenizer=parts["tokenizer"],
        scheduler=VideoScheduler(**{**sizes, **sampling}),
    )


def _subject(
    settings: Settings,
    name: str,
    guidance_scale: float,
    pipeline: Callable[[], TextToVideoPipeline],
    package: Callable[[str, str, Path], Path],
) -> Subject:
    s, teaches = settings.benchmark, name == "teacher"
    return Subject(
        name=name,
        identity="",
        weights="trained",
        steps=s.teacher_inference_steps if teaches else s.student_inference_steps,
        decoders=s.teacher_decoder if teaches else s.student_decoder,
        guidance_scale=guidance_scale,
        guided=teaches and guidance_scale != 1,
        compiles=s.compile_teacher if teaches else s.compile_student,
        pipeline=pipeline,
        package=package,
    )
