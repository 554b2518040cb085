"""A filter from outside the packages scores, drops, fills a column and stands in the results."""

import json
from pathlib import Path

import pytest
from hummingbird.config.loading import load_settings
from hummingbird.core.errors import InputError
from hummingbird.lake.lake import Lake
from hummingbird.reports.review import write_review
from hummingbird.shapes.footage import make_footage
from hummingbird_data.curate import curate

FILTER = "brightness:BrightnessFilter"


def run(storage: Path, footage: Path, limit: object) -> tuple[Lake, dict]:
    settings = load_settings(
        overrides=[
            f"storage={storage}", f"curate.source={footage}", "curate.engine=plain", "curate.technical=weightless",
            f"curate.filters={{{FILTER}: {{min_brightness: {limit}}}}}",
        ]
    )  # fmt: skip
    result = curate(settings)
    lake = Lake.open(settings)
    assert "brightness" in write_review(lake, storage, result).read_text()
    return lake, json.loads(result.read_text())


@pytest.mark.slow
def test_it_drops_for_its_own_reason_and_a_percentile_is_taken_of_its_scores(
    ray_cluster: None, tmp_path: Path
) -> None:
    settings = load_settings(overrides=["footage.files=12"])
    make_footage(tmp_path / "footage", settings.footage)
    lake, result = run(tmp_path / "runs", tmp_path / "footage", 2)
    rows = lake.read("clips", "brightness_score > 0").to_pylist()
    assert rows
    assert all("dark" in row["reasons"] for row in rows)
    assert result["metrics"]["reasons"]["dark"] == len(rows)
    assert "2.0" in [one["threshold"] for one in result["metrics"]["filters"] if one["reason"] == "dark"]
    lake, result = run(tmp_path / "runs", tmp_path / "footage", "50%")
    dark = [row for row in lake.read("clips").to_pylist() if "dark" in row["reasons"]]
    assert 0 < len(dark) <= len(rows) / 2


def test_a_typo_in_its_settings_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    overrides = [f"storage={tmp_path}", f"curate.source={tmp_path}", "curate.technical=weightless"]
    typo = f"curate.filters={{{FILTER}: {{min_brightnes: 1}}}}"
    with pytest.raises(InputError, match="did you mean 'min_brightness'"):
        curate(load_settings(overrides=[*overrides, typo]))
