"""The quality stage gives a row the scores of the model it was given."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.models.dover import DOVER
from hummingbird_data.filters.quality import AestheticFilter, OverallFilter, QualityStage
from hummingbird_data.reading.clip_frames import clip_frames
from hummingbird_data.stage import StageRunner


def test_a_row_gets_the_models_scores(
    tmp_path: Path, quality_model: Path, write_video: Callable, shot: Callable
) -> None:
    write_video(tmp_path / "a.mp4", shot(1))
    row = {"media_path": "a.mp4", "storage": str(tmp_path), "technical_by": "model"}
    (made,) = StageRunner(QualityStage(model=quality_model)).run([row])
    expected = DOVER.from_pretrained(quality_model).eval().score(np.array(clip_frames(row)[0]))
    assert made == {**row, **{f"quality_{name}": value for name, value in expected.items()}}
    (other,) = StageRunner(QualityStage(model=quality_model)).run([{**row, "technical_by": "weightless"}])
    assert [other[f"quality_{name}"] for name in expected] == [None] * 3


def test_a_score_that_is_no_number_is_an_error(
    tmp_path: Path,
    quality_model: Path,
    write_video: Callable,
    shot: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_video(tmp_path / "a.mp4", shot(1, seconds=1))
    scores = {"technical": float("nan"), "aesthetic": 0.0, "overall": 0.5}
    monkeypatch.setattr(DOVER, "score", lambda self, frames: scores)
    row = {"media_path": "a.mp4", "storage": str(tmp_path), "technical_by": "model"}
    (made,) = StageRunner(QualityStage(model=quality_model)).run([row])
    assert made["error_stage"] == "quality"
    assert "nan" in made["error"]


def test_its_actors_leave_the_cores_to_the_tasks_that_feed_them(quality_model: Path) -> None:
    stage = QualityStage(model=quality_model, actors=4)
    assert stage.actors * stage.cpus == 0


@pytest.mark.parametrize(
    ("kind", "setting"), [(AestheticFilter, "min_aesthetic"), (OverallFilter, "min_overall")]
)
def test_a_threshold_without_a_quality_model_is_refused(
    kind: type, setting: str, quality_model: Path
) -> None:
    without = Settings(curate={setting: "10%"})
    with pytest.raises(InputError, match=f"curate.{setting} needs a quality model"):
        kind(without.curate).limit(without)
    settings = Settings(curate={setting: "10%"}, models={"quality": str(quality_model)})
    assert kind(settings.curate).limit(settings) == "10%"
    assert kind(settings.curate).limit(Settings()) == -np.inf
