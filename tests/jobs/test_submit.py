"""A verb as a job: what leaves this machine, and that it ends as a local run does."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hummingbird.config.loading import load_settings
from hummingbird.config.settings import settings_hash
from hummingbird.core import source_version
from hummingbird.core.errors import InputError
from hummingbird.lake.lake import Lake
from hummingbird_jobs.submission import hand_over, job_id, runtime_env
from hummingbird_jobs.submitted_command import submitted_command
from ray_head import ray_head

JOBS = Path(__file__).parents[2] / "jobs"
CURATE = ("curate.technical=weightless", "curate.min_seconds=1")


def test_all_settings_leave_by_name_with_paths_from_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "own.yaml").write_text("curate: {max_seconds: 3.0}\n")
    words = [
        "curate",
        "--recipe",
        "shapes-ci",
        "--config",
        "own.yaml",
        "--source",
        "raw",
        "models.quality=./models",
    ]
    command = submitted_command([*words, "catalog.properties={type: rest, uri: 'http://h'}", "seed=3"])
    program, *arguments = shlex.split(command.entrypoint("python"))[3:]
    assert program == "curate"
    assert all("=" in argument for argument in arguments)
    there = load_settings(None, arguments)
    local = command.settings.model_copy(
        update={"models": command.settings.models.model_copy(update={"quality": str(tmp_path / "models")})}
    )
    assert there == local
    assert (there.storage, there.curate.source) == (tmp_path / "runs", tmp_path / "raw")
    assert settings_hash(there) == settings_hash(local)


def test_other_words_stay_in_their_order() -> None:
    command = submitted_command(
        ["lake", "clips", "--where", "verdict = 'kept'", "--storage", "s3://b/x", "seed=1"]
    )
    assert command.arguments[:4] == ["lake", "clips", "--where", "verdict = 'kept'"]
    assert command.settings.seed == 1
    assert submitted_command(["line", "--recipe", "shapes-ci"]).words == ("--recipe", "shapes-ci")
    assert submitted_command(["benchmark", "unet", "--repeats", "3"]).arguments[:2] == ["benchmark", "unet"]
    with pytest.raises(InputError, match="there is no verb 'curat'"):
        submitted_command(["curat"])


def test_the_same_call_is_the_same_job() -> None:
    first, same, other = (job_id(submitted_command(["prune", f"seed={seed}"])) for seed in (1, 1, 2))
    assert first == same != other
    assert first.startswith("prune-")


def test_another_version_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(source_version.SUBMITTED, runtime_env(False)["env_vars"][source_version.SUBMITTED])
    source_version.check_submitted()
    monkeypatch.setenv(source_version.SUBMITTED, "0.0.9+0123456789ab")
    with pytest.raises(InputError, match=r"submitted with hummingbird 0\.0\.9.* install the same on both"):
        source_version.check_submitted()


class BusyHead:
    """Takes a job at the third try, or fails in another way."""

    def __init__(self, answer: str) -> None:
        self.answer, self.tries = answer, 0

    def submit_job(self, **job: str) -> None:
        self.tries += 1
        if self.tries < 3:
            raise RuntimeError(self.answer)


def test_a_head_that_has_nobody_to_run_a_job_yet_is_asked_again() -> None:
    busy = BusyHead("Request failed with status code 500: No available agent to submit job")
    hand_over(busy, entrypoint="true")
    assert busy.tries == 3
    with pytest.raises(InputError, match="has taken no job for 0 s"):
        hand_over(BusyHead("No available agent"), seconds=0.0, entrypoint="true")
    with pytest.raises(RuntimeError, match="no room"):
        hand_over(BusyHead("no room"), entrypoint="true")


def test_code_goes_along_without_weights(capsys: pytest.CaptureFixture[str]) -> None:
    environment = runtime_env(with_code=True)
    assert len(environment["py_modules"]) == 4
    size = float(capsys.readouterr().out.split()[1])
    assert 0.5 < size < 4


@pytest.fixture(scope="module")
def head() -> Iterator[dict[str, str]]:
    with ray_head() as environment:
        yield {**os.environ, **environment}


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    storage = tmp_path_factory.mktemp("footage")
    command = [sys.executable, str(JOBS / "footage.py"), "--storage", str(storage), "footage.files=12"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result = json.loads(Path(done.stdout.splitlines()[-1]).read_text())
    folder = Path(result["outputs"]["footage"])
    for path in sorted(folder.iterdir())[4:]:
        path.unlink()
    return folder


def submit(*words: str) -> list[str]:
    return [sys.executable, str(JOBS / "submit.py"), "--python", sys.executable, *words]


@pytest.mark.slow
def test_a_submitted_curation_ends_with_the_rows_of_a_local_one(
    head: dict[str, str], footage: Path, tmp_path: Path
) -> None:
    words = ["curate", "--source", str(footage), *CURATE]
    job = subprocess.run(
        submit(*words, "--storage", str(tmp_path / "job")),
        env=head,
        capture_output=True,
        text=True,
        check=False,
    )
    assert job.returncode == 0, job.stdout + job.stderr
    assert job.stdout.strip().splitlines()[-1].endswith("result.json")
    local = [sys.executable, str(JOBS / "curate.py"), *words[1:], "--storage", str(tmp_path / "local")]
    subprocess.run(local, check=True, capture_output=True)
    tables = [
        [Lake.open(load_settings(None, [f"storage={tmp_path / place}"])).read(name).to_pylist() for place in
         ("job", "local")]
        for name in ("clips", "quarantine")
    ]  # fmt: skip
    for of_job, of_local in tables:
        assert sorted(map(str, of_job)) == sorted(map(str, of_local))
    assert tables[0][0]


@pytest.mark.slow
def test_bad_input_of_a_job_ends_as_here(head: dict[str, str], tmp_path: Path) -> None:
    words = ["curate", "--source", str(tmp_path / "nowhere"), "--storage", str(tmp_path / "runs")]
    done = subprocess.run(submit(*words), env=head, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "error: " in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.slow
def test_a_stopped_job_is_interrupted_and_the_same_command_goes_on(
    head: dict[str, str], footage: Path, tmp_path: Path
) -> None:
    words = ["curate", "--source", str(footage), *CURATE, "--storage", str(tmp_path / "runs")]
    with subprocess.Popen(submit(*words), env=head, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        for line in client.stdout:
            if line.startswith("captions: "):  # the run is open
                break
        client.send_signal(signal.SIGINT)
        assert client.wait(timeout=60) == 130
    lake = Lake.open(load_settings(None, [f"storage={tmp_path / 'runs'}"]))
    assert lake.read("runs", "kind = 'run'")["state"].to_pylist() == ["interrupted"]
    again = subprocess.run(submit(*words), env=head, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    assert lake.read("runs", "kind = 'run'")["state"].to_pylist() == ["finished"]
    assert lake.read("clips").num_rows > 0
