"""A video as a server knows it, and the queue of each model: places, and seconds measured and expected."""

import math
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from hummingbird_serve.requests import Event, VideoRequest
from hummingbird_serve.store import Claim, End, Job

Status = Literal["queued", "in_progress", "completed", "failed", "cancelled"]

NEW_WEIGHT = 0.3
"""How much the last pass counts in the mean of the seconds a step."""
UNMEASURED_SECONDS = 2.0
"""What a client is told to wait while no pass has been measured."""


class Generate(Protocol):
    """Makes one video: progress, then a result or a failure.

    Raises:
        GeneratorLostError: whoever made it is gone.
    """

    def __call__(self, request: VideoRequest, alone: bool) -> AsyncIterator[Event]:
        """``alone``: share the pass with nobody."""
        ...


class GeneratorLostError(Exception):
    """The process that made the video has died; the video may be made again."""


@dataclass
class Video:
    """A job, and what this server knows of its making."""

    job: Job
    claim: Claim | None = None
    end: End | None = None
    done: int | None = None
    """Denoising steps done; none: its making has not begun."""
    look: int = 0
    """The last look at the state when this server accepted it."""

    @property
    def id(self) -> str:
        """The id."""
        return self.job.id

    @property
    def request(self) -> VideoRequest:
        """What is made."""
        return self.job.request

    @property
    def finished(self) -> bool:
        """Whether nothing will change any more."""
        return self.end is not None

    @property
    def status(self) -> Status:
        """In OpenAI's words, and "cancelled"."""
        if self.end is not None:
            return self.end.status
        return "queued" if self.done is None else "in_progress"

    @property
    def progress(self) -> int:
        """Percent; 100 is a finished file."""
        if self.end is not None and self.end.status == "completed":
            return 100
        return min(99, 100 * (self.done or 0) // self.request.steps)

    @property
    def error(self) -> str | None:
        """Why it failed."""
        return self.end.error if self.end is not None else None

    @property
    def generation_seconds(self) -> float | None:
        """From prompt to mp4, of the pass that made it."""
        return self.end.generation_seconds if self.end is not None else None


@dataclass
class ModelQueue:
    """The videos of one model, and how long they take."""

    generate: Generate
    batch_size: int
    """Most videos that share a pass."""
    replicas: int
    """Most passes at once."""
    step_seconds: float | None = None
    """Mean seconds of a pass for each denoising step; none: not measured yet."""
    accepting: int = 0
    """Requests that are being saved."""
    working: set[str] = field(default_factory=set)
    """Ids that this server has handed to the generator, or is about to."""

    @property
    def capacity(self) -> int:
        """Videos that are handed to the generator at once: a pass of each replica, and the next one's."""
        return 2 * self.batch_size * self.replicas

    def measure(self, seconds: float, steps: int) -> None:
        """Takes a pass into the mean."""
        new, old = seconds / steps, self.step_seconds
        self.step_seconds = new if old is None else NEW_WEIGHT * new + (1 - NEW_WEIGHT) * old

    def expected_seconds(self, video: Video, waiting: Iterable[Video]) -> float | None:
        """Seconds until the video is finished.

        Args:
            video: of this queue, not finished.
            waiting: all that have not begun, first come first.
        """
        if self.step_seconds is None:
            return None
        own = self.step_seconds * video.request.steps
        if video.done is not None:
            return own * (1 - video.done / video.request.steps)
        seconds = own
        for place, other in enumerate(waiting):
            if other is video:
                break
            if place % (self.batch_size * self.replicas) == 0:
                seconds += self.step_seconds * other.request.steps
        return seconds

    def retry_seconds(self, waiting: Iterable[Video]) -> int:
        """Seconds after which half of those that wait now are made: what a refused client is told to wait."""
        if self.step_seconds is None:
            return math.ceil(UNMEASURED_SECONDS)
        work = sum(self.step_seconds * video.request.steps for video in waiting)
        return max(1, math.ceil(work / (self.batch_size * self.replicas) / 2))


def poll_milliseconds(expected: float | None) -> int:
    """The pace at which a client should ask again: about ten times until the video is finished."""
    if expected is None:
        return 500
    return int(min(5000.0, max(200.0, 100 * expected)))
