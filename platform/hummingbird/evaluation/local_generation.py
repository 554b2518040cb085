"""Videos of one model for all prompts in this process, on whatever device the model is; judged beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

from tqdm import tqdm

from hummingbird.core.parallel import ParallelMap
from hummingbird.evaluation.suites.shapes.judging import judge_frames
from hummingbird.evaluation.suites.shapes.metrics import Measured
from hummingbird.evaluation.suites.shapes.prompts import Prompt
from hummingbird.models.pipeline import TextToVideoPipeline


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
    pipeline: TextToVideoPipeline,
    prompts: Sequence[Prompt],
    way: Way,
    parallel: ParallelMap,
    name: str | None = None,
) -> list[Measured]:
    """The judged videos of ``pipeline`` for all prompts, in their order.

    Args:
        parallel: judges; the processes of `hummingbird.core.parallel`, or ``map``.
        name: shown beside a bar; none: no bar.
    """
    found: list[Measured] = []
    with tqdm(total=len(prompts), desc=name, unit="video", leave=False, disable=name is None) as bar:
        for start in range(0, len(prompts), way.batch):
            some = prompts[start : start + way.batch]
            frames = pipeline(
                [p.text for p in some],
                seeds=[p.seed for p in some],
                steps=way.steps,
                guidance=way.guidance,
                num_frames=way.frames,
                fps=way.fps,
                decoder=way.decoder,
            ).numpy()
            found += parallel(judge_frames, [(video, p.text) for video, p in zip(frames, some, strict=True)])
            bar.update(len(some))
    return found
