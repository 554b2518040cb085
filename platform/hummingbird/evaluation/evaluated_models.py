"""Models as they are evaluated: where their folder is, what it hashes to, and how they sample."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from hummingbird.config.evaluate import Candidate, EvaluateSettings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.hashes import file_hash
from hummingbird.core.model_references import pipeline_folder, pipeline_part
from hummingbird.models.pipeline import PARTS, scheduler_config


@dataclass(frozen=True)
class Sampling:
    """One model, with every choice made: what a worker needs, and what the result depends on."""

    name: str
    folder: str
    weights_hash: str
    few_steps: bool
    steps: int
    guidance: float
    decoder: str
    frames: int
    fps: int
    precision: str

    @property
    def key(self) -> str:
        """Twelve hex digits that change with whatever changes the videos, not with where they are."""
        chosen = {k: v for k, v in asdict(self).items() if k not in ("name", "folder")}
        return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def description(self) -> str:
        """How it samples, for people."""
        way = "one pass a step" if self.few_steps or self.guidance == 1 else "two passes a step"
        return f"{self.steps} steps, guidance {self.guidance:g}, {way}, {self.decoder} decoder"


def choose(settings: Settings) -> list[Sampling]:
    """The models of ``evaluate.models``, or teacher and student where it is empty, ready to sample.

    Raises InputError where a folder is no pipeline.
    """
    s = settings.evaluate
    student = settings.models.student or "shapes-student"
    models = s.models or (
        Candidate(name="teacher", path=settings.models.teacher),
        Candidate(name="student", path=student),
    )
    return [sampling(model, s) for model in models]


def sampling(model: Candidate, settings: EvaluateSettings) -> Sampling:
    """Fill in what a candidate leaves open. The scheduler says whether it is a few-step student.

    Raises InputError where the folder is no pipeline or lacks the decoder.
    """
    folder = pipeline_folder(model.path)
    few = is_few_step(folder)
    decoder = model.decoder or (settings.few_step_decoder if few else settings.decoder)
    if decoder == "small" and not pipeline_part(folder, "decoder").is_dir():
        raise InputError(
            f"{model.name}: the pipeline in {folder} has no small decoder: set evaluate.few_step_decoder=full, "
            "or the model's own decoder"
        )
    return Sampling(
        name=model.name,
        folder=str(folder),
        weights_hash=pipeline_hash(folder, decoder),
        few_steps=few,
        steps=model.num_inference_steps
        or (settings.few_step_inference_steps if few else settings.num_inference_steps),
        guidance=next(
            g for g in (model.guidance_scale, settings.guidance_scale, own_guidance(folder)) if g is not None
        ),
        decoder=decoder,
        frames=settings.num_frames,
        fps=settings.fps,
        precision=settings.mixed_precision,
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
