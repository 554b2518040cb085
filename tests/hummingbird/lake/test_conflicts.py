"""Writers without a lock: whoever comes second puts its rows on top of the first one's."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hummingbird.config.cluster import CatalogSettings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.lake import catalogs, committer, conflicts
from hummingbird.lake.catalogs import open_catalog
from hummingbird.lake.committer import Committer
from hummingbird.lake.lake import Lake
from pyiceberg.exceptions import CommitFailedException, ServiceUnavailableError

from .conftest import broken, clip, clips


@pytest.fixture
def pair(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> tuple[Lake, Lake]:
    """Two machines' lakes on one catalog, as with one that is no SQLite file."""
    monkeypatch.setattr("hummingbird.lake.conflicts._LONGEST_WAIT", 0.0)
    Lake.open(settings)
    first, second = (
        Lake(Committer(open_catalog(settings), settings.catalog.namespace, lock=None), settings.storage)
        for _ in range(2)
    )
    return first, second


def overtaken(monkeypatch: pytest.MonkeyPatch, lake: Lake, method: str, other: Any) -> None:
    """Before the first call of a method of the lake's committer, ``other`` happens."""
    writer = lake._committer
    original = getattr(writer, method)

    def late(*arguments: Any, **named: Any) -> Any:
        monkeypatch.setattr(writer, method, original)
        other()
        return original(*arguments, **named)

    monkeypatch.setattr(writer, method, late)


def test_of_two_batches_at_once_none_is_lost_or_doubled(
    pair: tuple[Lake, Lake], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = pair
    first.commit_batch("zero", clips(clip("a", caption="old")), None)
    overtaken(
        monkeypatch,
        first,
        "_write_ledger",
        lambda: second.commit_batch("two", clips(clip("b"), clip("a")), broken("d")),
    )
    snapshot = first.commit_batch("one", clips(clip("a", caption="new"), clip("c")), None)
    rows = {row["source_uri"]: row["caption"] for row in second.read("clips").to_pylist()}
    assert rows == {"a": "new", "b": "a", "c": "a"}
    assert second.snapshot() == snapshot
    assert first.read("quarantine")["source_uri"].to_pylist() == ["d"]
    ledger = second.read("runs", "kind = 'batch'").sort_by("sequence")
    assert ledger["sequence"].to_pylist() == [1, 2, 3]


def test_the_same_batch_of_two_is_there_once(
    pair: tuple[Lake, Lake], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = pair
    overtaken(monkeypatch, first, "_write_ledger", lambda: second.commit_batch("one", clips(clip("a")), None))
    assert first.commit_batch("one", clips(clip("a")), None) == second.snapshot()
    assert first.read("runs")["sequence"].to_pylist() == [1]


def test_the_row_of_a_run_does_not_hide_a_batch(
    pair: tuple[Lake, Lake], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = pair
    original = committer.pins_of

    def late(runs: Any, table: Any) -> Any:
        pins = original(runs, table)
        monkeypatch.setattr(committer, "pins_of", original)
        second.commit_batch("one", clips(clip("a")), None)
        return pins

    monkeypatch.setattr(committer, "pins_of", late)
    first.put_run({"run_id": "prune-1", "state": "running", "started": datetime.now(UTC)})
    assert second.read("clips").num_rows == 1
    assert sorted(second.read("runs")["run_id"].to_pylist()) == ["batch-one", "prune-1"]


def test_whoever_is_always_overtaken_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hummingbird.lake.conflicts._LONGEST_WAIT", 0.0)

    def fail() -> None:
        raise CommitFailedException("overtaken")

    with pytest.raises(InputError, match="were overtaken by those of others"):
        conflicts.until_committed(fail)


def test_a_catalog_that_goes_away_is_a_sentence(settings: Settings, tmp_path: Path) -> None:
    lake = Lake.open(settings)
    (tmp_path / "runs" / "catalog.db").write_bytes(b"no database any more, of more than a few bytes" * 100)
    with pytest.raises(InputError, match=r"the sql catalog at sqlite:///.* failed: .*goes on from there"):
        lake.read("clips")


def test_a_catalog_that_is_not_well_for_a_moment_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogs, "_WAITS", (0.0, 0.0))
    asked = []

    def load() -> str:
        asked.append(1)
        if len(asked) < 3:
            raise ServiceUnavailableError("busy")
        return "table"

    assert catalogs._repeated(load)() == "table"

    def never() -> None:
        raise ServiceUnavailableError("http://ada:hunter2@host is busy")

    with pytest.raises(
        InputError, match=r"the rest catalog failed: http://ada:\*\*\*@host is busy; what was"
    ):
        catalogs._explained(catalogs._repeated(never), "the rest catalog")()


def test_a_driver_that_is_not_installed_is_named_with_its_extra() -> None:
    properties = {
        "type": "sql",
        "uri": "postgresql+pg8000://ada@127.0.0.1:1/lake",
        "warehouse": "file:///tmp/x",
    }
    settings = Settings(catalog=CatalogSettings(properties=properties))
    with pytest.raises(InputError, match=r"needs the package pg8000.*hummingbird\[postgres\]"):
        open_catalog(settings)
