"""Models as they are evaluated: where their folder is, what it hashes to, and how they sample."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hummingbird.config.evaluate import EvaluatedModel, EvaluateSettings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.hashes import file_hash
from hummingbird.core.model_references import pipeline_folder, pipeline_part
from hummingbird.evaluation.sampling import SamplingParameters
from hummingbird.models.pipeline import PARTS, scheduler_config


@dataclass(frozen=True)
class ResolvedModel:
    """One model, with every choice made: what a worker needs, and what the result depends on.

    Attributes:
        name: of tables and files.
        folder: of the pipeline.
        weights_hash: of all its parts that take part.
        few_steps: whether it is a few-step student.
        parameters: how it samples.
        mixed_precision: of its U-Net: ``auto`` is decided where it runs.
    """

    name: str
    folder: str
    weights_hash: str
    few_steps: bool
    parameters: SamplingParameters
    mixed_precision: str

    @property
    def key(self) -> str:
        """Twelve hex digits that change with whatever changes the videos, not with where they are."""
        chosen = {k: v for k, v in asdict(self).items() if k not in ("name", "folder")}
        if self.parameters.window_frames is None:  # as before there were windows
            del chosen["parameters"]["window_frames"]
        return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def description(self) -> str:
        """How it samples, for people."""
        sampled = self.parameters
        passes = "one pass" if self.few_steps or sampled.guidance_scale == 1 else "two passes"
        return (
            f"{sampled.num_inference_steps} steps, guidance {sampled.guidance_scale:g}, {passes} a step, "
            f"{sampled.decoder} decoder"
            + (f", windows of {sampled.window_frames}" if sampled.window_frames else "")
        )

    @property
    def stamp(self) -> dict[str, Any]:
        """What the videos depend on, as JSON."""
        values = {k: v for k, v in asdict(self).items() if k not in ("name", "parameters")}
        return {**values, **asdict(self.parameters), "description": self.description}


def resolve_models(settings: Settings) -> list[ResolvedModel]:
    """The models of ``evaluate.models``, or teacher and student where it is empty, ready to sample.

    Raises InputError where a folder is no pipeline.
    """
    s = settings.evaluate
    student = settings.models.student or "shapes-student"
    models = s.models or (
        EvaluatedModel(name="teacher", path=settings.models.teacher),
        EvaluatedModel(name="student", path=student),
    )
    return [resolve_model(model, s) for model in models]


def resolve_model(model: EvaluatedModel, settings: EvaluateSettings) -> ResolvedModel:
    """Fills in what the settings of a model leave open. The scheduler says whether it is a few-step student.

    Raises InputError where the folder is no pipeline or lacks the decoder.
    """
    try:
        folder = pipeline_folder(model.path)
    except InputError as error:
        raise InputError(f"evaluate.models: {model.name}: {error}") from error
    few = is_few_step(folder)
    decoder = model.decoder or (settings.few_step_decoder if few else settings.decoder)
    if decoder == "small" and not pipeline_part(folder, "decoder").is_dir():
        raise InputError(
            f"{model.name}: the pipeline in {folder} has no small decoder: set evaluate.few_step_decoder=full, "
            "or the model's own decoder"
        )
    scales = (model.guidance_scale, settings.guidance_scale, own_guidance(folder))
    default_steps = settings.few_step_inference_steps if few else settings.num_inference_steps
    return ResolvedModel(
        name=model.name,
        folder=str(folder),
        weights_hash=pipeline_hash(folder, decoder),
        few_steps=few,
        parameters=SamplingParameters(
            num_inference_steps=model.num_inference_steps or default_steps,
            guidance_scale=next(scale for scale in scales if scale is not None),
            decoder=decoder,
            num_frames=model.num_frames or settings.num_frames,
            window_frames=model.window_frames,
            fps=settings.fps,
        ),
        mixed_precision=settings.mixed_precision,
    )


def is_few_step(folder: Path) -> bool:
    """Whether the model of a pipeline folder was trained to be sampled in few steps."""
    return bool(scheduler_config(folder)["sampling"] != "ddim")


def own_guidance(folder: Path) -> float:
    """The guidance scale that a pipeline was made for."""
    return float(scheduler_config(folder)["guidance_scale"])


def pipeline_hash(folder: Path, decoder: str) -> str:
    """SHA-256 (hex) of all weights and configurations, wherever the parts are; the small decoder's if it decodes."""
    digest = hashlib.sha256()
    for part in ("unet", *(part for part in PARTS if part != "decoder" or decoder == "small")):
        for path in sorted(pipeline_part(folder, part).rglob("*")):
            if path.is_file() and path.suffix in {".safetensors", ".json", ".txt"}:
                digest.update(f"{part}/{path.name}\0".encode())
                digest.update(bytes.fromhex(file_hash(path)))
    return digest.hexdigest()
