"""What is wrong with the text that a model wrote about a clip: empty, refused, the wrong language, too long, ....

The checks need no model that looks at pictures. They look for text that is no caption; whether a caption is true they
cannot tell. `CHECKS` is the list of them, in order; settings name further ones by their import path.
"""

import pkgutil
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from hummingbird.core.errors import InputError

from hummingbird_data.captions.caption_answer import Answer, Check, words_of
from hummingbird_data.captions.caption_language import foreign_letters, other_language, unseen_letters
from hummingbird_data.captions.caption_refusals import refusal
from hummingbird_data.captions.caption_repeats import doubled_words, repetition
from hummingbird_data.captions.caption_wrapping import chat, labels, markup, speaks_of_video

_MIN_WORDS, _MAX_SENTENCES = 3, 2
_MAX_NEW = 0.5  # share of a rewritten caption's longer words that the description does not have
_LABEL = re.compile(r"^(?:rewritten |new )?(?:caption|description|answer)\s*:\s*", re.IGNORECASE)
_PIECES = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|[^\s\w]+|_+")
_HYPHENS = str.maketrans("\u2010\u2011\u2212", "---")  # that models write for plain ones
_LETTERS_A_TOKEN = 6
_LAST_WORDS = "a an the and or but nor of with into their my your while because than"
_UNFINISHED = frozenset(_LAST_WORDS.split())


def too_short(answer: Answer) -> str | None:
    """Fewer words than a caption has."""
    count = len(answer.words)
    return None if count >= _MIN_WORDS else f"{count} words" if count else "empty"


def unfinished(answer: Answer) -> str | None:
    """Ends with a word that no sentence ends with."""
    last = answer.words[-1] if answer.words and answer.language == "en" else ""
    return "cut off" if last in _UNFINISHED else None


CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        check.__name__: check
        for check in (
            too_short, refusal, unseen_letters, foreign_letters, other_language, markup, labels, chat, repetition,
            doubled_words, unfinished,
        )
    }
)  # fmt: skip
"""The checks of every answer, by name. Those of captions alone (`speaks_of_video`, their length) come after them."""


@dataclass(frozen=True)
class CaptionChecks:
    """``max_tokens``: start and end included; ``tokenizer``: the folder of the one that counts, or an estimate;
    ``more``: further checks of captions, each ``module:function``, a `Check`."""

    max_tokens: int = 77
    tokenizer: Path | None = None
    language: Literal["en", "any"] = "en"
    more: Sequence[str] = ()

    def description(self, text: str) -> str | None:
        """What is wrong with a description that a rewriter makes a caption of, or None."""
        answer = Answer(text, self.language)
        return next((problem for check in CHECKS.values() if (problem := check(answer))), None)

    def caption(self, text: str, description: str | None = None) -> str | None:
        """What is wrong with a caption, or None.

        ``description``: what the captioner said of the frames, where ``text`` was rewritten from it: a caption of
        mostly other words tells what nobody saw.
        """
        problem = self.description(text)
        if problem is not None:
            return problem
        answer = Answer(text, self.language)
        for check in (speaks_of_video, *map(load_check, self.more)):
            problem = check(answer)
            if problem is not None:
                return problem
        count = self.tokens(text)
        if count > self.max_tokens:
            return f"{count} tokens"
        if len(answer.sentences) > _MAX_SENTENCES:
            return f"{len(answer.sentences)} sentences"
        if description is not None and _share_new(text, description) > _MAX_NEW:
            return "not from the description"
        return None

    def tokens(self, text: str) -> int:
        """Tokens of the text encoder with start and end; without a tokenizer rather too many than too few."""
        if self.tokenizer is None:
            return clip_tokens(text)
        return len(_tokenizer(self.tokenizer)(text, truncation=False)["input_ids"])


@cache
def load_check(path: str) -> Check:
    """The check of an import path ``module:function``.

    Raises:
        InputError: there is none.
    """
    try:
        check: Check = pkgutil.resolve_name(path)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"curate.caption_checks: there is no function {path} ({error})") from error
    if not callable(check):
        raise InputError(f"curate.caption_checks: {path} is no function")
    return check


def tidy(text: str) -> str:
    """The text with single spaces, without a label ("Caption:") before it or quotes around it."""
    text = _LABEL.sub("", " ".join(text.translate(_HYPHENS).split()))
    pairs = {'"': '"', "'": "'", "“": "”", "*": "*"}
    while len(text) > 1 and pairs.get(text[0]) == text[-1] and text[0] not in text[1:-1]:
        text = text[1:-1].strip()
    return text


def clip_tokens(text: str) -> int:
    """An estimate of CLIP's count, start and end included: its pieces of text, long words as several tokens."""
    pieces = _PIECES.findall(text.lower())
    return 2 + sum(max(1, -(-len(p) // _LETTERS_A_TOKEN)) if p.isascii() else 2 * len(p) for p in pieces)


def _share_new(text: str, description: str) -> float:
    """Share of the longer words of ``text`` that begin as no word of ``description`` does."""
    known = {word[:4] for word in words_of(description)}
    content = {word[:4] for word in words_of(text) if len(word) > 3}
    return len(content - known) / len(content) if content else 0.0


@cache
def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(folder))
