"""Videos of the same prompts and seeds while a student trains, and what they tell."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hummingbird.config.watching import WatchingSettings
from hummingbird.core.files import AnyPath
from hummingbird.core.precision import resolve_precision
from hummingbird.models.pipeline import TextToVideoPipeline, load_parts, load_pipeline
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.models.video import seeded_generators, to_uint8, write_mp4
from hummingbird.training.event import Event
from hummingbird.training.latent_cache import LatentCache
from hummingbird.training.watching.collapse import CollapseDetector, collapses
from hummingbird.training.watching.trackers import Tracker

SAMPLES, LOOKS = "samples", "looks.jsonl"


@dataclass(frozen=True)
class SampleSource:
    """Where the videos of a student come from, as it is sent to a worker.

    Attributes:
        teacher, student: folders of pipelines.
        cache: a folder of latents, whose size and first captions the videos have.
        scheduler: what the method changes in the student's noise process.
        precision: as ``training.mixed_precision``.
    """

    teacher: Path
    student: Path
    cache: AnyPath
    scheduler: dict[str, Any]
    settings: WatchingSettings
    precision: str
    seed: int

    def open(self, folder: Path, device: torch.device) -> "SampleWatch":
        """What makes them, in one worker."""
        return SampleWatch(self, folder, device)


class SampleWatch:
    """Makes videos of a network in training, shows them, and looks for collapses.

    Files: ``samples/step_XXXXXXXX/N.mp4``, the teacher's in ``samples/teacher``, and ``samples/looks.jsonl``: what was
    seen.
    """

    def __init__(self, source: SampleSource, folder: Path, device: torch.device) -> None:
        self._source, self._folder, self._device = source, folder / SAMPLES, device
        cache = LatentCache(source.cache)
        first = cache.load(cache.samples_of_one_size()[: source.settings.videos])
        self._prompts = list(source.settings.prompts) or first["captions"]
        self._shape, self._fps = tuple(first["latents"].shape[1:]), float(first["fps"][0])
        self._teacher: Tensor | None = None
        self._detector: CollapseDetector | None = None

    def look(
        self, step: int, progress: float, network: nn.Module, trackers: Sequence[Tracker]
    ) -> list[Event]:
        """Makes the videos of a step; what is to be said of them."""
        settings = self._source.settings
        parts = load_parts(self._source.student)
        parts["scheduler"] = VideoScheduler.from_config(parts["scheduler"].config, **self._source.scheduler)
        videos = self._videos(TextToVideoPipeline(unet=network, **parts))
        self._write(self._folder / f"step_{step:08d}", videos, step, trackers)
        if settings.collapse == "off":
            return []
        found = collapses(videos, self._teachers())
        if self._detector is None:
            lines = self._looks()
            self._detector = CollapseDetector([look["found"] for look in lines if look["step"] < step])
        said = self._detector.see(found, progress >= 0.5)
        with (self._folder / LOOKS).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "found": sorted(found)}) + "\n")
        return [Event(text, settings.collapse == "stop") for text in said]

    def _looks(self) -> list[dict[str, Any]]:
        file = self._folder / LOOKS
        return (
            [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
            if file.is_file()
            else []
        )

    def _teachers(self) -> Tensor:
        if self._teacher is None:
            self._teacher = self._videos(load_pipeline(self._source.teacher))
            self._write(self._folder / "teacher", self._teacher, 0, ())
        return self._teacher

    @torch.no_grad()
    def _videos(self, pipeline: TextToVideoPipeline) -> Tensor:
        """Frames (N, T, 3, H, W) in 0..1, on the CPU, one video at a time."""
        pipeline.set_progress_bar_config(disable=True)
        pipeline.to(self._device)
        if resolve_precision(self._device, self._source.precision) == "bf16":
            pipeline.unet_dtype = torch.bfloat16
        scale = pipeline.family.pixels_per_latent
        _, frames, height, width = self._shape
        made = [
            pipeline(
                prompt,
                num_frames=frames,
                height=height * scale,
                width=width * scale,
                fps=self._fps,
                generator=seeded_generators([self._source.seed + number]),
                output_type="pt",
            ).frames.float().cpu()
            for number, prompt in enumerate(self._prompts)
        ]  # fmt: skip
        return torch.cat(made)

    def _write(self, folder: Path, videos: Tensor, step: int, trackers: Sequence[Tracker]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for number, video in enumerate(videos):
            frames, file = to_uint8(video), folder / f"{number}.mp4"
            write_mp4(frames, self._fps, file)
            for tracker in trackers:
                tracker.video(step, f"samples/{number}", frames, self._fps, file)
        (folder / "prompts.json").write_text(json.dumps(self._prompts, ensure_ascii=False), encoding="utf-8")
