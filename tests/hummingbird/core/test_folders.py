"""Folders that appear whole or not at all."""

from pathlib import Path

import pytest
from hummingbird.core.folders import whole_folder


def test_a_folder_takes_the_place_of_the_former_one(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "a"
    for text in ("one", "two"):
        with whole_folder(folder) as work:
            (work / text).touch()
    assert [path.name for path in folder.iterdir()] == ["two"]


def test_after_an_error_the_former_one_stays_alone(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "a") as work:
        (work / "one").touch()

    def fail() -> None:
        with whole_folder(tmp_path / "a") as work:
            (work / "two").touch()
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "one"]
