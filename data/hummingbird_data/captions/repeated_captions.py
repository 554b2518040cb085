"""One text on many clips that are nothing like each other: what a captioner writes that does not look.

Clips are taken in their order, and what is said of one depends on those before it alone: neither where a batch ends nor
where a run was broken off changes it. Clips that look alike may have one caption, however many they are.
"""

import hashlib
from collections import deque

import numpy as np
from hummingbird.core.errors import InputError

from hummingbird_data.captions.caption_answer import words_of
from hummingbird_data.copies.embedding import SIZE, distances, vectors
from hummingbird_data.runtime.temporary import TemporaryDatabase

_FEW = (
    2  # unlike clips that may have one caption whatever their share: of 200 of the small world at most 3 had
)
_UNLIKE = 45.0  # distance of embeddings; other clips are 81 apart in the middle
_MOST = 64  # unlike clips of a text that are remembered; more are counted
_WINDOW, _ENOUGH = 100, 20  # last clips that are looked at, and how many there must be to stop a run
_STOP = 0.15  # share of them with such captions at which it stops
_GROWN = 2  # times the share, among the last clips: of a large library the whole share would come too late

_TABLES = """
    CREATE TABLE clip (clip_id TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE text (hash BLOB PRIMARY KEY, unlike INTEGER, vectors BLOB) WITHOUT ROWID;
"""


class RepeatedCaptions(TemporaryDatabase):
    """The captions of a run so far. ``share``: most clips, unlike each other, that may have one caption."""

    def __init__(self, share: float) -> None:
        super().__init__(_TABLES)
        self.share = share
        self._count = 0
        self._last: deque[bool] = deque(maxlen=_WINDOW)
        self._texts: deque[bytes | None] = deque(
            maxlen=_WINDOW
        )  # of the last clips, where unlike those before

    def add(self, clip_id: str, caption: str, embedding: str | None) -> bool:
        """Takes in a clip's caption; returns whether it stands on too many clips that are nothing like each other."""
        if not self.database.execute("INSERT OR IGNORE INTO clip VALUES (?)", (clip_id,)).rowcount:
            return False
        self._count += 1
        key = hashlib.sha256(" ".join(words_of(caption)).encode()).digest()[:16]
        before, unlike = self._unlike(key, embedding)
        self._texts.append(key if unlike > before else None)
        lately = self._texts.count(key) > _GROWN * max(_FEW, self.share * _WINDOW)
        over = lately or unlike > max(_FEW, self.share * self._count)
        self._last.append(over)
        return over

    def check(self, captioner: str) -> None:
        """Raises InputError where the last captions say little of their clips."""
        marked = sum(self._last)
        if len(self._last) >= _ENOUGH and marked >= _STOP * len(self._last):
            raise InputError(
                f"{captioner} gives clips that are nothing like each other the same captions ({marked} of the last "
                f"{len(self._last)}): look at models.captioner and its prompt. What is committed stays; "
                "curate.caption_share=1 lets such captions pass"
            )

    def _unlike(self, key: bytes, embedding: str | None) -> tuple[int, int]:
        """How many clips with this text are unlike all before them, without this one and with it."""
        row = self.database.execute("SELECT unlike, vectors FROM text WHERE hash = ?", (key,)).fetchone()
        count, known = row or (0, b"")
        vector = vectors([embedding])[0] if embedding is not None else None
        if vector is not None and known:
            others = np.frombuffer(known, np.int8).reshape(-1, SIZE)
            if distances(vector, others).min() <= _UNLIKE:
                return int(count), int(count)
        if vector is not None and len(known) < _MOST * SIZE:
            known += vector.tobytes()
        self.database.execute("INSERT OR REPLACE INTO text VALUES (?, ?, ?)", (key, count + 1, known))
        return int(count), int(count) + 1
