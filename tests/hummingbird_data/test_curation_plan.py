"""Licences are kept to, and the keys change with what they stand for."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird_data.curation_plan import CurationPlan
from hummingbird_data.sources.source_batches import Source


def plan(tmp_path: Path, quality: Path, captioner: Path, **curating: object) -> CurationPlan:
    models = {"quality": str(quality), "captioner": str(captioner)}
    return CurationPlan.make(Settings(storage=tmp_path, models=models, curate=curating))  # type: ignore[arg-type]


@pytest.fixture
def licensed(tmp_path: Path, quality_model: Path, captioner: Path) -> tuple[Path, Path]:
    folders = tmp_path / "quality", tmp_path / "captioner"
    for source, folder, text in zip(
        (quality_model, captioner), folders, ("cc-by-nc-sa-4.0", "apache-2.0"), strict=True
    ):
        shutil.copytree(source, folder)
        (folder / "README.md").write_text(f"---\nlicense: {text}\n---\n")
    return folders


def test_a_model_that_is_not_for_commercial_use_can_be_forbidden(
    tmp_path: Path, licensed: tuple[Path, Path]
) -> None:
    made = plan(tmp_path, *licensed)
    assert made.licences_of({"technical_by": "model"}) == "quality: cc-by-nc-sa-4.0; captioner: apache-2.0"
    assert made.licences_of({"technical_by": "weightless"}) == "captioner: apache-2.0"
    with pytest.raises(
        InputError, match=r"quality model's licence is 'cc-by-nc-sa-4.0'.*curate.technical=weightless"
    ):
        plan(tmp_path, *licensed, allow_noncommercial=False)
    without = plan(tmp_path, *licensed, allow_noncommercial=False, technical="weightless")
    assert set(without.models) == {"captioner"}
    (licensed[1] / "README.md").unlink()
    with pytest.raises(InputError, match="captioner model's licence is 'unknown'"):
        plan(tmp_path, *licensed, allow_noncommercial=False, technical="weightless")


def test_thresholds_change_the_key_but_not_that_of_the_scores(
    tmp_path: Path, quality_model: Path, captioner: Path
) -> None:
    source = Source("/a.mp4", None, "1")
    base = plan(tmp_path, quality_model, captioner)
    judged = plan(tmp_path, quality_model, captioner, max_zoom=0.1, copy_likeness=0.9)
    scored = plan(tmp_path, quality_model, captioner, max_seconds=5.0)
    assert base.key != judged.key
    assert base.source_key(source) == judged.source_key(source) != scored.source_key(source)
    assert base.source_key(source) != base.source_key(Source("/a.mp4", None, "2"))
    assert plan(tmp_path, quality_model, captioner, batch_files=7).key == base.key


def test_percentiles_are_taken_from_the_scores(tmp_path: Path, quality_model: Path, captioner: Path) -> None:
    made = plan(tmp_path, quality_model, captioner, min_motion="10%", max_freeze="90%", max_zoom=0.1)
    assert made.limits["min_motion"] == float("-inf")
    motion = np.arange(100) / 100
    scores = {"motion_score": motion, "freeze_score": np.zeros(100)}
    limits = made.with_percentiles(lambda: [scores]).limits
    assert limits["min_motion"] == pytest.approx(0.09)
    assert (motion < limits["min_motion"]).sum() <= 10
    assert limits["max_freeze"] > 0  # a clip without any freeze stays
    assert limits["max_zoom"] == 0.1
    assert made.with_percentiles(list).limits["min_motion"] == float("-inf")


def test_more_gpus_than_there_are_would_be_waited_for_for_ever(
    ray_cluster: None, tmp_path: Path, quality_model: Path, captioner: Path
) -> None:
    made = plan(tmp_path, quality_model, captioner, model_gpus=0.5, caption_actors=2)
    with pytest.raises(InputError, match=r"need 1.5 GPUs at once \(.*=0.5 each\), Ray has no more than 0"):
        made.check()
    plan(tmp_path, quality_model, captioner).check()


def test_without_a_quality_model_the_score_without_weights_decides(tmp_path: Path) -> None:
    made = CurationPlan.make(Settings(storage=tmp_path))
    assert made.models == {}
    assert [stage.decides for stage in made.scoring if stage.name == "technical"] == ["weightless"]
    with pytest.raises(InputError, match=r"models\.quality"):
        CurationPlan.make(Settings(storage=tmp_path, curate={"technical": "model"}))  # type: ignore[arg-type]
