"""The lake with catalogs that are servers: two machines commit at once, and all that a run leaves is in the bucket."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hummingbird.config.loading import load_settings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.lake.lake import Lake
from hummingbird.lake.runs import open_run
from servers import SECRET, object_storage, postgresql

pytestmark = pytest.mark.slow

COMMIT = """
import json, sys
import pyarrow as pa
from hummingbird.config.loading import load_settings
from hummingbird.lake.lake import Lake
name, overrides = sys.argv[1], json.loads(sys.argv[2])
lake = Lake.open(load_settings(None, overrides))
base = {"start_seconds": 0.0, "end_seconds": 1.0, "verdict": "dropped", "reasons": ["static"]}
for number in range(8):
    uris = [f"{name}-{number}", "both"]
    rows = [{**base, "clip_id": uri, "source_uri": uri, "caption": name} for uri in uris]
    lake.commit_batch(f"{name}-{number}", pa.Table.from_pylist(rows), None)
"""


@pytest.fixture(scope="module", params=["postgresql", "rest"])
def overrides(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[str]]:
    folder = tmp_path_factory.mktemp("servers")
    patch = pytest.MonkeyPatch()
    patch.setenv("HUMMINGBIRD_SCRATCH", str(folder / "scratch"))
    if request.param == "postgresql":
        with postgresql(folder) as uri:
            patch.setenv("PGPASSWORD", SECRET)
            properties = {"type": "sql", "uri": uri, "warehouse": f"file://{folder / 'warehouse'}"}
            yield [f"storage={folder / 'runs'}", f"catalog.properties={json.dumps(properties)}"]
    else:
        with object_storage(folder) as (environment, uri):
            for name, value in environment.items():
                patch.setenv(name, value)
            properties = {"type": "rest", "uri": uri, "warehouse": "s3://lake"}
            yield ["storage=s3://runs/x", f"catalog.properties={json.dumps(properties)}"]
    patch.undo()


def test_many_first_starts_at_once(overrides: list[str]) -> None:
    settings = load_settings(None, overrides)
    with ThreadPoolExecutor(20) as pool:
        lakes = list(pool.map(lambda _: Lake.open(settings), range(20)))
    assert {lake.snapshot() for lake in lakes} == {lakes[0].snapshot()}
    assert lakes[0].read("clips").num_rows == 0


def test_two_machines_start_and_commit_at_once(overrides: list[str]) -> None:
    children = [
        subprocess.Popen([sys.executable, "-c", COMMIT, name, json.dumps(overrides)], env=os.environ)
        for name in ("one", "two")
    ]
    assert [child.wait(timeout=300) for child in children] == [0, 0]
    lake = Lake.open(load_settings(None, overrides))
    uris = sorted(lake.read("clips")["source_uri"].to_pylist())
    assert uris == sorted(["both", *(f"{name}-{n}" for name in ("one", "two") for n in range(8))])
    assert sorted(lake.read("runs", "kind = 'batch'")["sequence"].to_pylist()) == list(range(1, 17))


def test_a_run_and_its_files(overrides: list[str]) -> None:
    settings: Settings = load_settings(None, overrides)
    with open_run(settings, "prune", inputs={"of": "servers"}) as run:
        (run.folder / "weights").write_bytes(b"1")
        run.outputs["weights"] = run.folder / "weights"
    place = settings.storage / "prune" / run.run_id.removeprefix("prune-")
    assert (place / "weights").read_bytes() == b"1"
    assert json.loads((place / "result.json").read_text())["outputs"] == {"weights": f"{place}/weights"}
    with open_run(settings, "prune", inputs={"of": "servers"}) as again:
        assert again.previous is not None


def test_a_wrong_password_is_a_sentence_without_it(
    overrides: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    with pytest.raises(InputError, match=r"cannot open the (sql|rest) catalog at ") as caught:
        Lake.open(load_settings(None, overrides))
    assert "hunter2" not in str(caught.value)
