"""What the settings of curation come to: stages, filters, thresholds, models with their licences, and keys."""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.files import AnyPath
from hummingbird.core.hashes import weights_path_hash
from hummingbird.core.licences import forbids_commercial_use
from hummingbird.core.model_references import model_licence
from hummingbird.core.resources import reachable_resources
from hummingbird.core.shared_folder import SharedFolder

from hummingbird_data.captions.caption_stages import Captioning
from hummingbird_data.captions.captioning import plan_captioning
from hummingbird_data.captions.engines import AT_ENDPOINT
from hummingbird_data.copies.duplicates import CopyLimits, HashStage
from hummingbird_data.filters.base import Filter, Limits
from hummingbird_data.filters.shipped import ALWAYS, chosen_filters, filters_of
from hummingbird_data.reading.clips import ClipSettings
from hummingbird_data.reading.probe import Limits as ReadLimits
from hummingbird_data.reading.read import ReadStage, shot_weights_hash
from hummingbird_data.reading.shots import ShotSettings
from hummingbird_data.sources.source_batches import Source
from hummingbird_data.stage import Row, Stage
from hummingbird_data.verdicts.thresholds import Scores, Thresholds

log = logging.getLogger(__name__)

# Settings that change what is looked at and how fast a run is, not what it makes of a source; files whose content is
# hashed; and classes, which are hashed with their own settings.
_SPEED = {
    "engine", "source", "limit", "manifest_uri", "manifest_caption", "manifest_root", "batch_files", "batch_seconds",
    "caption_batch", "quality_actors", "caption_actors", "model_gpus", "caption_resources", "allow_noncommercial",
    "caption_endpoint", "rewrite_endpoint", "caption_prompt", "rewrite_prompt", "caption_tokenizer", "filters",
    "shot_weights", "index_actors",
}  # fmt: skip
_COPIES = ("copy_color", "copy_likeness", "copy_luma")
_JUDGING = {*(kind.threshold.setting for kind in ALWAYS), *_COPIES}
_SCORES_VERSION = 5
"""Goes up where the same settings and models come to give other scores. 2: embeddings; 3: cuts, text, freezes and
flicker; 4: cuts that color alone shows; 5: gradual transitions, blanks in
no clip, the clock of files, mirrored and interlaced pictures, text that changes, details of three sizes."""


