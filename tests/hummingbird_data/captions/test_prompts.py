"""Prompts are files with a version, and a wrong one is refused in a sentence."""

from pathlib import Path

import pytest
from hummingbird.core.errors import InputError
from hummingbird_data.captions.prompts import load_prompt


def test_the_shipped_prompts_load() -> None:
    assert load_prompt("shapes", "describe").question() == "Describe the video."
    assert load_prompt("describe", "describe").label == "describe@1"
    asked = load_prompt("rewrite", "rewrite").question(description="a $5 {note}", original="(none)")
    assert "Description: a $5 {note}\n" in asked
    assert "Old caption: (none)" in asked


def test_a_second_try_says_what_was_wrong() -> None:
    prompt = load_prompt("describe", "describe")
    assert "(3 sentences)" in prompt.question("3 sentences")
    assert prompt.question("3 sentences").startswith(prompt.question())
    assert load_prompt("shapes", "describe").question("refusal") == "Describe the video."


def test_a_prompt_of_ones_own_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text('version: "2b"\nasks: describe\ntext: What is it?\n')
    first = load_prompt(str(path), "describe")
    assert (first.label, first.question()) == ("mine@2b", "What is it?")
    path.write_text('version: "2b"\nasks: describe\ntext: What is that?\n')
    assert load_prompt(str(path), "describe").hash != first.hash


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("version: 1\nasks: describe\ntext: x\n", "version: Input should be a valid string"),
        ('version: "1"\nasks: describe\n', "text: Field required"),
        ('version: "1"\nasks: describe\ntext: x\nmore: y\n', "more: Extra inputs"),
        ('version: "1"\nasks: rewrite\ntext: $description\n', "one that asks to describe is needed"),
        ('version: "1"\nasks: describe\ntext: "$description"\n', "it may hold none"),
        ('version: "1"\nasks: describe\ntext: "5$"\n', "write \\$\\$"),
        ("a: [", "no valid YAML"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=problem):
        load_prompt(str(path), "describe")


def test_an_unknown_name_names_those_there_are() -> None:
    with pytest.raises(InputError, match=r"one of describe, rewrite, shapes"):
        load_prompt("describ", "describe")
