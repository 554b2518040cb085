"""The lake, its media and its runs with a storage that is no local folder."""

import json
import uuid
from pathlib import Path

import pytest
from hummingbird.config.cluster import CatalogSettings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.files import as_path
from hummingbird.core.hashes import ModelIdentity
from hummingbird.core.remote_path import RemotePath
from hummingbird.core.scratch import local_copy
from hummingbird.lake.lake import Lake
from hummingbird.lake.lineage import latest_output, put_model
from hummingbird.lake.media import store_media
from hummingbird.lake.orphans import orphans
from hummingbird.lake.runs import load_result, open_run

from .conftest import clip, clips


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings whose storage is in memory, with the tables in a folder."""
    monkeypatch.setenv("HUMMINGBIRD_SCRATCH", str(tmp_path / "scratch"))
    catalog = CatalogSettings(
        properties={
            "type": "sql",
            "uri": f"sqlite:///{tmp_path / 'tables.db'}",
            "warehouse": f"file://{tmp_path / 'warehouse'}",
        }
    )
    return Settings(storage=RemotePath(f"memory://{uuid.uuid4().hex}/runs"), catalog=catalog)


def test_a_uri_without_a_catalog_is_refused_in_a_sentence() -> None:
    with pytest.raises(InputError, match=r"is no local folder, .* name one in catalog\.properties"):
        Lake.open(Settings(storage=RemotePath("s3://bucket/runs")))


def test_media_and_rows_and_orphans(remote: Settings) -> None:
    lake = Lake.open(remote)
    named, lost = (store_media(remote.storage, content) for content in (b"video", b"lost"))
    assert store_media(remote.storage, b"video") == named
    row = {**clip("a"), "media_path": named.media_path}
    lake.commit_batch("one", clips(row), None)
    (row,) = Lake.open(remote, create=False).read("clips").to_pylist()
    assert local_copy(remote.storage / row["media_path"], unchanging=True).read_bytes() == b"video"
    (orphan,) = orphans(lake)
    assert (orphan.media_path, orphan.bytes, orphan.partial) == (lost.media_path, 4, False)


def test_a_run_ends_in_the_storage(remote: Settings) -> None:
    with open_run(remote, "prune") as run:
        (run.folder / "pipeline").mkdir()
        (run.folder / "pipeline" / "weights").write_bytes(b"1")
        run.outputs.update(pipeline=run.folder / "pipeline", cache=str(remote.storage / "cache"))
        row = {"path": run.folder / "pipeline", "run_id": run.run_id}
        put_model(run.lake, ModelIdentity("f" * 64, 9), "pruned", row)
    place = remote.storage / "prune" / run.run_id.removeprefix("prune-")
    result = json.loads((place / "result.json").read_text())
    assert result == load_result(run.result_path)
    assert result["outputs"] == {"pipeline": f"{place}/pipeline", "cache": f"{remote.storage}/cache"}
    assert (place / "pipeline" / "weights").read_bytes() == b"1"
    assert not (place / ".lock").exists()
    lake = Lake.open(remote)
    assert lake.read("models")["path"].to_pylist() == [f"{place}/pipeline"]
    copy = latest_output(lake, "prune", "pipeline")
    assert (copy / "weights").read_bytes() == b"1"


def test_a_finished_run_comes_back_with_its_files(remote: Settings) -> None:
    with open_run(remote, "prune") as run:
        (run.folder / "file").write_bytes(b"1")
        run.outputs["file"] = run.folder / "file"
    with open_run(remote, "prune") as again:
        assert again.previous is not None
        assert Path(again.previous["outputs"]["file"]).read_bytes() == b"1"
        again.outputs.update(again.previous["outputs"])
    assert as_path(load_result(again.result_path)["outputs"]["file"]).read_bytes() == b"1"


def test_a_failed_run_says_so_there_and_keeps_its_work_here(remote: Settings) -> None:
    def fail() -> None:
        with open_run(remote, "prune") as run:
            (run.folder / "checkpoint").write_bytes(b"1")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    with open_run(remote, "prune") as again:
        assert load_result(again.result_path)["state"] == "failed"
        assert again.previous is None
        assert (again.folder / "checkpoint").read_bytes() == b"1"


def test_what_was_made_and_is_gone_is_said(remote: Settings) -> None:
    with open_run(remote, "encode") as run:
        run.outputs["cache"] = str(remote.storage / "cache" / "x")
    with pytest.raises(InputError, match="is gone; run encode again"):
        latest_output(Lake.open(remote), "encode", "cache")
