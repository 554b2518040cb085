"""The command line of the verbs: exit codes, the last line, clear errors."""

import argparse
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from hummingbird.config.command_line import run_verb
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError


def run(main: object, *argv: str) -> int:
    with pytest.raises(SystemExit) as caught:
        run_verb("curate", "Curates.", main, {"--source": "curate.source"}, argv=argv)  # type: ignore[arg-type]
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_flags_and_overrides_in_any_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def main(settings: Settings, args: argparse.Namespace) -> Path:
        assert settings.seed == 5
        assert settings.curate.source == tmp_path
        assert settings.storage == tmp_path / "s"
        print("working")
        return tmp_path / "result.json"

    assert run(main, "seed=4", "--source", str(tmp_path), "--storage", str(tmp_path / "s"), "seed=5") == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "result.json")


def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def main(settings: Settings, args: argparse.Namespace) -> None:
        raise InputError("there is nothing in the folder")

    assert run(main) == 2
    assert capsys.readouterr().err == "error: there is nothing in the folder\n"
    assert run(main, "see=1") == 2
    assert capsys.readouterr().err == "error: unknown setting 'see'; did you mean 'seed'?\n"


def test_bad_input_found_by_a_ray_worker_is_one_line_too(
    ray_cluster: None, capsys: pytest.CaptureFixture[str]
) -> None:
    import ray

    @ray.remote
    def work() -> None:
        raise InputError("no such prompt")

    assert run(lambda settings, args: ray.get(work.remote())) == 2
    assert capsys.readouterr().err == "error: no such prompt\n"


def test_a_storage_that_goes_with_its_job_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "runtime_resources" / "working_dir_files" / "_ray_pkg_1"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert run(lambda settings, args: None, "--storage", "runs") == 2
    assert "name one with --storage by its whole path" in capsys.readouterr().err
    assert run(lambda settings, args: None, "--storage", str(tmp_path / "runs")) == 0


def test_secrets_are_masked_in_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    def main(settings: Settings, args: argparse.Namespace) -> None:
        raise (InputError if settings.seed else OSError)("cannot reach postgresql://ada:hunter2@db/lake")

    own = "curate.filters={mine:Score: {api_key: hunter2, least: 1}}"
    assert [run(main, "seed=1"), run(main, "seed=0"), run(main, "--print-settings", own)] == [2, 1, 0]
    out, err = capsys.readouterr()
    assert "hunter2" not in out + err
    assert err.count("postgresql://ada:***@db/lake") == 3  # the traceback quotes its line
    assert yaml.safe_load(out)["curate"]["filters"] == {"mine:Score": {"api_key": "***", "least": 1}}


def test_a_defect_shows_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def main(settings: Settings, args: argparse.Namespace) -> None:
        raise ZeroDivisionError

    assert run(main) == 1
    assert "Traceback" in capsys.readouterr().err


def test_printed_settings_can_be_loaded_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def main(settings: Settings, args: argparse.Namespace) -> None:
        raise AssertionError("must not run")

    assert run(main, "--print-settings", "seed=7", f"storage={tmp_path}") == 0
    printed = capsys.readouterr().out
    assert yaml.safe_load(printed)["seed"] == 7
    (tmp_path / "all.yaml").write_text(printed)
    assert run(main, "--print-settings", "--config", str(tmp_path / "all.yaml")) == 0
    assert capsys.readouterr().out == printed


def test_help_lists_the_settings_of_the_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lambda settings, args: None, "--help") == 0
    assert "curate.source=null" in capsys.readouterr().out


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("with_ray", [False, True])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_is_recorded(tmp_path: Path, number: signal.Signals, with_ray: bool) -> None:
    script = tmp_path / "verb.py"
    script.write_text(
        "import time\n"
        "from hummingbird.config.command_line import run_verb\n"
        "from hummingbird.config.cluster import connect\n"
        "from hummingbird.lake.runs import open_run\n"
        "def main(settings, given):\n"
        "    with open_run(settings, 'curate') as run:\n"
        f"        if {with_ray}: connect(settings.ray)\n"
        "        print(run.folder, flush=True)\n"
        "        time.sleep(60)\n"
        "run_verb('curate', '', main)\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(script), "--storage", str(tmp_path), "ray.num_cpus=1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    folder = process.stdout.readline().strip()
    time.sleep(0.2)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert '"state": "interrupted"' in (Path(folder) / "result.json").read_text()
