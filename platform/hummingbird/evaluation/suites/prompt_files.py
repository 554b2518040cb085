"""Prompts from a file: lines of JSON, ``{"prompt": "a red panda eats bamboo", "seed": 3}``.

A line may have ``seeds`` (a list) in place of ``seed``, and ``dimensions``, the names of those that it asks for. A
prompt without a seed gets one from ``evaluate.seed`` and the number of its line.
"""

import hashlib
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from hummingbird.config.evaluate import EvaluateSettings
from hummingbird.config.section import Section
from hummingbird.core.errors import InputError
from hummingbird.evaluation.suites.base import EvaluationPrompt, Suite

Seed = Annotated[int, Field(ge=0, lt=2**63)]


class PromptLine(Section):
    """One line of a file of prompts."""

    prompt: str = Field(min_length=1)
    seed: Seed | None = None
    seeds: tuple[Seed, ...] = ()
    dimensions: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.seed is not None and self.seeds:
            raise ValueError("a line has seed or seeds, not both")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("the seeds of a line are distinct")
        self.prompt.encode()  # half a surrogate pair is no text; it raises a ValueError
        return self


def evaluation_prompts(
    settings: EvaluateSettings, suite: Suite, count: int | None = None
) -> list[EvaluationPrompt]:
    """The prompts of ``evaluate.prompts``: of the file, or that many of the suite's own.

    Args:
        count: in place of the setting's number; of a file as many, over and over where it has fewer.

    Raises:
        InputError: no such file, a line that is none, or a prompt that the suite cannot judge.
    """
    if isinstance(settings.prompts, int):
        prompts = list(suite.prompts(settings.prompts if count is None else count, settings.seed))
    else:
        prompts = read_prompts(settings.prompts, settings.seed)
        if count is not None:
            prompts = [prompts[place % len(prompts)] for place in range(count)]
    for prompt in prompts:
        suite.prompt_dimensions(prompt)
    return prompts


def read_prompts(path: Path, seed: int) -> list[EvaluationPrompt]:
    """The prompts of a file, their ids being the numbers of their lines, from 0001.

    Args:
        seed: makes the seeds of lines without one.

    Raises:
        InputError: there is no such file, no prompt in it, or a line that is none.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the prompts in {path}: {error}") from error
    prompts = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            read = PromptLine.model_validate_json(line, strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            raise InputError(
                f"{path}, line {number}: {f'{key}: ' if key else ''}{first['msg']}; "
                'a line is {"prompt": "...", "seed": 3}'
            ) from error
        seeds = read.seeds or (_stable_seed(seed, number) if read.seed is None else read.seed,)
        asks = frozenset(read.dimensions) if read.dimensions else None
        prompts.append(EvaluationPrompt(f"{number:04d}", read.prompt, seeds, asks))
    if not prompts:
        raise InputError(f'there is no prompt in {path}: a line is {{"prompt": "...", "seed": 3}}')
    return prompts


def _stable_seed(seed: int, line: int) -> int:
    """The same on every machine."""
    return int.from_bytes(hashlib.sha256(f"{seed} {line}".encode()).digest()[:4]) % 2**31
