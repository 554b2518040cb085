"""Files of prompts: what is read, and which lines are refused, by their number."""

import json
from pathlib import Path
from typing import Any

import pytest
from hummingbird.config.evaluate import EvaluateSettings
from hummingbird.config.plugins import NoSettings
from hummingbird.core.errors import InputError
from hummingbird.evaluation.score import Dimension
from hummingbird.evaluation.suites.base import EvaluationPrompt, Measurement, Suite
from hummingbird.evaluation.suites.prompt_files import evaluation_prompts, read_prompts


class Few(Suite):
    dimensions = (Dimension("light", 0, 1, 1, "quality"),)

    def prompts(self, count: int, seed: int) -> list[EvaluationPrompt]:
        return [EvaluationPrompt("1", "a lamp", (7,))][:count]

    def measure(self, frames: Any, prompt: EvaluationPrompt) -> Measurement:
        return Measurement({"light": 0.5})


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


def test_vbenchs_own_list_is_read_with_several_seeds_a_prompt(tmp_path: Path) -> None:
    path = tmp_path / "VBench_full_info.json"
    red = {"color": {"color": "red"}}
    entries = [
        {"prompt_en": "a red bicycle", "dimension": ["color"], "auxiliary_info": red, "video_list": []},
        {"prompt_en": "alley", "dimension": ["scene", "background_consistency"]},
        {"prompt_en": "a red bicycle", "dimension": ["subject_consistency"]},
    ]
    path.write_text(json.dumps(entries), encoding="utf-8")
    bicycle, alley = read_prompts(path, 0, 5)  # a prompt that stands there twice is one
    assert bicycle.asks == {"color", "subject consistency"}
    assert bicycle.auxiliary_info == red
    assert alley.asks == {"scene", "background consistency"}
    assert len(set(bicycle.seeds)) == len(set(alley.seeds)) == 5
    assert set(bicycle.seeds).isdisjoint(alley.seeds)
    assert bicycle.seeds[:1] == read_prompts(path, 0)[0].seeds  # more seeds leave the first as they were
    (own,) = evaluation_prompts(EvaluateSettings(prompts=1, seeds_per_prompt=3), Few(NoSettings()))
    assert own.seeds[0] == 7
    assert len(set(own.seeds)) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "entry Input should be a valid array"),
        ('[{"prompt_en": "x", "dimension": []}]', r"entry 0\.dimension"),
        ('[{"dimension": ["color"]}]', r"entry 0\.prompt_en: Field required"),
        ("[]", "there is no prompt in"),
    ],
)
def test_a_list_in_another_form_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_prompts(tmp_path / "list.json", 0)
