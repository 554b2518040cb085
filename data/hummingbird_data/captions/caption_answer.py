"""A model's answer as the checks of captions see it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

_QUOTED = re.compile(r"“[^”]*”|\"[^\"]*\"|«[^»]*»")
_SENTENCE_ENDS = re.compile(r"[.!?]+(?:\s+|$)")


@dataclass(frozen=True)
class Answer:
    """``text``: what a model wrote about a clip, tidied; ``language``: the one that it must be in, or any."""

    text: str
    language: Literal["en", "any"] = "en"

    @cached_property
    def spoken(self) -> str:
        """The text without what stands in quotation marks: a sign may say what no caption does."""
        return " ".join(_QUOTED.sub('""', self.text).split())

    @cached_property
    def plain(self) -> str:
        """`spoken` in small letters, with straight apostrophes."""
        return self.spoken.lower().replace("’", "'").replace("ʼ", "'")

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The words of the text in small letters."""
        return words_of(self.text)

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """The sentences of the text."""
        return tuple(part.strip() for part in _SENTENCE_ENDS.split(self.text) if part.strip())


Check = Callable[[Answer], str | None]
"""What is wrong with an answer, in a word or two that the model may be told, or None."""


def words_of(text: str) -> tuple[str, ...]:
    """Words in small letters, hyphens and apostrophes within them."""
    return tuple(re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text.lower()))
