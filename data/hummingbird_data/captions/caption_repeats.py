"""Words, phrases and sentences that a model says twice."""

import re
from collections import Counter
from collections.abc import Sequence

from hummingbird_data.captions.caption_answer import Answer, words_of

_LONGEST = 6  # words of a phrase that is said twice in a row
# What is said twice in good English: names of things, and words that mean more of it.
_DOUBLE_WORDS = """
aye bora bye can cha chop choo dik extra far go ha had hip hula knock long many more much night paw pom puff row so that
tuk very walla york yo yum
"""
_TWICE = frozenset(_DOUBLE_WORDS.split())
_LINKS = frozenset(("and", "by"))  # "round and round and round", "side by side by side"
_STOPS = re.compile(r"[.!?;:]+(?:\s+|$)|\n+")


def doubled_words(answer: Answer) -> str | None:
    """A word or a phrase twice in a row within a sentence, or a sentence twice."""
    sentences = [words_of(part) for part in _STOPS.split(answer.text)]
    whole = [words for words in sentences if len(words) > 1]
    if len(set(whole)) < len(whole) or any(_doubled(words) for words in sentences):
        return "doubled words"
    return None


def repetition(answer: Answer) -> str | None:
    """One word over and over, or a phrase of three words more than twice in a text."""
    words = answer.words
    if any(len(set(words[at : at + 3])) == 1 for at in range(len(words) - 2)):
        return "repetition"
    phrases = Counter(zip(words, words[1:], words[2:], strict=False))
    return "repetition" if max(phrases.values(), default=0) > 2 else None


def _doubled(words: Sequence[str]) -> bool:
    for length in range(1, _LONGEST + 1):
        for at in range(len(words) - 2 * length + 1):
            once = words[at : at + length]
            again = once == words[at + length : at + 2 * length]
            if again and not (length == 1 and once[0] in _TWICE) and not (length == 2 and set(once) & _LINKS):
                return True
    return False
