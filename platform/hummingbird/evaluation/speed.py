"""End-to-end time of a video: text, denoising, decoding, mp4; models take turns on the machine."""

import io
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hummingbird.core.devices import synchronized_time
from hummingbird.core.timing import measure_in_turns
from hummingbird.evaluation.sampling import SamplingParameters, decode_frames, denoise
from hummingbird.models.video import write_mp4

PARTS = ("text", "denoising", "decoding", "mp4")

T = TypeVar("T")


@dataclass(frozen=True)
class TimedPipeline:
    """One bar of the comparison: a loaded pipeline, eager or compiled, and how it samples.

    Attributes:
        batch_size: videos made together.
        facts: what the bar is, as JSON: model, mode, precision, and so on.
    """

    name: str
    pipeline: Any
    parameters: SamplingParameters
    batch_size: int = 1
    note: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class VideoTimes:
    """Seconds a video of every repeat, and the medians of its parts and of the whole."""

    repeats: tuple[Mapping[str, float], ...]

    @property
    def seconds(self) -> float:
        return statistics.median(sum(parts.values()) for parts in self.repeats)

    @property
    def parts(self) -> dict[str, float]:
        return {part: statistics.median(parts[part] for parts in self.repeats) for part in PARTS}

    def as_json(self) -> dict[str, object]:
        return {"seconds": self.seconds, "parts": self.parts, "repeats": [dict(r) for r in self.repeats]}


def time_pipelines(
    pipelines: Sequence[TimedPipeline], prompts: Sequence[str], warmup: int, repeats: int
) -> dict[str, VideoTimes]:
    """Times every pipeline ``repeats`` times, in turn, after ``warmup`` turns each, on the same prompts."""

    def measure(timed: TimedPipeline, turn: int) -> dict[str, float]:
        chosen = [prompts[(turn + place) % len(prompts)] for place in range(timed.batch_size)]
        return time_videos(timed, chosen, seed=turn)

    measures = {timed.name: partial(measure, timed) for timed in pipelines}
    times = measure_in_turns(measures, warmup, repeats, label="benchmark", unit="pass")
    return {name: VideoTimes(tuple(turns)) for name, turns in times.items()}


def time_videos(timed: TimedPipeline, prompts: Sequence[str], seed: int) -> dict[str, float]:
    """Seconds a video of each part, of as many videos as prompts at once, from the prompts to the bytes of mp4s.

    Denoising holds the text of the empty prompt, which a guided model's second pass needs.
    """
    seconds: dict[str, float] = {}

    def run(part: str, function: Callable[[], T]) -> T:
        start = synchronized_time()
        result = function()
        seconds[part] = (synchronized_time() - start) / len(prompts)
        return result

    pipeline, parameters = timed.pipeline, timed.parameters
    seeds = [seed + place for place in range(len(prompts))]
    text = run("text", lambda: pipeline.encode_prompts(list(prompts)))
    latents = run("denoising", lambda: denoise(pipeline, text, seeds, parameters))
    frames = run("decoding", lambda: decode_frames(pipeline, latents, parameters))
    run("mp4", lambda: _encode(frames, parameters.fps))
    return seconds


def _encode(videos: Iterable[NDArray[np.uint8]], fps: int) -> None:
    for frames in videos:
        write_mp4(frames, fps, io.BytesIO())
