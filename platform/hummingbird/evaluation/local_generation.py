"""Videos of one model for all prompts in this process, on whatever device the model is; measured beside it."""

from collections.abc import Sequence
from functools import partial

from hummingbird.core.parallel import ParallelMap
from hummingbird.core.progress import ProgressBar
from hummingbird.evaluation.results import tasks_of
from hummingbird.evaluation.sampling import SamplingParameters, sample_videos
from hummingbird.evaluation.suites.base import EvaluationPrompt, Measurement, Suite, measure_pair
from hummingbird.models.pipeline import TextToVideoPipeline


def evaluate_here(
    pipeline: TextToVideoPipeline,
    suite: Suite,
    prompts: Sequence[EvaluationPrompt],
    parameters: SamplingParameters,
    batch_size: int,
    parallel: ParallelMap,
    name: str | None = None,
) -> list[Measurement]:
    """The measured videos of ``pipeline`` for all prompts and seeds, in their order.

    Args:
        batch_size: videos sampled at once.
        parallel: measures; the processes of `hummingbird.core.parallel`, or ``map``.
        name: shown beside a bar; none: no bar.
    """
    measured: list[Measurement] = []
    tasks = tasks_of(prompts)
    with ProgressBar(total=len(tasks), desc=name, unit="video", leave=False, disable=name is None) as bar:
        for start in range(0, len(tasks), batch_size):
            batch = tasks[start : start + batch_size]
            frames = sample_videos(
                pipeline, [r.prompt.text for r in batch], [r.seed for r in batch], parameters
            )
            videos = [(video, r.prompt) for video, r in zip(frames, batch, strict=True)]
            measured += parallel(partial(measure_pair, suite), videos)
            bar.update(len(batch))
    return measured
