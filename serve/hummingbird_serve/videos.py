"""The videos of a server: records and mp4 files in a bounded store, and the tasks that make them."""

import asyncio
import json
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from hummingbird.core.files import AnyPath, write_atomically

from hummingbird_serve.requests import APIError, Event, Failure, Progress, Result, VideoRequest

Status = Literal["queued", "in_progress", "completed", "failed"]
Generate = Callable[[VideoRequest], AsyncIterator[Event]]
"""Makes one video: progress, then a result or a failure."""

WATCH_SECONDS = 0.05

logger = logging.getLogger(__name__)


@dataclass
class Video:
    """A video, from the request on. Times are Unix seconds."""

    request: VideoRequest
    created_at: int
    id: str = field(default_factory=lambda: f"video_{secrets.token_hex(16)}")
    status: Status = "queued"
    progress: int = 0
    """Percent."""
    completed_at: int | None = None
    expires_at: int | None = None
    error: str | None = None
    generation_seconds: float | None = None
    """From prompt to mp4, of the pass that made it."""
    batch_size: int | None = None
    """Videos that shared the pass."""

    @property
    def finished(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in ("completed", "failed")

    def as_json(self) -> dict[str, Any]:
        """The video object of OpenAI's API, with this server's own fields."""
        return {
            **asdict(self.request),
            "id": self.id,
            "object": "video",
            "status": self.status,
            "progress": self.progress,
            "created_at": self.created_at,
            "completed_at": self.completed_at,
            "expires_at": self.expires_at,
            "error": {"code": "generation_failed", "message": self.error} if self.error else None,
            "remixed_from_video_id": None,
            "generation_seconds": self.generation_seconds,
            "batch_size": self.batch_size,
        }


class VideoStore:
    """At most ``max_videos`` videos, each for ``keep_seconds`` after it finished; files in one folder.

    Files are named by the server's own ids. A new store on the same folder finds what was there; what had
    not finished by then has failed, and what cannot be read (of another version, or without its file) goes.
    """

    def __init__(
        self, folder: AnyPath, max_videos: int, keep_seconds: float, clock: Callable[[], float] = time.time
    ) -> None:
        self.folder, self.max_videos, self.keep_seconds, self.clock = folder, max_videos, keep_seconds, clock
        folder.mkdir(parents=True, exist_ok=True)
        self._videos: dict[str, Video] = {}
        stored = [video for path in folder.glob("video_*.json") if (video := self._read(path)) is not None]
        for video in sorted(stored, key=lambda video: video.created_at):
            self._videos[video.id] = video
            if not video.finished:
                self.fail(video, "the server was stopped before the video was made")

    def add(self, request: VideoRequest) -> Video:
        """A new video, queued. Makes room by removing the oldest finished ones."""
        self.sweep()
        finished = [video for video in self._videos.values() if video.finished]
        surplus = max(0, len(self._videos) + 1 - self.max_videos)
        for video in finished[:surplus]:
            self.delete(video.id)
        video = Video(request, created_at=int(self.clock()))
        self._videos[video.id] = video
        self._save(video)
        return video

    def get(self, video_id: str) -> Video:
        """The video of that id.

        Raises:
            APIError: 404.
        """
        self.sweep()
        video = self._videos.get(video_id)
        if video is None:
            raise APIError(404, "there is no video of this id", "video_id", "video_not_found")
        return video

    def all(self) -> list[Video]:
        """All videos, oldest first."""
        self.sweep()
        return list(self._videos.values())

    def content(self, video: Video) -> AnyPath:
        """Where the mp4 file of a completed video is."""
        return self.folder / f"{video.id}.mp4"

    def complete(self, video: Video, result: Result) -> None:
        """Keeps the file and marks the video completed; nothing happens if it was deleted."""
        if video.id not in self._videos:
            return
        write_atomically(self.content(video), result.mp4)
        video.progress, video.generation_seconds = 100, round(result.seconds, 3)
        video.batch_size = result.batch_size
        self._finish(video, "completed")

    def fail(self, video: Video, message: str) -> None:
        """Marks the video failed; nothing happens if it was deleted."""
        if video.id not in self._videos:
            return
        video.error = message
        self._finish(video, "failed")

    def delete(self, video_id: str) -> None:
        """Removes a video and its files; nothing happens if it is gone already."""
        video = self._videos.pop(video_id, None)
        if video is not None:
            self.content(video).unlink(missing_ok=True)
            self._record(video).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Removes what has expired."""
        now = self.clock()
        expired = [v.id for v in self._videos.values() if v.expires_at is not None and v.expires_at <= now]
        for video_id in expired:
            self.delete(video_id)

    def _finish(self, video: Video, status: Status) -> None:
        now = self.clock()
        video.status, video.completed_at, video.expires_at = status, int(now), int(now + self.keep_seconds)
        self._save(video)

    def _record(self, video: Video) -> AnyPath:
        return self.folder / f"{video.id}.json"

    def _save(self, video: Video) -> None:
        write_atomically(self._record(video), json.dumps(asdict(video)).encode())

    def _read(self, path: AnyPath) -> Video | None:
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            video = Video(**{**fields, "request": VideoRequest(**fields["request"])})
            if video.status != "completed" or self.content(video).is_file():
                return video
            problem = "its mp4 file is gone"
        except (ValueError, TypeError, KeyError) as error:
            problem = f"{type(error).__name__}: {error}"
        logger.warning("removing the video %s, which cannot be kept: %s", path.stem, problem)
        path.with_suffix(".mp4").unlink(missing_ok=True)
        path.unlink()
        return None


class VideoJobs:
    """Makes the videos of a store, at most ``max_queued`` waiting or in work. Belongs to one event loop.

    Args:
        store: where they are kept.
        generators: what makes them, by the name of the model.
        max_queued: bound of the queue.
    """

    def __init__(self, store: VideoStore, generators: Mapping[str, Generate], max_queued: int) -> None:
        self.store, self.generators, self.max_queued = store, generators, max_queued
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def create(self, request: VideoRequest) -> Video:
        """Queues a video.

        Raises:
            APIError: 429 when the queue is full.
        """
        if len(self._tasks) >= self.max_queued:
            message = f"{len(self._tasks)} videos are waiting already; try again in a few seconds"
            raise APIError(429, message, None, "queue_full")
        video = self.store.add(request)
        task = asyncio.create_task(self._make(video))
        self._tasks[video.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(video.id, None))
        return video

    async def watch(self, video: Video) -> AsyncIterator[Video]:
        """The video each time that its state or progress has changed, until it is finished or deleted."""
        seen: tuple[Status, int] | None = None
        while video.id in self._tasks:
            if (video.status, video.progress) != seen:
                seen = (video.status, video.progress)
                yield video
            await asyncio.sleep(WATCH_SECONDS)

    def delete(self, video_id: str) -> None:
        """Removes a video, whatever its state; one in work is given up.

        Raises:
            APIError: 404.
        """
        self.store.get(video_id)
        task = self._tasks.pop(video_id, None)
        if task is not None:
            task.cancel()
        self.store.delete(video_id)

    async def _make(self, video: Video) -> None:
        try:
            async for event in self.generators[video.request.model](video.request):
                match event:
                    case Progress(done, steps):
                        video.status = "in_progress"
                        video.progress = min(99, 100 * done // steps)
                    case Result():
                        self.store.complete(video, event)
                    case Failure(message):
                        self.store.fail(video, message)
            if not video.finished:
                self.store.fail(video, "the generator ended without a video")
        except Exception:
            logger.exception("making %s failed", video.id)
            self.store.fail(video, "the generator failed; the server's log says why")
