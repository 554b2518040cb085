"""The questions that models are asked about clips: files with a version, shipped here or given by their path.

A prompt file is a YAML mapping: ``version``; ``asks``: describe or rewrite; ``text``, where ``$description`` and
``$original`` stand for the evidence of a rewriter; and, for answers that failed a check, ``again``, added to the text
(``$problem`` names the check), and ``temperature``. Whoever changes a text gives it a new version.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Literal

import yaml
from hummingbird.core.errors import InputError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

Asks = Literal["describe", "rewrite"]
_HOME = Path(__file__).parent
_EVIDENCE: dict[Asks, set[str]] = {"describe": set(), "rewrite": {"description", "original"}}


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: str = Field(min_length=1)
    asks: Asks
    text: str = Field(min_length=1)
    again: str = ""
    temperature: float = Field(0.7, gt=0, le=2)


@dataclass(frozen=True)
class Prompt:
    """``temperature`` is that of further tries; the first one is greedy. ``hash`` is the file's."""

    name: str
    version: str
    text: str
    again: str
    temperature: float
    hash: str

    @property
    def label(self) -> str:
        """What is recorded with a caption."""
        return f"{self.name}@{self.version}"

    def question(self, problem: str | None = None, **evidence: str) -> str:
        """The text to send. ``problem``: what was wrong with the last answer; ``evidence`` is put in as it is."""
        question = Template(self.text).substitute(evidence)
        return question + (Template(self.again).substitute(problem=problem) if problem else "")


def load_prompt(given: str, asks: Asks) -> Prompt:
    """The shipped prompt ``given``, or that of the file that it is the path of.

    Raises:
        InputError: no such prompt or file, one that cannot be read, or one for another step.
    """
    path = Path(given).expanduser() if given.endswith((".yaml", ".yml")) else _HOME / f"{given}.yaml"
    try:
        content = path.read_bytes()
        found = _File.model_validate(yaml.safe_load(content))
    except OSError as error:
        names = ", ".join(sorted(file.stem for file in _HOME.glob("*.yaml")))
        raise InputError(
            f"there is no prompt '{given}': give the path of a .yaml file, or one of {names}"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"the prompt {path} is no valid YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"the prompt {path}: {where}: {first['msg']}") from error
    if found.asks != asks:
        raise InputError(f"the prompt '{given}' asks to {found.asks}, one that asks to {asks} is needed")
    for text, allowed in ((found.text, _EVIDENCE[asks]), (found.again, {"problem"})):
        template = Template(text)
        if not template.is_valid() or not set(template.get_identifiers()) <= allowed:
            known = ", ".join(f"${name}" for name in sorted(allowed)) or "none"
            raise InputError(f"the prompt {path}: it may hold {known}; write $$ for a dollar sign")
    if asks == "rewrite" and "description" not in Template(found.text).get_identifiers():
        raise InputError(f"the prompt {path} must hold $description")
    return Prompt(
        path.stem,
        found.version,
        found.text,
        found.again,
        found.temperature,
        hashlib.sha256(content).hexdigest(),
    )
