"""What is added most often costs one short file."""

from pathlib import Path


def test_every_extension_is_one_file_of_at_most_60_lines() -> None:
    lengths = {
        path.name: len(path.read_text(encoding="utf-8").splitlines())
        for path in Path(__file__).parent.glob("*.py")
        if path.name != "conftest.py" and not path.name.startswith("test_")
    }
    assert len(lengths) >= 5
    assert {name: length for name, length in lengths.items() if length > 60} == {}
