"""Videos of one model for all prompts in this process, on whatever device the model is; judged beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

from tqdm import tqdm

from hummingbird.core.parallel import Each
from hummingbird.evaluation.suites.shapes.judging import judge_frames
from hummingbird.evaluation.suites.shapes.metrics import Measured
from hummingbird.evaluation.suites.shapes.prompts import Prompt
from hummingbird.models.pipeline import TextToVideoPipeline
from hummingbird.models.video import seeded_generators, to_uint8


@dataclass(frozen=True)
class Way:
    """How videos are sampled. Attributes: as the pipeline's call takes them; ``batch``: videos at once."""

    steps: int
    guidance: float
    decoder: str = "full"
    frames: int = 16
    fps: int = 8
    batch: int = 16


def examine_here(
    pipeline: TextToVideoPipeline, prompts: Sequence[Prompt], way: Way, each: Each, name: str | None = None
) -> list[Measured]:
    """The judged videos of ``pipeline`` for all prompts, in their order.

    Args:
        each: judges; the processes of `hummingbird.core.parallel`, or ``map``.
        name: shown beside a bar; none: no bar.
    """
    pipeline.set_progress_bar_config(disable=True)
    found: list[Measured] = []
    with tqdm(total=len(prompts), desc=name, unit="video", leave=False, disable=name is None) as bar:
        for start in range(0, len(prompts), way.batch):
            some = prompts[start : start + way.batch]
            output = pipeline(
                [p.text for p in some],
                generator=seeded_generators(p.seed for p in some),
                num_inference_steps=way.steps,
                guidance_scale=way.guidance,
                num_frames=way.frames,
                fps=way.fps,
                decoder=way.decoder,
                output_type="pt",
            )
            frames = to_uint8(output.frames)
            found += each(judge_frames, [(video, p.text) for video, p in zip(frames, some, strict=True)])
            bar.update(len(some))
    return found
