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
    """Fill in what a candidate leaves open. A few-step student is one with a guidance embedding."""
    try:
        folder = pipeline_folder(model.path).absolute()
    except FileNotFoundError as error:
        raise InputError(f"model {model.name}: {error}") from error
    few = is_few_step(folder)
    return Sampling(
        name=model.name,
        folder=str(folder),
        weights_hash=pipeline_hash(folder),
        few_steps=few,
        steps=model.steps or (settings.few_steps if few else settings.steps),
        guidance=model.guidance or (settings.few_step_guidance if few else settings.guidance),
        decoder=model.decoder or (settings.few_step_decoder if few else settings.decoder),
        frames=settings.frames,
        fps=settings.fps,
    )


def is_few_step(folder: Path) -> bool:
    """Whether the U-Net of a pipeline folder embeds its guidance."""
    config = json.loads((folder / "unet" / "config.json").read_text(encoding="utf-8"))
    return config.get("guidance_size") is not None


def pipeline_hash(folder: Path) -> str:
    """SHA-256 (hex) of all weights and configurations, with the parts that shipped pipelines share."""
    digest = hashlib.sha256()
    parts = folder if (folder / "vae").is_dir() else folder.parent / "components"
    for home in dict.fromkeys((folder / "unet", parts)):
        for path in sorted(home.rglob("*")):
            if path.is_file() and path.suffix in {".safetensors", ".json", ".txt"}:
                digest.update(path.relative_to(home).as_posix().encode() + b"\0")
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
