"""What clients can do with the jobs of a server: create, find, watch, cancel and delete."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from hummingbird.core.files import AnyPath

from hummingbird_serve.answers import VideoObject
from hummingbird_serve.making import JobLoop
from hummingbird_serve.policy import check_policy
from hummingbird_serve.requests import APIError, VideoRequest
from hummingbird_serve.store import Job, KeyTakenError, key_entry, new_id
from hummingbird_serve.videos import ModelQueue, Video


@dataclass(frozen=True)
class Asker:
    """Who asks for a video."""

    name: str = ""
    """Of the API key."""
    max_queued: int | None = None
    """Videos of this key that may wait or be in work."""


class VideoJobs(JobLoop):
    """The jobs of a server, for its routes and its page."""

    async def create(
        self,
        request: VideoRequest,
        asker: Asker = Asker(),
        *,
        remixed_from: str | None = None,
        key: tuple[str, str] | None = None,
    ) -> Video:
        """Accepts a video; once this returns, it is kept.

        Args:
            request: what to make.
            asker: who asks.
            remixed_from: id of the video that this one varies.
            key: Idempotency-Key, and a hash of the body; the video is the same for the same.

        Raises:
            APIError: 400 the policy refuses the prompt; 409 the key was used for another body, or for a deleted video;
                429 the queue is full; 503 the server is stopping; 507 the storage is full.
            OSError: the storage failed.
        """
        if self.draining:
            raise APIError(
                503, "the server is stopping; ask again in a moment", None, "stopping", retry_after=5
            )
        if self._policy is not None:
            await check_policy(self._policy, request.prompt)
        entry = key_entry(asker.name, key[0]) if key is not None else None
        known = next((v for v in self._videos.values() if entry and v.job.key == entry), None)
        queue = self.queues[request.model]
        if known is None:
            self._check_room(request.model, queue, asker)
        job = Job(new_id(), self.clock(), request, asker.name, remixed_from, entry)
        queue.accepting += 1
        try:
            job = await asyncio.to_thread(self.store.add, job, key[1] if key else "")
        except KeyTakenError as taken:
            return await self._of_key(taken)
        except OSError as error:
            self._note(error)
            raise
        finally:
            queue.accepting -= 1
        video = self._videos.setdefault(job.id, Video(job, look=self._looks))
        self._dispatch()
        return video

    async def _of_key(self, taken: KeyTakenError) -> Video:
        if not taken.same_body:
            message = "this Idempotency-Key was used for another request: a new request needs a new key"
            raise APIError(409, message, "Idempotency-Key", "idempotency_key_reused")
        if taken.job_id is not None:
            with suppress(APIError):
                return await self.get(taken.job_id)
        message = "the video of this Idempotency-Key was removed: a new video needs a new key"
        raise APIError(409, message, "Idempotency-Key", "video_removed")

    def _check_room(self, model: str, queue: ModelQueue, asker: Asker) -> None:
        if self.trouble == "full":
            raise storage_error(self.trouble)
        open_ = [video for video in self._videos.values() if not video.finished]
        own = [video for video in open_ if video.job.client == asker.name]
        if asker.max_queued is not None and len(own) >= asker.max_queued:
            message = f"{len(own)} videos of your key are waiting or in work; it may have {asker.max_queued}"
            raise APIError(429, message, None, "key_queue_full", retry_after=queue.retry_seconds(own))
        waiting = [video for video in open_ if video.request.model == model]
        if len(waiting) + queue.accepting >= self.settings.max_queued:
            message = (
                f"{len(waiting) + queue.accepting} videos are waiting for {model} already; try again later"
            )
            raise APIError(429, message, None, "queue_full", retry_after=queue.retry_seconds(waiting))

    async def get(self, video_id: str) -> Video:
        """The video of that id.

        Raises:
            APIError: 404.
        """
        video = self._videos.get(video_id)
        if video is None and video_id not in self._gone:
            looks = self._looks
            found = await asyncio.to_thread(self.store.find, video_id)
            if found is not None and video_id not in self._gone:
                video = self._videos.setdefault(video_id, Video(found[0], end=found[1], look=looks))
        if video is None or self._expired(video):
            raise APIError(404, "there is no video of this id", "video_id", "video_not_found")
        return video

    def content(self, video: Video, kind: str = "mp4") -> AnyPath:
        """Where the file of a completed video is, or its picture ("webp")."""
        return self.store.file(video.id, video.end.claim if video.end else 0, kind)

    async def cancel(self, video_id: str) -> Video:
        """Ends a video that is not finished; one that was cancelled before stays so.

        Raises:
            APIError: 404, or 409 where it has completed or failed.
        """
        video = await self.get(video_id)
        if not video.finished:
            await self._end(video, self._as_end("cancelled", None), patient=False)
            self._stop(video_id)
        if video.status != "cancelled":
            raise APIError(
                409, f"the video is {video.status}: too late to cancel", "video_id", "video_finished"
            )
        return video

    async def delete(self, video_id: str) -> None:
        """Removes a video, whatever its state; one in work is given up.

        Raises:
            APIError: 404.
        """
        await self._remove(await self.get(video_id))

    def watch(self, video: Video) -> AsyncIterator[VideoObject]:
        """The video now and at every change of its state, steps or place, until it is finished or deleted."""
        return self._watchers.watch(video)


def storage_error(trouble: str) -> APIError:
    """What a client is told while the storage cannot keep a job."""
    if trouble == "full":
        return APIError(
            507, "the server's storage is full; try again later", None, "storage_full", retry_after=60
        )
    return APIError(
        503, "the server's storage fails; try again later", None, "storage_unavailable", retry_after=10
    )
