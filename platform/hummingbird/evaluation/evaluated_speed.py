"""Seconds a video of the models as they were evaluated, in turns on one device: what the frontier is drawn from."""

from collections.abc import Mapping, Sequence
from typing import Any

from hummingbird.core.resources import reachable_resources
from hummingbird.evaluation.evaluated_models import ResolvedModel


def time_models(models: Sequence[ResolvedModel], prompts: Sequence[str], repeats: int) -> dict[str, Any]:
    """Rows by model, as `hummingbird.evaluation.work.speed_row` has them, and the device.

    Where Ray knows a GPU, it is a task with one; else they run in this process.

    Args:
        repeats: timed videos a model, after one that does not count.
    """
    import ray

    if ray.is_initialized() and reachable_resources().get("GPU", 0):
        task = ray.remote(num_gpus=1)(time_models_here)
        rows: dict[str, Any] = ray.get(task.remote(list(models), list(prompts), repeats))
        return rows
    return time_models_here(models, prompts, repeats)


def time_models_here(models: Sequence[ResolvedModel], prompts: Sequence[str], repeats: int) -> dict[str, Any]:
    """`time_models` in this process."""
    import torch

    from hummingbird.core.devices import describe_device, resolve_device
    from hummingbird.core.precision import resolve_precision
    from hummingbird.evaluation.speed import TimedPipeline, time_pipelines
    from hummingbird.evaluation.work import DTYPES, matmul_rate, peak_bytes, speed_row, video_flop
    from hummingbird.models.pipeline import load_pipeline

    device = torch.device(resolve_device())
    rows = []
    for model in models:
        pipeline = load_pipeline(model.folder).to(device)
        pipeline.set_progress_bar_config(disable=True)
        precision = resolve_precision(device, model.mixed_precision)
        pipeline.unet_dtype = torch.bfloat16 if precision == "bf16" else None
        facts: Mapping[str, Any] = {
            "model": model.name,
            "mode": "eager",
            "precision": precision,
            "num_inference_steps": model.parameters.num_inference_steps,
            "decoder": model.parameters.decoder,
            "batch_size": 1,
        }
        rows.append(TimedPipeline(model.name, pipeline, model.parameters, 1, model.description, facts))
    flop = {row.name: video_flop(row.pipeline, row.parameters) for row in rows}
    peaks = {row.name: peak_bytes(row, device) for row in rows}
    timings = time_pipelines(rows, prompts, 1, repeats)
    rates = {p: matmul_rate(device.type, DTYPES[p]) for p in {row.facts["precision"] for row in rows}}
    return {
        "rows": {
            row.name: speed_row(
                row, timings[row.name], flop[row.name], rates[row.facts["precision"]], peaks[row.name]
            )
            for row in rows
        },
        "device": describe_device(),
    }
