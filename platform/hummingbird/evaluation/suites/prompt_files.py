"""Prompts from a file: lines of JSON, ``{"prompt": "a red panda eats bamboo", "seed": 3}``, or VBench's own list.

A line may have ``seeds`` (a list) in place of ``seed``, ``dimensions``, the names of those that it asks for, and
``auxiliary_info``, what is to be seen (as in VBench's list). ``original`` is what was asked for where the prompt was
rewritten: models get the prompt, judges the original, and results count such lines. A prompt without a seed gets
``evaluate.seeds_per_prompt`` of them, from ``evaluate.seed`` and the number of its line. A file ``.json`` is a list in
the form of VBench's ``VBench_full_info.json``: ``prompt_en``, ``dimension`` and ``auxiliary_info``.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, model_validator

from hummingbird.config.evaluate import EvaluateSettings
from hummingbird.config.section import Section
from hummingbird.core.errors import InputError
from hummingbird.evaluation.suites.base import EvaluationPrompt, Suite

Seed = Annotated[int, Field(ge=0, lt=2**63)]


class ListedPrompt(BaseModel):
    """One entry of VBench's list; what else an entry has (``prompt_cn``, ``video_list``) is not read."""

    prompt_en: str = Field(min_length=1)
    dimension: tuple[str, ...] = Field(min_length=1)
    auxiliary_info: dict[str, Any] = Field(default_factory=dict)


class PromptLine(Section):
    """One line of a file of prompts."""

    prompt: str = Field(min_length=1)
    seed: Seed | None = None
    seeds: tuple[Seed, ...] = ()
    dimensions: tuple[str, ...] = ()
    auxiliary_info: dict[str, Any] = Field(default_factory=dict)
    original: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.seed is not None and self.seeds:
            raise ValueError("a line has seed or seeds, not both")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("the seeds of a line are distinct")
        f"{self.prompt}{self.original}".encode()  # half a surrogate pair is no text; it raises a ValueError
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
    several = settings.seeds_per_prompt
    if isinstance(settings.prompts, int):
        own = suite.prompts(settings.prompts if count is None else count, settings.seed)
        prompts = [_with_seeds(prompt, several) for prompt in own]
    else:
        prompts = read_prompts(settings.prompts, settings.seed, several)
        if count is not None:
            prompts = [prompts[place % len(prompts)] for place in range(count)]
    for prompt in prompts:
        suite.prompt_dimensions(prompt)
    return prompts


def read_prompts(path: Path, seed: int, seeds_per_prompt: int = 1) -> list[EvaluationPrompt]:
    """The prompts of a file, their ids being the numbers of their lines or entries, from 0001.

    Args:
        seed: makes the seeds of lines without any, ``seeds_per_prompt`` each.

    Raises:
        InputError: there is no such file, no prompt in it, or a line that is none.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the prompts in {path}: {error}") from error
    read = _listed(path, text) if path.suffix == ".json" else _lines(path, text)
    prompts = []
    for number, line in read:
        own = line.seeds or (() if line.seed is None else (line.seed,))
        seeds = own or tuple(_stable_seed(seed, number, place) for place in range(seeds_per_prompt))
        asks = frozenset(line.dimensions) if line.dimensions else None
        prompts.append(
            EvaluationPrompt(f"{number:04d}", line.prompt, seeds, asks, line.auxiliary_info, line.original)
        )
    if not prompts:
        raise InputError(f'there is no prompt in {path}: a line is {{"prompt": "...", "seed": 3}}')
    return prompts


def _lines(path: Path, text: str) -> Iterator[tuple[int, PromptLine]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield number, PromptLine.model_validate_json(line, strict=True)
        except ValidationError as error:
            raise InputError(
                f'{path}, line {number}: {_first(error)}; a line is {{"prompt": "...", "seed": 3}}'
            ) from error


def _listed(path: Path, text: str) -> Iterator[tuple[int, PromptLine]]:
    """VBench's list has a prompt twice where two lists of dimensions share it: it is one prompt with both."""
    try:
        entries = TypeAdapter(list[ListedPrompt]).validate_json(text)
    except ValidationError as error:
        raise InputError(
            f"{path}: entry {_first(error)}; a file .json is a list as VBench_full_info.json, of "
            '{"prompt_en": "...", "dimension": ["color"], "auxiliary_info": {...}}'
        ) from error
    merged: dict[str, tuple[int, PromptLine]] = {}
    for number, entry in enumerate(entries, 1):
        first, before = merged.get(entry.prompt_en, (number, PromptLine(prompt=entry.prompt_en)))
        names = tuple(name.replace("_", " ") for name in entry.dimension)
        merged[entry.prompt_en] = (
            first,
            PromptLine(
                prompt=entry.prompt_en,
                dimensions=(*before.dimensions, *names),
                auxiliary_info={**before.auxiliary_info, **entry.auxiliary_info},
            ),
        )
    yield from merged.values()


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    return f"{f'{key}: ' if key else ''}{first['msg']}"


def _with_seeds(prompt: EvaluationPrompt, several: int) -> EvaluationPrompt:
    """A prompt with more seeds, made from its first, where it has fewer than ``several``."""
    more = (_stable_seed(prompt.seeds[0], 0, place) for place in range(len(prompt.seeds), several))
    return replace(prompt, seeds=(*prompt.seeds, *more))


def _stable_seed(seed: int, line: int, place: int = 0) -> int:
    """The same on every machine."""
    text = f"{seed} {line}" if place == 0 else f"{seed} {line} {place}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % 2**31
