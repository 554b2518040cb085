"""What is wrong with the text that a model wrote about a clip: empty, refused, the wrong language, too long, ....

The checks need no model. They look for text that is no caption; whether a caption is true they cannot tell.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

_MIN_WORDS, _MAX_REPEATS, _MAX_SENTENCES = 3, 3, 2
_MAX_NEW = 0.5  # share of a rewritten caption's longer words that the description does not have
_REFUSAL = re.compile(
    r"\b(i am|i'm) (sorry|afraid|unable|not able)\b|\bas an? (ai|language model)\b"
    r"|\bi (can not|cannot|can't|could not|couldn't|do not|don't) "
    r"(see|view|help|assist|provide|describe|identify|determine|watch|access|comply|have)\b"
    r"|\bno (images?|frames?|videos?|description|captions?) (was|were|is|are|has been|have been)?\b ?"
    r"(provided|given|attached|available|visible)"
    r"|\bplease (provide|share|upload)\b|\bunable to (see|view|describe|determine)\b"
)
_THING = (
    r"((short|first|last|second|next|final|video) )?(video|clip|footage|image|picture|frame|photo|sequence)s?"
)
_SHOWS = r"(shows?|depicts?|features?|captures?|displays?|begins?|starts?|presents?|portrays?|illustrates?|focuses)"
_SPEAKS = re.compile(
    rf"\b(the|this|these|each|a|an) {_THING} ((primarily|mainly|simply|also) )?{_SHOWS}\b"
    rf"|\bin (the|this|these) {_THING}\b|^(a|an|this is an?) ((short|brief) )?{_THING} (of|showing)\b|\bwe (can )?see\b"
)
_ENGLISH_WORDS = """
a an and are as at be behind by for from her his in into is it its near no of off on onto one over out the their them
there through to two under up while with
"""
_OTHER_WORDS = """
aus avec che con das dans de dei del della den der des die du ein eine el en est et il ist la las le les lo los mit nel
och oder og para per por pour sie sont su sur um una und une uno van voor y zu
"""
_ENGLISH, _OTHER = frozenset(_ENGLISH_WORDS.split()), frozenset(_OTHER_WORDS.split())
_LABEL = re.compile(r"^(?:rewritten |new )?(?:caption|description|answer)\s*:\s*", re.IGNORECASE)
_PIECES = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|[^\s\w]+|_+")
_LETTERS_A_TOKEN = 6


@dataclass(frozen=True)
class CaptionChecks:
    """``max_tokens``: start and end included; ``tokenizer``: the folder of the one that counts, or an estimate."""

    max_tokens: int = 77
    tokenizer: Path | None = None
    language: Literal["en", "any"] = "en"

    def description(self, text: str) -> str | None:
        """What is wrong with a description that a rewriter makes a caption of, or None."""
        words = _words(text)
        if len(words) < _MIN_WORDS:
            return f"{len(words)} words" if words else "empty"
        plain = " ".join(text.lower().replace("’", "'").split())
        if _REFUSAL.search(plain):
            return "refusal"
        if self.language == "en" and not _is_english(text, words):
            return "not English"
        return "repetition" if _repeats(words) else None

    def caption(self, text: str, described: str | None = None) -> str | None:
        """What is wrong with a caption, or None.

        ``described``: what the captioner said of the frames, where ``text`` was rewritten from it: a caption of mostly
        other words tells what nobody saw.
        """
        problem = self.description(text)
        if problem is not None:
            return problem
        if _SPEAKS.search(" ".join(text.lower().split())):
            return "speaks of the video"
        count = self.tokens(text)
        if count > self.max_tokens:
            return f"{count} tokens"
        sentences = [part for part in re.split(r"[.!?]+(?:\s+|$)|\n+", text.strip()) if part.strip()]
        if len(sentences) > _MAX_SENTENCES:
            return f"{len(sentences)} sentences"
        if described is not None and _share_new(text, described) > _MAX_NEW:
            return "not from the description"
        return None

    def tokens(self, text: str) -> int:
        """Tokens of the text encoder with start and end; without a tokenizer rather too many than too few."""
        if self.tokenizer is None:
            return clip_tokens(text)
        return len(_tokenizer(self.tokenizer)(text, truncation=False)["input_ids"])


def tidy(text: str) -> str:
    """The text with single spaces, without a label ("Caption:") before it or quotes around it."""
    text = _LABEL.sub("", " ".join(text.split()))
    pairs = {'"': '"', "'": "'", "“": "”", "*": "*"}
    while len(text) > 1 and pairs.get(text[0]) == text[-1] and text[0] not in text[1:-1]:
        text = text[1:-1].strip()
    return text


def clip_tokens(text: str) -> int:
    """An estimate of CLIP's count, start and end included: its pieces of text, long words as several tokens."""
    pieces = _PIECES.findall(text.lower())
    return 2 + sum(max(1, -(-len(p) // _LETTERS_A_TOKEN)) if p.isascii() else 2 * len(p) for p in pieces)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text.lower())


def _is_english(text: str, words: Sequence[str]) -> bool:
    """By its letters and by the small words that no text of some length goes without."""
    letters = [letter for letter in text if letter.isalpha()]
    if sum(letter.isascii() for letter in letters) < 0.9 * len(letters):
        return False
    english, other = (sum(word in known for word in words) for known in (_ENGLISH, _OTHER))
    return other <= english and (english > 0 or len(words) < 12)


def _repeats(words: Sequence[str]) -> bool:
    """One word over and over, or a phrase of three words more than twice in a row of text."""
    runs = (words[i : i + _MAX_REPEATS] for i in range(len(words) - _MAX_REPEATS + 1))
    if any(len(set(run)) == 1 for run in runs):
        return True
    phrases = Counter(zip(words, words[1:], words[2:], strict=False))
    return max(phrases.values(), default=0) > 2


def _share_new(text: str, described: str) -> float:
    """Share of the longer words of ``text`` that begin as no word of ``described`` does."""
    known = {word[:4] for word in _words(described)}
    content = {word[:4] for word in _words(text) if len(word) > 3}
    return len(content - known) / len(content) if content else 0.0


@cache
def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(folder))
