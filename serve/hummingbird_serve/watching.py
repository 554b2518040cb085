"""Who waits for news of a video, and who else works on the jobs of a store."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping

from hummingbird_serve.answers import VideoObject
from hummingbird_serve.store import Claim
from hummingbird_serve.videos import Video


class Watchers:
    """Hands each change of a video to those who watch it. A step is never left out: news are whole answers."""

    def __init__(self, describe: Callable[[Video], VideoObject]) -> None:
        self._describe = describe
        self._news: dict[str, set[asyncio.Queue[VideoObject | None]]] = {}
        self._told: dict[str, tuple[object, ...]] = {}

    async def watch(self, video: Video) -> AsyncIterator[VideoObject]:
        """The video now and at every change of its state, steps or place, until it is finished or deleted."""
        news: asyncio.Queue[VideoObject | None] = asyncio.Queue()
        watchers = self._news.setdefault(video.id, set())
        watchers.add(news)
        answer: VideoObject | None = self._describe(video)
        try:
            while answer is not None:
                yield answer
                if answer.status not in ("queued", "in_progress"):
                    return
                answer = await news.get()
        finally:
            watchers.discard(news)
            if not watchers and self._news.get(video.id) is watchers:
                del self._news[video.id]
                self._told.pop(video.id, None)

    def tell(self, video: Video) -> None:
        """To be called when a video may have changed."""
        watchers = self._news.get(video.id)
        if not watchers:
            return
        answer = self._describe(video)
        now = (answer.status, answer.step, answer.queue_position)
        if self._told.get(video.id) != now:
            self._told[video.id] = now
            for news in watchers:
                news.put_nowait(answer)

    def tell_all(self, videos: Mapping[str, Video]) -> None:
        """To be called when places may have changed."""
        for name in list(self._news):
            if (video := videos.get(name)) is not None:
                self.tell(video)

    def end(self, video_id: str) -> None:
        """To be called when a video was deleted."""
        for news in self._news.get(video_id, ()):
            news.put_nowait(None)


class Owners:
    """Which other servers live. Clocks of machines differ, so a sign of life counts when it is seen to change."""

    def __init__(self, lease_seconds: float) -> None:
        self._lease_seconds = lease_seconds
        self._signs: dict[str, tuple[int, float, dict[str, int]]] = {}

    def see(self, signs: Mapping[str, tuple[int, dict[str, int]]]) -> None:
        """Takes in the signs of life that are there now, with the steps done of each job."""
        now = time.monotonic()
        self._signs = {
            name: (count, known[1] if (known := self._signs.get(name)) and known[0] == count else now, steps)
            for name, (count, steps) in signs.items()
        }

    def holds(self, claim: Claim) -> bool:
        """Whether a claim of another server still stands."""
        return not claim.released and self._age(claim.owner) < self._lease_seconds

    def steps(self, claim: Claim, job_id: str) -> int | None:
        """Steps done under the claim, as far as its owner has told; none: not begun."""
        sign = self._signs.get(claim.owner)
        return None if sign is None or claim.released else sign[2].get(job_id)

    def alive(self) -> bool:
        """Whether any other server lives, as far as is known."""
        return any(self._age(name) < self._lease_seconds for name in self._signs)

    def dead(self) -> list[str]:
        """Those that have been silent for twice the time after which their claims fall."""
        return [name for name in self._signs if self._age(name) > 2 * self._lease_seconds]

    def _age(self, name: str) -> float:
        sign = self._signs.get(name)
        return float("inf") if sign is None else time.monotonic() - sign[1]
