"""The making of videos: which jobs a server takes from the shared store, and how each comes to exactly one end."""

import asyncio
import errno
import logging
import math
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, Literal

from hummingbird.config.serve import ServeSettings

from hummingbird_serve.answers import VideoError, VideoObject
from hummingbird_serve.policy import Policy
from hummingbird_serve.requests import Failure, Progress, Result
from hummingbird_serve.store import Claim, End, EndStatus, Entries, JobStore
from hummingbird_serve.videos import GeneratorLostError, ModelQueue, Video
from hummingbird_serve.watching import Owners, Watchers

logger = logging.getLogger("ray.serve")

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
TIDY_SECONDS = 60.0
RETRY_SECONDS = 0.5
STOP_SECONDS = 10.0


class JobLoop:
    """Looks at the shared store again and again, takes jobs and has them made. Belongs to one event loop.

    Several servers (or replicas of the ingress) on one store share its queue: each takes what its generators can
    make, and what a dead one held.

    Args:
        store: what lasts.
        queues: the queue of each model, by its name.
        settings: bounds and times.
        policy: decides which prompts are made.
        clock: Unix time, for tests.
    """

    def __init__(
        self,
        store: JobStore,
        queues: Mapping[str, ModelQueue],
        settings: ServeSettings,
        policy: Policy | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store, self.queues, self.settings, self.clock = store, dict(queues), settings, clock
        self._policy = policy
        self.owner = secrets.token_hex(8)
        self.trouble: Literal["full", "unavailable"] | None = None
        """What the storage cannot do at present."""
        self.draining = self._stopped = False
        self._videos: dict[str, Video] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._endings: set[asyncio.Task[None]] = set()
        self._watchers = Watchers(self.describe)
        self._gone: dict[str, float] = {}
        """Deleted videos, and the last look at the state that may still have seen them."""
        self._unreadable: set[str] = set()
        self._owners = Owners(settings.lease_seconds)
        self._looks = self._beats = 0
        self._tidied = 0.0
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Reads what is there, and begins to work. Fails where the storage does."""
        await self._look()
        self._loop = asyncio.create_task(self._keep_up())

    async def drain(self, seconds: float) -> None:
        """Takes no more; what is in a pass is finished within ``seconds``, all else given back to the store."""
        self.draining = True
        for video in [self._videos[name] for name in self._tasks if name in self._videos]:
            if video.done is None:
                await self._give_back(video, "the server was stopped")
        working = [*self._tasks.values(), *self._endings]
        if working:
            await asyncio.wait(working, timeout=seconds)
        for name in list(self._tasks):
            if name in self._videos:
                await self._give_back(self._videos[name], "the server was stopped")
        self._stopped = True
        if self._loop is not None:  # a look that is under way would leave a sign of life behind
            await asyncio.wait([self._loop], timeout=STOP_SECONDS)
            self._loop.cancel()
        await asyncio.to_thread(self.store.leave, self.owner)

    def all(self) -> list[Video]:
        """All videos, oldest first."""
        videos = [video for video in self._videos.values() if not self._expired(video)]
        return sorted(videos, key=lambda video: (video.job.created_at, video.id))

    def waiting(self, model: str) -> list[Video]:
        """The videos of a model whose making has not begun, first come first."""
        return [v for v in self.all() if v.request.model == model and v.status == "queued"]

    def describe(self, video: Video) -> VideoObject:
        """The video as the API answers it."""
        request, end, job, queue = video.request, video.end, video.job, self.queues.get(video.request.model)
        waiting = self.waiting(request.model) if end is None else []
        expected = queue.expected_seconds(video, waiting) if queue is not None and end is None else None
        return VideoObject(
            **{name: value for name, value in asdict(request).items() if name in VideoObject.model_fields},
            id=video.id,
            status=video.status,
            progress=video.progress,
            step=request.steps if video.status == "completed" else video.done or 0,
            queue_position=next((at for at, other in enumerate(waiting, 1) if other is video), None),
            expected_seconds=None if expected is None else round(expected, 2),
            attempts=video.claim.attempts if video.claim else 0,
            created_at=int(job.created_at),
            completed_at=int(end.completed_at) if end else None,
            expires_at=int(end.expires_at) if end else None,
            error=VideoError(code=end.code or "", message=end.error) if end and end.error else None,
            remixed_from_video_id=job.remixed_from,
            generation_seconds=end.generation_seconds if end else None,
            batch_size=end.batch_size if end else None,
        )

    async def _keep_up(self) -> None:
        while not self._stopped:
            await asyncio.sleep(self.settings.scan_seconds)
            try:
                await self._look()
                if self.trouble is not None:
                    await asyncio.to_thread(self.store.probe)
                    self.trouble = None
            except OSError as error:
                self._note(error)
            except Exception:
                logger.exception("looking at the stored jobs failed")

    async def _look(self) -> None:
        """A sign of life, then what others did; takes what is free, removes what is old."""
        self._beats += 1
        self._looks += 1
        look = self._looks
        steps = {
            name: v.done for name, v in self._videos.items() if name in self._tasks and v.done is not None
        }
        try:
            await asyncio.to_thread(self.store.beat, self.owner, self._beats, steps)
        except OSError as error:  # a full disk can still be read
            self._note(error)
        known, ended = set(self._videos), {name for name, video in self._videos.items() if video.finished}
        found = await asyncio.to_thread(self.store.look, known | self._unreadable, ended, self.owner)
        for name in [name for name, v in self._videos.items() if name not in found.ids and v.look < look]:
            if not await asyncio.to_thread(self.store.exists, name):
                self._forget(name)
        self._take_in(found, look)
        self._dispatch()
        await self._fail_unserved()
        await self._remove_old()
        for name, created_at in found.unreadable.items():
            logger.warning("the job %s was saved by another version, or is damaged", name)
            self._unreadable.add(name)
            if self.clock() - created_at > self.settings.keep_seconds:
                await asyncio.to_thread(self.store.remove_unreadable, name)

    def _take_in(self, found: Entries, look: int) -> None:
        self._owners.see(found.owners)
        for name, job in found.jobs.items():
            if name not in self._gone:
                self._videos.setdefault(name, Video(job, look=look))
        for name, end in found.ends.items():
            if (video := self._videos.get(name)) is not None and video.end is None:
                video.end = end
                self._stop(name)
                self._measure(video)
        for name, claim in found.claims.items():
            video, own = self._videos.get(name), claim.owner == self.owner
            if video is None or video.finished:
                continue
            if video.claim is not None and claim.number - int(own) < video.claim.number:
                continue  # read before what this server knows
            if name in self._tasks and not own and claim.number > (video.claim.number if video.claim else 0):
                self._stop(name)  # this server stood still for so long that another took it
            video.claim = claim
            if not own:
                video.done = self._owners.steps(claim, name) if self._owners.holds(claim) else None
        self._gone = {name: last for name, last in self._gone.items() if last >= look}
        self._watchers.tell_all(self._videos)

    def _free(self, video: Video) -> bool:
        if video.finished or video.id in self._tasks:
            return False
        return video.claim is None or video.claim.owner == self.owner or not self._owners.holds(video.claim)

    def _attempts(self, video: Video) -> int:
        """How often its making has begun; of a dead server's claim its last sign of life tells."""
        if video.claim is None:
            return 0
        return video.claim.attempts + int(self._owners.steps(video.claim, video.id) is not None)

    def _dispatch(self) -> None:
        """Hands free jobs to the generators, first come first, as many as they can make at once."""
        if self.draining:
            return
        for model, queue in self.queues.items():
            for video in self.waiting(model):
                if len(queue.working) >= queue.capacity:
                    break
                if self._free(video):
                    queue.working.add(video.id)
                    task = asyncio.create_task(self._work(video, queue))
                    self._tasks[video.id] = task
                    task.add_done_callback(partial(self._left, video, queue))
        self._watchers.tell_all(self._videos)

    def _left(self, video: Video, queue: ModelQueue, task: asyncio.Task[None]) -> None:
        if self._tasks.get(video.id) is task:
            del self._tasks[video.id]
        queue.working.discard(video.id)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("the job %s was interrupted", video.id, exc_info=error)
            return  # the next look hands it out again
        self._dispatch()

    async def _work(self, video: Video, queue: ModelQueue) -> None:
        attempts = self._attempts(video)
        if attempts >= self.settings.max_attempts:
            reason = (video.claim.reason if video.claim else None) or "its server or generator died"
            message = f"its making was begun {attempts} times; the last time: {reason}"
            await self._end(video, self._as_end("failed", message, "too_many_attempts"))
            return
        try:
            claim = await asyncio.to_thread(self.store.claim, video.id, video.claim, self.owner, attempts)
        except OSError as error:
            self._note(error)
            await asyncio.sleep(RETRY_SECONDS)
            return
        if claim is None:  # another was first; the next look says who
            await asyncio.sleep(RETRY_SECONDS)
            return
        video.claim, video.done = claim, None
        outcome: Result | Failure = Failure("the generator ended without a video")
        try:
            async for event in queue.generate(video.request, alone=attempts > 0):
                if isinstance(event, Progress):
                    video.done = event.done
                    self._watchers.tell(video)
                else:
                    outcome = event
        except GeneratorLostError as error:
            await self._release(video, claim, attempts + int(video.done is not None), str(error))
            await asyncio.sleep(RETRY_SECONDS)
            return
        except Exception:
            logger.exception("making %s failed", video.id)
            outcome = Failure("the generator failed; the server's log says why")
        if isinstance(outcome, Failure) and outcome.batch_size > 1:
            # One bad request must not fail those that shared its pass: each is tried by itself.
            await self._release(video, claim, attempts + 1, outcome.message)
            return
        ending = asyncio.create_task(self._conclude(video, claim, outcome))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
        await asyncio.shield(ending)  # a deletion at this moment must not leave files behind

    async def _conclude(self, video: Video, claim: Claim, outcome: Result | Failure) -> None:
        """Keeps the files, then the end."""
        if isinstance(outcome, Failure):
            await self._end(video, self._as_end("failed", outcome.message, "generation_failed"))
            return
        facts: dict[str, Any] = {
            "claim": claim.number,
            "generation_seconds": round(outcome.seconds, 3),
            "batch_size": outcome.batch_size,
        }
        try:
            await asyncio.to_thread(
                self.store.keep_files, video.id, claim.number, outcome.mp4, outcome.thumbnail
            )
        except OSError as error:
            self._note(error)
            why = "the storage is full" if self.trouble == "full" else "the storage failed"
            message = f"the video was made, but could not be kept: {why}"
            await self._end(video, self._as_end("failed", message, f"storage_{self.trouble}"))
            return
        if await self._end(video, self._as_end("completed", None, **facts)):
            self._measure(video)
        else:
            await asyncio.to_thread(self.store.drop_files, video.id, claim.number)

    async def _end(self, video: Video, end: End, patient: bool = True) -> bool:
        """Saves an end; False where the video had another, or was deleted.

        Args:
            video: what ended.
            end: how.
            patient: tries until the storage can, else raises OSError.
        """
        while True:
            try:
                won = await asyncio.to_thread(self.store.end, video.id, end)
                break
            except OSError as error:
                self._note(error)
                if not patient:
                    raise
                if end.status != "completed":
                    video.end = end  # shown already; it is saved when there is room
                    self._watchers.tell(video)
                await asyncio.sleep(RETRY_SECONDS)
        if won:
            video.end = end
        elif (found := await asyncio.to_thread(self.store.find, video.id)) is None:
            self._forget(video.id)
        else:
            video.end = found[1]
        self._watchers.tell(video)
        return won

    async def _release(self, video: Video, claim: Claim, attempts: int, reason: str) -> None:
        video.done = None
        logger.warning("the job %s is queued again: %s", video.id, reason)
        try:
            video.claim = await asyncio.to_thread(self.store.release, video.id, claim, attempts, reason)
        except OSError as error:  # in memory alone: others wait until this server ends
            self._note(error)
            video.claim = Claim(claim.number, claim.owner, attempts, reason)
        self._watchers.tell(video)

    async def _give_back(self, video: Video, reason: str) -> None:
        self._stop(video.id)
        if video.claim is not None and video.claim.owner == self.owner and not video.finished:
            await self._release(video, video.claim, video.claim.attempts, reason)

    def _as_end(self, status: EndStatus, error: str | None, code: str | None = None, **facts: Any) -> End:
        now = self.clock()
        return End(status, now, now + self.settings.keep_seconds, error, code, **facts)

    def _measure(self, video: Video) -> None:
        queue = self.queues.get(video.request.model)
        if queue is not None and video.generation_seconds is not None:
            queue.measure(video.generation_seconds, video.request.steps)

    async def _fail_unserved(self) -> None:
        """Jobs of a model that is not served any more: another server that lives may still have it."""
        if self._owners.alive() or self.draining:
            return
        for video in [
            v for v in self._videos.values() if not v.finished and v.request.model not in self.queues
        ]:
            message = f"no server has the model {video.request.model} any more"
            await self._end(video, self._as_end("failed", message, "model_not_served"), patient=False)

    async def _remove_old(self) -> None:
        finished = [v for v in self._videos.values() if v.finished]
        finished.sort(key=lambda video: (video.job.created_at, video.id))
        surplus = max(0, len(self._videos) - self.settings.max_videos)
        old = {v.id: v for v in finished if self._expired(v)} | {v.id: v for v in finished[:surplus]}
        for video in old.values():
            await self._remove(video)
        if time.monotonic() - self._tidied > TIDY_SECONDS:
            self._tidied = time.monotonic()
            await asyncio.to_thread(self.store.tidy, self.clock(), self.settings.keep_seconds)
        claimed = {v.claim.owner for v in self._videos.values() if v.claim and not v.finished}
        for name in set(self._owners.dead()) - claimed:
            await asyncio.to_thread(self.store.leave, name)

    def _expired(self, video: Video) -> bool:
        return video.end is not None and video.end.expires_at <= self.clock()

    async def _remove(self, video: Video) -> None:
        self._forget(video.id)
        self._gone[video.id] = math.inf
        try:
            await asyncio.to_thread(self.store.delete, video.job)
        finally:
            self._gone[video.id] = self._looks + 1

    def _forget(self, video_id: str) -> None:
        """Stops to make a video that was deleted, and knows it no more."""
        self._stop(video_id)
        self._videos.pop(video_id, None)
        self._gone[video_id] = self._looks + 1
        self._watchers.end(video_id)

    def _stop(self, video_id: str) -> None:
        task = self._tasks.pop(video_id, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    @staticmethod
    def is_full(error: OSError) -> bool:
        """Whether the storage failed because it has no room."""
        return error.errno in FULL

    def _note(self, error: OSError) -> None:
        self.trouble = "full" if self.is_full(error) else "unavailable"
        logger.error("the storage of the jobs fails: %s", error)
