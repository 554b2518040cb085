"""Which size of samples a clip goes to, and at which rate it is sampled there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hummingbird.config.encode import EncodeSettings
from hummingbird.core.errors import InputError
from hummingbird.models.pipeline import TextToVideoPipeline

from hummingbird_data.reading.clip_frames import lasts


@dataclass(frozen=True)
class Bucket:
    """Samples of one size: pixels and frames."""

    height: int
    width: int
    frames: int


@dataclass(frozen=True)
class Length:
    """Frames of a clip, and how many of them there are a second."""

    frames: int
    fps: float


def buckets_of(settings: EncodeSettings, pipeline: TextToVideoPipeline) -> list[Bucket]:
    """The sizes that samples are made in: the one of ``encode.height``, ``width`` and ``num_frames``, then ``buckets``.

    Raises:
        InputError: a size that the pipeline cannot halve as often as it does.
    """
    height, width = pipeline.family.size
    sizes = [(settings.height or height, settings.width or width, settings.num_frames)]
    sizes += [tuple(map(int, words.split("x"))) for words in settings.buckets]  # type: ignore[misc]
    buckets = [Bucket(*size) for size in dict.fromkeys(sizes)]
    for bucket in buckets:
        try:
            pipeline.latent_shape(bucket.height, bucket.width)
        except ValueError as error:
            raise InputError(f"encode: {error}") from error
    return buckets


def choose_bucket(
    height: int,
    width: int,
    length: Length,
    buckets: Sequence[Bucket],
    fps: float,
    max_fps: float | None = None,
) -> tuple[Bucket, float] | None:
    """A clip's bucket, and the rate that its frames are taken at; None where it is too short for each.

    Of those that it is long enough for, the closest aspect; of equal ones the most frames, then the most pixels.
    """
    aspect = math.log(width / height)
    fitting = [
        (abs(math.log(bucket.width / bucket.height) - aspect), bucket, rate)
        for bucket in buckets
        if (rate := sampling_rate(length, bucket.frames, fps, max_fps)) is not None
    ]
    if not fitting:
        return None
    _, bucket, rate = min(
        fitting, key=lambda one: (round(one[0], 6), -one[1].frames, -one[1].height * one[1].width)
    )
    return bucket, rate


def sampling_rate(length: Length, count: int, fps: float, max_fps: float | None) -> float | None:
    """The rate that ``count`` frames of a clip are taken at: ``fps`` where it is long enough, else a higher one.

    A higher one spreads them over the whole clip. None: that would be above ``max_fps``, or above the clip's own rate,
    where frames would repeat.
    """
    if lasts(length.frames, length.fps, fps, count):
        return fps
    closer = count * length.fps / length.frames
    return closer if max_fps is not None and closer <= min(max_fps, length.fps) else None
