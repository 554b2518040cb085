"""End-to-end time of a video: text, denoising, decoding, mp4; models take turns on the machine."""

import io
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from hummingbird.core.devices import synchronized_time
from hummingbird.core.timing import measure_in_turns
from hummingbird.evaluation.sampling import SamplingParameters, decode_frames, denoise
from hummingbird.models.video import write_mp4

PARTS = ("text", "denoising", "decoding", "mp4")

T = TypeVar("T")


@dataclass(frozen=True)
class TimedPipeline:
    """One bar of the comparison: a loaded pipeline, eager or compiled, and how it samples."""

    name: str
    pipeline: Any
    parameters: SamplingParameters
    note: str = ""


@dataclass(frozen=True)
class VideoTimes:
    """Seconds of every repeat, and the medians of its parts and of the whole."""

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
    """Times every pipeline ``repeats`` times, in turn, after ``warmup`` videos each, on the same prompts."""

    def measure(timed: TimedPipeline, turn: int) -> dict[str, float]:
        return time_video(timed, prompts[turn % len(prompts)], seed=turn)

    measures = {timed.name: partial(measure, timed) for timed in pipelines}
    times = measure_in_turns(measures, warmup, repeats, label="benchmark", unit="video")
    return {name: VideoTimes(tuple(turns)) for name, turns in times.items()}


def time_video(timed: TimedPipeline, prompt: str, seed: int) -> dict[str, float]:
    """Seconds of each part of one video, from the prompt to the bytes of an mp4.

    Denoising holds the text of the empty prompt, which a guided model's second pass needs.
    """
    seconds: dict[str, float] = {}

    def run(part: str, function: Callable[[], T]) -> T:
        start = synchronized_time()
        result = function()
        seconds[part] = synchronized_time() - start
        return result

    pipeline, parameters = timed.pipeline, timed.parameters
    text = run("text", lambda: pipeline.encode_prompts([prompt]))
    latents = run("denoising", lambda: denoise(pipeline, text, [seed], parameters))
    frames = run("decoding", lambda: decode_frames(pipeline, latents, parameters))
    run("mp4", lambda: write_mp4(frames[0], parameters.fps, io.BytesIO()))
    return seconds
