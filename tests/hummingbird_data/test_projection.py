"""A pilot curates a sample, and projects the whole source from it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hummingbird.config.settings import Settings
from hummingbird.lake.lake import Lake
from hummingbird.reports.review import write_review
from hummingbird_data.curate import curate
from hummingbird_data.sources.source_batches import find_sources


@pytest.fixture
def source(tmp_path: Path, write_video: Callable, shot: Callable) -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    for number in range(7):
        write_video(folder / f"{number}.mp4", shot(number))
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


def test_a_sample_is_the_same_each_time_and_spread_over_folders(tmp_path: Path) -> None:
    for folder in "abcd":
        (tmp_path / folder).mkdir()
        for number in range(50):
            (tmp_path / folder / f"{number}.mp4").write_bytes(b"")
    samples = []
    for _ in range(2):
        with find_sources(tmp_path) as sources:
            root = sources.root
            sources.sample(40)
            samples.append([source.uri for source in sources])
            assert (len(sources), sources.total, sources.root) == (40, 200, root)
    assert samples[0] == samples[1]
    counts = [sum(f"/{folder}/" in uri for uri in samples[0]) for folder in "abcd"]
    assert min(counts) >= 4


def test_the_whole_is_projected_and_a_full_run_does_the_rest(
    ray_cluster: None, tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(limit: int | None) -> dict:
        section = {"source": source, "engine": "plain", "limit": limit}
        return json.loads(curate(Settings(storage=tmp_path / "runs", curate=section)).read_text())

    pilot = run(3)
    assert pilot["metrics"]["sources"] == 3
    projection = pilot["metrics"]["projection"]
    assert (projection["files"], projection["sampled"]) == (8, 3)
    assert projection["core_hours"] > 0
    for proposals in projection["thresholds"].values():
        assert all(0 < proposal["drops"] <= 1 for proposal in proposals)
    assert "the whole source, from 3 of 8 files" in capsys.readouterr().out
    assert run(3)["metrics"]["projection"] == projection
    lake = Lake.open(Settings(storage=tmp_path / "runs"))
    before = {row["source_uri"]: row for row in lake.read("clips").to_pylist()}
    whole = run(None)
    assert whole["metrics"]["sources"] == 8
    assert "projection" not in whole["metrics"]
    assert whole["metrics"]["stages"]["read"]["clips"] <= 8 - len(before)


def test_the_review_shows_what_a_proposed_threshold_would_drop(
    ray_cluster: None, tmp_path: Path, source: Path
) -> None:
    section = {"source": source, "engine": "plain", "limit": 8, "min_weightless": 0}
    settings = Settings(storage=tmp_path / "runs", curate=section)
    result = curate(settings)
    review = write_review(Lake.open(settings), settings.storage, result).read_text()
    proposals = json.loads(result.read_text())["metrics"]["projection"]["thresholds"]
    assert proposals
    for setting in proposals:
        assert f"curate.{setting}=" in review
