"""End-to-end time of a video: text, denoising, decoding, mp4; models take turns on the machine."""

import io
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from tqdm import tqdm

from hummingbird.core.devices import synchronized_time
from hummingbird.models.video import seeded_generators, to_uint8, write_mp4

PARTS = ("text", "denoising", "decoding", "mp4")
_TIMED = {"encode_prompts": "text", "decode": "decoding"}


class VideoPipeline(Protocol):
    """What is timed: a pipeline, eager or compiled, called with one prompt."""

    def __call__(
        self, prompt: str, *, generator: torch.Generator, output_type: str, **options: Any
    ) -> Any: ...


@dataclass(frozen=True)
class Contestant:
    """One bar of the comparison: a loaded pipeline and how it samples."""

    name: str
    pipeline: VideoPipeline
    options: Mapping[str, Any]
    fps: int
    note: str = ""


@dataclass(frozen=True)
class Timing:
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


def time_all(
    contestants: Sequence[Contestant], prompts: Sequence[str], warmup: int, repeats: int
) -> dict[str, Timing]:
    """Time every contestant ``repeats`` times, in turn, after ``warmup`` videos each, on the same prompts."""
    times: dict[str, list[Mapping[str, float]]] = {c.name: [] for c in contestants}
    with tqdm(total=len(contestants) * (warmup + repeats), desc="benchmark", unit="video") as bar:
        for turn in range(warmup + repeats):
            for contestant in contestants:
                parts = time_video(contestant, prompts[turn % len(prompts)], seed=turn)
                if turn >= warmup:
                    times[contestant.name].append(parts)
                bar.update()
    return {name: Timing(tuple(found)) for name, found in times.items()}


def time_video(contestant: Contestant, prompt: str, seed: int) -> dict[str, float]:
    """Seconds of each part of one video, from the prompt to the bytes of an mp4.

    Text and decoding are the pipeline's ``encode_prompts`` and ``decode``; what else the pipeline does is
    denoising.
    """
    parts = dict.fromkeys(PARTS, 0.0)
    start = synchronized_time()
    with _stopwatches(contestant.pipeline, parts):
        (generator,) = seeded_generators([seed])
        output = contestant.pipeline(prompt, generator=generator, output_type="pt", **contestant.options)
        ready = to_uint8(output.frames)[0]
    made = synchronized_time()
    write_mp4(ready, contestant.fps, io.BytesIO())
    parts["mp4"] = synchronized_time() - made
    parts["denoising"] = made - start - parts["text"] - parts["decoding"]
    return parts


@contextmanager
def _stopwatches(pipeline: VideoPipeline, parts: dict[str, float]) -> Iterator[None]:
    """While open, the pipeline's methods of `_TIMED` add their seconds to ``parts``."""

    def watched(method: Callable[..., Any], part: str) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            start = synchronized_time()
            result = method(*arguments, **options)
            parts[part] += synchronized_time() - start
            return result

        return run

    for name, part in _TIMED.items():
        setattr(pipeline, name, watched(getattr(pipeline, name), part))
    try:
        yield
    finally:
        for name in _TIMED:
            delattr(pipeline, name)
