"""Models as they are evaluated: where their folder is, what it hashes to, and how they sample."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from hummingbird.config.evaluate import Candidate, EvaluateSettings
from hummingbird.config.section import InputError
from hummingbird.config.settings import Settings
from hummingbird.models.pipeline import pipeline_folder


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

    @property
    def key(self) -> str:
        """Twelve hex digits that change with whatever changes the videos, not with where they are."""
        chosen = {k: v for k, v in asdict(self).items() if k not in ("name", "folder")}
        return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def description(self) -> str:
        """How it samples, for people."""
        way = "guidance embedded" if self.few_steps else "two passes a step"
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
    """Fill in what a candidate leaves open. A few-step student is one with a guidance embedding."""
    folder = pipeline_folder(model.path)
    few = is_few_step(folder)
    return Sampling(
        name=model.name,
        folder=str(folder),
        weights_hash=folder_hash(folder),
        few_steps=few,
        steps=model.steps or (settings.few_steps if few else settings.steps),
        guidance=settings.guidance if model.guidance is None else model.guidance,
        decoder=model.decoder or (settings.few_step_decoder if few else settings.decoder),
        frames=settings.frames,
        fps=settings.fps,
    )


def is_few_step(folder: Path) -> bool:
    """Whether the U-Net of a pipeline folder embeds its guidance. Raises InputError where there is none."""
    config = folder / "unet" / "config.json"
    if not config.is_file():
        raise InputError(f"there is no text-to-video pipeline in {folder} (no unet/config.json)")
    return json.loads(config.read_text(encoding="utf-8")).get("guidance_size") is not None


def folder_hash(folder: Path) -> str:
    """SHA-256 (hex) of a folder's weights and configurations; documents do not count."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in {".safetensors", ".json", ".txt", ".model"}:
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