@dataclass(frozen=True)
class CurationPlan:
    """``captions``: none: those that came with the sources stay. ``scoring_key`` names what scores and captions depend
    on, ``key`` that and the thresholds."""

    storage: AnyPath
    scoring: tuple[Stage, ...]
    filters: tuple[Filter, ...]
    thresholds: Thresholds
    limits: Limits
    captions: Captioning | None
    settings: Settings
    models: dict[str, str]
    licences: dict[str, str]
    scoring_key: str

    @classmethod
    def make(cls, settings: Settings) -> "CurationPlan":
        """Raises InputError for a missing model, or one whose licence the settings forbid."""
        s = settings.curate
        captions = plan_captioning(settings)
        filters = filters_of(settings)
        folders = {name: folder for one in filters for name, folder in one.models(settings).items()}
        models = {**{name: weights_path_hash(folder) for name, folder in folders.items()}, **captions.models}
        licences = {name: model_licence(folder) or "unknown" for name, folder in folders.items()}
        licences |= captions.licences
        if s.shot_engine == "transnet":
            models = {"shots": shot_weights_hash(s.shot_weights), **models}
            licences = {"shots": "mit", **licences}
        _check_licences(licences, models, s.allow_noncommercial)
        thresholds = Thresholds.of(filters, settings)
        changing = {
            name: value
            for name, value in s.model_dump(mode="json").items()
            if name not in _SPEED and name not in _JUDGING
        }
        plugins = [
            (one.name, one.settings.model_dump(mode="json", exclude={one.kind.threshold.setting}))
            for one in chosen_filters(settings)
        ]
        return cls(
            storage=settings.storage,
            scoring=_scoring(settings, filters),
            filters=tuple(filters),
            thresholds=thresholds,
            limits=thresholds.resolved(),
            captions=captions.captioning,
            settings=settings,
            models=models,
            licences=licences,
            scoring_key=_hash(changing, models, captions.hashes, _SCORES_VERSION, *plugins),
        )

    @property
    def copy_limits(self) -> CopyLimits:
        """What counts as a copy."""
        s = self.settings.curate
        return CopyLimits(s.copy_luma, s.copy_color, s.copy_likeness)

    @property
    def caption_source(self) -> str:
        """Where the captions come from, in words."""
        if self.captions is None:
            return "those that came with the files, where they did: models.captioner names no captioner"
        return str(self.captions)

    def check(self) -> None:
        """Whether its models can be used, before anything is read.

        Raises:
            InputError: an engine is not installed, or down; a model whose weights are missing, renamed, of another
                shape or cut off.
        """
        for one in self.filters:
            one.check(self.settings)
        if self.captions is not None:
            self.captions.check()
        self._check_gpus()

    def _check_gpus(self) -> None:
        """Actors keep their GPUs for as long as the run, so that one short of them would wait for ever."""
        stages = [
            *self.scoring,
            *(self.captions.engines if self.captions else ()),
        ]
        needed = sum(stage.gpus * max(1, stage.actors) for stage in stages)
        if not needed:
            return
        there = reachable_resources().get("GPU", 0.0)
        if needed <= there:
            return
        each = self.settings.curate.model_gpus
        told = (
            f"the models need {needed:g} GPUs at once (curate.model_gpus={each:g} each), Ray has no more than "
            f"{there:g}"
        )
        if self.settings.ray.address or os.environ.get("RAY_ADDRESS"):
            log.warning("%s: the run waits until more nodes come", told)
        else:
            raise InputError(f"{told}: let them share one, as with curate.model_gpus=0.5")

    @property
    def key(self) -> str:
        """Of all that verdicts depend on."""
        copies = {name: getattr(self.settings.curate, name) for name in _COPIES}
        return _hash(self.scoring_key, dict(self.limits), copies)

    def with_storage(self, shared: SharedFolder | None) -> "CurationPlan":
        """The plan whose readers look first whether they see the very storage folder."""
        scoring = tuple(
            replace(stage, shared=shared) if isinstance(stage, ReadStage) else stage for stage in self.scoring
        )
        return replace(self, scoring=scoring)

    def with_percentiles(self, read: Callable[[], Iterable[Scores]]) -> "CurationPlan":
        """The plan with thresholds that are percentiles taken from the scores that ``read`` yields in chunks."""
        return replace(self, limits=self.thresholds.resolved(read))

    def source_key(self, source: Source) -> str:
        """Of all that the scores of one source depend on."""
        return _hash(self.scoring_key, source.uri, source.fingerprint, source.caption)[:24]

    def licences_of(self, row: Row) -> str:
        """The licences of the models that made a row."""
        used = {n: v for n, v in self.licences.items() if n != "quality" or row["technical_by"] == "model"}
        return "; ".join(f"{name}: {value}" for name, value in used.items())


def _scoring(settings: Settings, filters: Sequence[Filter]) -> tuple[Stage, ...]:
    s = settings.curate
    reading = ReadStage(
        limits=ReadLimits(s.max_megabytes, s.max_source_seconds, s.max_pixels, s.max_frames),
        shots=ShotSettings(
            engine=s.shot_engine,
            ratio=s.shot_ratio,
            content=s.shot_content,
            weights=None if s.shot_weights is None else str(s.shot_weights),
        ),
        clips=ClipSettings(s.min_seconds, s.max_seconds, s.short_side),
        seconds=s.read_seconds,
        megabytes=s.read_megabytes,
    )
    stages = [reading, HashStage(), *(stage for one in filters for stage in one.stages(settings))]
    once = {repr(stage): stage for stage in stages}  # a stage's settings are in its text
    # Those with a model last: stages that follow each other as tasks share what one of them decoded.
    return tuple(
        sorted(once.values(), key=lambda stage: (bool(stage.actors or stage.gpus), stage is not reading))
    )


def _check_licences(licences: dict[str, str], models: dict[str, str], allow_noncommercial: bool) -> None:
    for name, text in licences.items():
        if not allow_noncommercial and forbids_commercial_use(text):
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
