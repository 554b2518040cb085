"""Files of prompts: what is read, and which lines are refused, by their number."""

from pathlib import Path

import pytest
from hummingbird.core.errors import InputError
from hummingbird.evaluation.suites.prompt_files import read_prompts


def written(folder: Path, text: str) -> Path:
    path = folder / "prompts.jsonl"
    path.write_text(text, encoding="utf-8")
    return path


def test_lines_have_ids_and_seeds_that_stay(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        '{"prompt": "a dog", "seed": 3}\n\n{"prompt": "a cat"}\r\n'
        '{"prompt": "\\ud83d\\ude00", "seeds": [1, 2], "dimensions": ["color"]}',
    )
    first, second, third = read_prompts(path, 0)
    assert (first.id, first.text, first.seeds, first.asks) == ("0001", "a dog", (3,), None)
    assert (third.id, third.text, third.seeds, third.asks) == ("0004", "😀", (1, 2), frozenset({"color"}))
    assert second.seeds == read_prompts(path, 0)[1].seeds != read_prompts(path, 1)[1].seeds
    assert second.seeds == (1555872425,)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a dog", "line 2: Invalid JSON"),
        ('"a dog"', "line 2:"),
        ('{"prompt": ""}', "line 2: prompt:"),
        ('{"text": "a dog"}', "line 2: prompt: Field required"),
        ('{"prompt": "x", "sead": 1}', "line 2: sead:"),
        ('{"prompt": "x", "seed": -1}', "line 2: seed:"),
        ('{"prompt": "x", "seed": "1"}', "line 2: seed:"),
        ('{"prompt": "x", "seed": 1, "seeds": [2]}', "line 2:.*not both"),
        ('{"prompt": "x", "seeds": [2, 2]}', "line 2:.*distinct"),
        ('{"prompt": "\\ud800"}', "line 2:"),
    ],
)
def test_a_line_that_is_no_prompt_is_named(line: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_prompts(written(tmp_path, f'{{"prompt": "a dog"}}\n{line}\n'), 0)


def test_a_file_without_prompts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no prompt in"):
        read_prompts(written(tmp_path, "\n"), 0)
    with pytest.raises(InputError, match="cannot read the prompts"):
        read_prompts(tmp_path / "none.jsonl", 0)
