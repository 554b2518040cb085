"""What the settings of curation come to: stages, thresholds, models with their licences, and keys."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hummingbird.config.section import InputError
from hummingbird.config.settings import Settings

from hummingbird_data.captioning import AT_ENDPOINT, captioning_of
from hummingbird_data.captions import Captioning
from hummingbird_data.clips import ClipSettings
from hummingbird_data.duplicates import HashStage
from hummingbird_data.model_files import actors_for, folder_hash, is_shipped, licence, model_folder
from hummingbird_data.motion import MotionStage
from hummingbird_data.order_statistics import Chunks
from hummingbird_data.probe import Limits
from hummingbird_data.quality import QualityStage
from hummingbird_data.read import ReadStage
from hummingbird_data.shots import ShotSettings
from hummingbird_data.sources import Source
from hummingbird_data.stage import Row, Stage
from hummingbird_data.technical import TechnicalStage
from hummingbird_data.text import TextStage
from hummingbird_data.thresholds import THRESHOLDS, Given
from hummingbird_data.verdict import Thresholds

# Settings that change what is looked at and how fast a run is, not what it makes of a source; files whose content is
# hashed.
_SPEED = {
    "engine", "source", "manifest_uri", "manifest_caption", "manifest_root", "batch_files", "caption_batch",
    "quality_actors", "caption_actors", "model_gpus", "allow_noncommercial", "caption_endpoint", "rewrite_endpoint",
    "caption_prompt", "rewrite_prompt", "caption_tokenizer",
}  # fmt: skip
_JUDGING = {*THRESHOLDS, "copy_luma", "copy_colour", "copy_likeness"}
_SCORES_VERSION = 5
"""Goes up where the same settings and models come to give other scores. 2: embeddings; 3: cuts, text, freezes and
flicker; 4: cuts that colour alone shows."""
_SHAPES_SIDE = 256  # pixels: the largest pictures that the shapes world's quality model was trained on
_NONCOMMERCIAL = re.compile(r"(^|[-_. ])nc($|[-_. 0-9])|non-?commercial|research-only|^unknown$|^other$")


@dataclass(frozen=True)
class Plan:
    """``scoring_key`` names what scores and captions depend on, ``key`` that and the thresholds."""

    storage: Path
    scoring: tuple[Stage, ...]
    given: Given
    thresholds: Thresholds
    captions: Captioning
    settings: Settings
    models: dict[str, str]
    licences: dict[str, str]
    scoring_key: str

    @classmethod
    def make(cls, settings: Settings) -> "Plan":
        """Raises InputError for a missing model, or one whose licence the settings forbid."""
        s = settings.curate
        words = captioning_of(settings)
        models, licences, quality = words.models, words.licences, None
        if s.technical != "weightless":
            quality = model_folder(settings.models.quality)
            models = {"quality": folder_hash(quality), **models}
            licences = {"quality": licence(quality), **licences}
        _check_licences(licences, models, s.allow_noncommercial)
        given = Given.by(s, _threshold_of(quality, s.min_technical is not None))
        changing = {
            name: value
            for name, value in s.model_dump(mode="json").items()
            if name not in _SPEED and name not in _JUDGING
        }
        return cls(
            storage=settings.storage,
            scoring=_scoring(settings, quality),
            given=given,
            thresholds=given.resolved(),
            captions=words.captioning,
            settings=settings,
            models=models,
            licences=licences,
            scoring_key=_hash(changing, models, words.hashes, _SCORES_VERSION),
        )

    @property
    def key(self) -> str:
        """Of all that verdicts depend on."""
        s = self.settings.curate
        copies = {name: getattr(s, name) for name in sorted(_JUDGING) if name.startswith("copy")}
        return _hash(self.scoring_key, vars(self.thresholds), copies)

    def with_percentiles(self, read: Callable[[], Chunks]) -> "Plan":
        """The plan with thresholds that are percentiles taken from the scores that ``read`` yields at each call."""
        return replace(self, thresholds=self.given.resolved(read))

    def source_key(self, source: Source) -> str:
        """Of all that the scores of one source depend on."""
        return _hash(self.scoring_key, source.uri, source.fingerprint, source.caption)[:24]

    def licences_of(self, row: Row) -> str:
        """The licences of the models that made a row."""
        used = {n: v for n, v in self.licences.items() if n != "quality" or row["technical_by"] == "model"}
        return "; ".join(f"{name}: {value}" for name, value in used.items())


def _scoring(settings: Settings, quality: Path | None) -> tuple[Stage, ...]:
    s = settings.curate
    reading = ReadStage(
        limits=Limits(s.max_megabytes, s.max_source_seconds, s.max_pixels, s.max_frames),
        shots=ShotSettings(ratio=s.shot_ratio, content=s.shot_content),
        clips=ClipSettings(s.min_seconds, s.max_seconds, s.short_side),
        seconds=s.read_seconds,
        megabytes=s.read_megabytes,
    )
    known = _SHAPES_SIDE if is_shipped(settings.models.quality) else None
    stages: list[Stage] = [
        reading,
        MotionStage(),
        TextStage(),
        HashStage(),
        TechnicalStage(decides=s.technical, known=known),
    ]
    if quality is not None:
        actors = actors_for(s.quality_actors, quality, s.model_gpus)
        stages.append(QualityStage(model=quality, actors=actors, gpus=s.model_gpus))
    return tuple(stages)


def _threshold_of(quality: Path | None, given: bool) -> float | None:
    if quality is None or given:
        return None
    threshold = json.loads((quality / "config.json").read_text(encoding="utf-8")).get("threshold")
    if threshold is None:
        raise InputError(f"the quality model in {quality} has no threshold: set curate.min_technical")
    return float(threshold)


def _check_licences(licences: dict[str, str], models: dict[str, str], allow_noncommercial: bool) -> None:
    for name, text in licences.items():
        if not allow_noncommercial and _NONCOMMERCIAL.search(text.lower()):
            instead = " or set curate.technical=weightless" if name == "quality" else ""
            if models[name].startswith(AT_ENDPOINT):
                step = "caption" if name == "captioner" else "rewrite"
                instead = f" or state its licence in curate.{step}_endpoint.licence"
            raise InputError(
                f"the {name} model's licence is '{text}' and curate.allow_noncommercial is false: "
                f"give another with models.{name}{instead}"
            )


def _hash(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
