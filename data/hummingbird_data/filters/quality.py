"""Technical and aesthetic quality by the DOVER-structured model."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from hummingbird.config.curate import CurateSettings
from hummingbird.config.settings import Settings as SettingsTree
from hummingbird.core.errors import InputError
from hummingbird.core.model_references import model_folder

from hummingbird_data.filters.base import Filter, Limits, Threshold
from hummingbird_data.filters.technical import technical_stage
from hummingbird_data.reading.clip_frames import clip_frames
from hummingbird_data.runtime.model_files import actors_for
from hummingbird_data.stage import Row, Stage

if TYPE_CHECKING:
    from hummingbird.models.dover import DOVER


@dataclass
class QualityStage(Stage):
    """``model`` is the folder of the weights. Clips whose technical score it does not decide have no scores of
    it: it knows other pictures, or must not be used."""

    name: ClassVar[str] = "quality"
    inputs: ClassVar[tuple[str, ...]] = ("media_path", "storage", "technical_by")
    outputs: ClassVar[tuple[str, ...]] = ("quality_technical", "quality_aesthetic", "quality_overall")
    model: Path
    actors: int = 0
    gpus: float = 0.0
    cpus: float = 1.0
    batch_rows: int = 1
    _model: "DOVER | None" = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.actors:
            # Nothing is set aside for them: they wait for the tasks before them most of the time, and on a machine
            # with one core those tasks would wait for a core for ever.
            self.cpus = 0.0

    def setup(self) -> None:
        import torch

        torch.set_num_threads(1)  # the cluster's cores are shared out by Ray
        device = "cuda" if self.gpus else "cpu"
        self._model = load_quality(self.model).to(device).eval()

    def process(self, row: Row) -> Iterable[Row]:
        assert self._model is not None, "setup() was not called"
        if row["technical_by"] != "model":
            return [dict.fromkeys(self.outputs)]
        frames, _ = clip_frames(row)
        scores = self._model.score(frames)
        made = {f"quality_{name}": float(scores[name]) for name in ("technical", "aesthetic", "overall")}
        if not all(map(math.isfinite, made.values())):
            # It would pass every threshold.
            raise ValueError(f"the quality model gave {made}")
        return [made]


def load_quality(folder: Path) -> "DOVER":
    """The quality model in ``folder``.

    Raises:
        InputError: its weights are missing, renamed, of another shape or cut off.
    """
    from hummingbird.models.dover import DOVER
    from hummingbird.models.loading import load_pretrained

    model: DOVER = load_pretrained(DOVER, folder)
    return model


class QualityFilter(Filter):
    """A score of the quality model, where there is one and it decides; without a threshold nothing is dropped."""

    Settings = CurateSettings

    def stages(self, settings: SettingsTree) -> list[Stage]:
        s = settings.curate
        stages: list[Stage] = []
        for folder in self.models(settings).values():
            actors = actors_for(s.quality_actors, folder, s.model_gpus)
            stages += [
                technical_stage(settings),
                QualityStage(model=folder, actors=actors, gpus=s.model_gpus),
            ]
        return stages

    def models(self, settings: SettingsTree) -> Mapping[str, Path]:
        quality = settings.models.quality
        if settings.curate.technical == "model" and quality is None:
            raise InputError(
                "curate.technical=model needs a quality model: name its folder in models.quality"
            )
        if settings.curate.technical == "weightless" or quality is None:
            return {}
        return {"quality": model_folder(quality)}

    def check(self, settings: SettingsTree) -> None:
        for folder in self.models(settings).values():
            load_quality(folder)

    def limit(self, settings: SettingsTree) -> float | str:
        """The setting; where there is none, all pass.

        Raises:
            InputError: there is one, and no quality model that decides.
        """
        name = self.threshold.setting
        value: float | str | None = getattr(settings.curate, name)
        if value is None:
            return -math.inf
        if not self.models(settings):
            raise InputError(f"curate.{name} needs a quality model: name its folder in models.quality")
        return value


class AestheticFilter(QualityFilter):
    """What the quality model says of content and composition."""

    reason = "aesthetic_quality"
    scores: ClassVar = {"quality_aesthetic": "aesthetic quality"}
    threshold = Threshold("min_aesthetic", "quality_aesthetic", "below")


class OverallFilter(QualityFilter):
    """The quality model's technical and aesthetic scores as one."""

    reason = "overall_quality"
    scores: ClassVar = {"quality_overall": "overall quality"}
    threshold = Threshold("min_overall", "quality_overall", "below")


class TechnicalFilter(QualityFilter):
    """The technical score of the quality model."""

    reason = "technical_quality"
    scores: ClassVar = {"quality_technical": "technical quality"}
    threshold = Threshold("min_technical", "quality_technical", "below")

    def limit(self, settings: SettingsTree) -> float | str:
        """The setting; where there is none, the threshold that the model came with."""
        if settings.curate.min_technical is not None:
            return settings.curate.min_technical
        for folder in self.models(settings).values():
            threshold = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("threshold")
            if threshold is None:
                raise InputError(f"the quality model in {folder} has no threshold: set curate.min_technical")
            return float(threshold)
        return -math.inf

    def drops(self, row: Row, limits: Limits) -> bool:
        return row["technical_by"] != "weightless" and super().drops(row, limits)
