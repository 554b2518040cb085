"""Every reference case through the importer, and the command that compares them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hummingbird.importing.unet import our_config, published_table
from parity import compare, main

PARITY = Path(__file__).parents[2] / "parity"
CASES = sorted(path.stem for path in PARITY.glob("*.json"))


@pytest.mark.parametrize("case", CASES)
def test_a_published_implementation_is_reproduced(case: str) -> None:
    outputs = compare(PARITY / f"{case}.json")
    assert outputs
    assert not [one for one in outputs if not one.within]


@pytest.mark.parametrize("case", [case for case in CASES if case.endswith("_unet")])
def test_the_table_of_names_is_the_published_list_in_its_order(case: str) -> None:
    about = json.loads((PARITY / f"{case}.json").read_text())
    assert [entry.source for entry in published_table(our_config(about["config"]))] == list(
        about["state_dict"]
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for kind in ("json", "npz"):
        shutil.copyfile(PARITY / f"ddim_solver.{kind}", tmp_path / f"ddim_solver.{kind}")
    return tmp_path


def changed(folder: Path, **arrays: object) -> None:
    with np.load(folder / "ddim_solver.npz") as stored:
        kept = {name: stored[name] for name in stored}
    np.savez(folder / "ddim_solver.npz", **{**kept, **arrays})


def test_the_command_prints_each_difference_and_succeeds(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(folder)]) == 0
    assert "ddim_timesteps" in capsys.readouterr().out


def test_the_command_fails_past_tolerance_and_for_nan(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with np.load(folder / "ddim_solver.npz") as stored:
        expected = stored["out_x_prev"].copy()
    for spoiled in (expected * 1.001, np.full_like(expected, np.nan), expected[:1]):
        changed(folder, out_x_prev=spoiled)
        assert main([str(folder)]) == 1
        assert "PAST" in capsys.readouterr().out


def test_an_output_that_nothing_compares_is_not_passed_over(folder: Path) -> None:
    changed(folder, out_more=np.zeros(1))
    assert main([str(folder)]) == 2


def test_a_case_that_cannot_be_used_does_not_hide_the_others(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "another.json").write_text('{"config": {"unheard": 1}, "state_dict": {}}')
    np.savez(folder / "another.npz", out_x=np.zeros(1))
    assert main([str(folder)]) == 2
    shown = capsys.readouterr().out
    assert "no known kind" in shown
    assert "x_prev" in shown


def test_a_folder_without_cases_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "no cases" in capsys.readouterr().err
