"""How much a unit matters: how far the teacher's output moves when it goes, on calibration clips, over timesteps.

For clips x0, noise and timesteps drawn once, the teacher predicts the noise; so does the U-Net without the unit,
its weights being the teacher's. Their squared difference over the teacher's mean square, meaned over clips, is the
unit's importance at a timestep.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from hummingbird.config.cluster import RaySettings, connect
from hummingbird.core.errors import InputError
from hummingbird.core.files import AnyPath
from hummingbird.core.progress import ProgressBar
from hummingbird.core.resources import placement, reachable_resources, told_while_waiting
from hummingbird.models.pipeline import load_pipeline
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.models.unet import VideoUNet
from hummingbird.pruning.planner.search import Measure
from hummingbird.pruning.prune import prune_unet
from hummingbird.pruning.pruning_plan import Plan
from hummingbird.training.latent_cache import LatentCache, to_device

T = TypeVar("T")


@dataclass(frozen=True)
class Calibration:
    """What importance is measured on.

    Attributes:
        cache: folder of latents.
        clips: how many of its clips, evenly spaced.
        timesteps: evenly spaced over the noise process.
        seed: of the noise.
        rows: clips a pass, of whatever timesteps; 1 needs the memory of one pass.
    """

    cache: AnyPath
    clips: int
    timesteps: int
    seed: int
    rows: int = 1


class Probe:
    """A teacher and its predictions on the calibration clips; asks what plans would change.

    Args:
        teacher: in evaluation mode; its weights are shared with the students that are looked at.
        batch: as `LatentCache.load` returns it, on the teacher's device.
        timesteps: of 0..999.
        rows: clips a pass.
    """

    def __init__(
        self,
        teacher: VideoUNet,
        diffusion: VideoScheduler,
        batch: Mapping[str, Any],
        timesteps: Sequence[int],
        seed: int,
        rows: int = 1,
    ) -> None:
        self._teacher = teacher.eval().requires_grad_(False)
        self._count, self._rows = len(timesteps), rows
        x0 = batch["latents"]
        generator = torch.Generator().manual_seed(seed)
        drawn = []
        for timestep in timesteps:
            noise = diffusion.draw_noise(x0.shape, generator).to(x0)
            t = torch.full((len(x0),), timestep, device=x0.device)
            drawn.append((diffusion.add_noise(x0, noise, t), t, batch["text"], batch["fps"]))
        self._inputs = tuple(torch.cat(parts) for parts in zip(*drawn, strict=True))
        self._taught = self._predict(self._teacher)

    def importance(self, plan: Plan) -> list[float]:
        """The relative squared change of the teacher's output under a plan, at each timestep.

        Raises:
            InputError: the teacher or the student predicts what is not finite.
        """
        student = prune_unet(self._teacher, plan, share=True)
        change = (self._predict(student) - self._taught).square().reshape(self._count, -1).mean(1)
        importance = [float(m) for m in change / self._taught.square().reshape(self._count, -1).mean(1)]
        if not np.isfinite(importance).all():
            raise InputError(
                f"plan '{plan.name}' or its teacher predicts values that are not finite: {importance}"
            )
        return importance

    @torch.no_grad()
    def _predict(self, unet: VideoUNet) -> Tensor:
        """The noise of all clips at the first timestep, then at the second, ..."""
        predictions = []
        for x, t, text, fps in zip(*(part.split(self._rows) for part in self._inputs), strict=True):
            guidance = torch.ones(len(x), device=x.device) if unet.config.guidance_size else None
            predictions.append(unet(x, t, text, fps=fps, guidance=guidance).float())
        return torch.cat(predictions)


def _even_samples(cache: LatentCache, calibration: Calibration) -> list[int]:
    """Samples of the most frequent size, evenly spaced."""
    own = cache.samples_of_one_size()
    if len(own) < calibration.clips:
        raise InputError(
            f"plan.calibration_clips={calibration.clips}, but {calibration.cache} holds {len(own)} clips of a size: "
            "use fewer"
        )
    return [own[int(i)] for i in np.linspace(0, len(own) - 1, calibration.clips).round()]


def load_probe(teacher: Path, calibration: Calibration, device: str) -> Probe:
    """A probe from a pipeline folder and a cache.

    Raises:
        InputError: the cache holds fewer clips than asked for, or latents that the teacher does not take.
    """
    pipeline = load_pipeline(teacher)
    cache = LatentCache(calibration.cache)
    if cache.channels != pipeline.unet.config.in_channels:
        raise InputError(
            f"{calibration.cache} holds latents of {cache.channels} channels, the teacher takes "
            f"{pipeline.unet.config.in_channels}: encode again"
        )
    batch = to_device(cache.load(_even_samples(cache, calibration)), torch.device(device))
    last = len(pipeline.scheduler.alphas_cumprod)
    timesteps = [round((i + 0.5) * last / calibration.timesteps) for i in range(calibration.timesteps)]
    unet: VideoUNet = pipeline.unet.to(device)
    return Probe(unet, pipeline.scheduler, batch, timesteps, calibration.seed, calibration.rows)


@lru_cache(maxsize=1)
def cached_probe(teacher: Path, calibration: Calibration, device: str) -> Probe:
    """`load_probe`, made once in a process that is asked for plan after plan."""
    return load_probe(teacher, calibration, device)


def plan_importance(teacher: Path, calibration: Calibration, device: str, plan: Plan) -> list[float]:
    """`Probe.importance` of one plan, for a pool of processes to map."""
    return cached_probe(teacher, calibration, device).importance(plan)


def memoized(measure: Measure) -> Measure:
    """Never measures a plan twice: searches under several budgets begin with the same ones."""
    known: dict[str, list[float]] = {}

    def key(plan: Plan) -> str:
        same = {"name": "", "drop": sorted(plan.drop), "narrow": dict(sorted(plan.narrow.items()))}
        return plan.model_copy(update=same).model_dump_json()

    def measure_new(plans: Mapping[str, Plan]) -> dict[str, list[float]]:
        new = {name: plan for name, plan in plans.items() if key(plan) not in known}
        known.update({key(new[name]): importance for name, importance in measure(new).items()} if new else {})
        return {name: known[key(plan)] for name, plan in plans.items()}

    return measure_new


def with_progress(results: Iterable[T], count: int) -> Iterable[T]:
    """The same, with a progress bar: on a CPU a round takes minutes."""
    bar: Iterable[T] = ProgressBar(results, desc="importance", total=count, unit="plan")
    return bar


class Workers:
    """Ray actors with a probe each, that share out the plans to look at.

    Args:
        workers: how many; each takes a CPU, and a GPU where there are any.

    Raises:
        InputError: the cluster is too small for them.
    """

    def __init__(self, teacher: Path, calibration: Calibration, workers: int, settings: RaySettings) -> None:
        connect(settings)
        import ray

        resources = reachable_resources()
        gpu = resources.get("GPU", 0) > 0
        unit = "GPU" if gpu else "CPU"
        if resources.get(unit, 0) < workers:
            raise InputError(
                f"plan.workers={workers}, but the Ray cluster has no more than {resources.get(unit, 0):g} {unit}s: "
                "use fewer"
            )
        actor = ray.remote(num_cpus=1, num_gpus=int(gpu), **placement(int(gpu)))(_ProbeActor)
        self._actors = [actor.remote(teacher, calibration, "cuda" if gpu else "cpu") for _ in range(workers)]
        first, self._wanted = self._actors[0].__ray_ready__.remote(), {"CPU": 1, unit: 1}
        self._begun = lambda: bool(ray.wait([first], timeout=0)[0])

    def importance(self, plans: Mapping[str, Plan]) -> dict[str, list[float]]:
        """Importance at each timestep, by the names of the plans, with a progress bar."""
        from ray.util import ActorPool

        pool: Any = ActorPool(self._actors)
        names = list(plans)
        results = pool.map(lambda actor, name: actor.importance.remote(plans[name]), names)
        with told_while_waiting(f"{len(self._actors)} workers", self._wanted, self._begun):
            return dict(zip(names, with_progress(results, len(names)), strict=True))

    def close(self) -> None:
        """Ends the workers."""
        import ray

        for actor in self._actors:
            ray.kill(actor)


class _ProbeActor:
    def __init__(self, teacher: Path, calibration: Calibration, device: str) -> None:
        torch.set_num_threads(1)
        self._probe = load_probe(teacher, calibration, device)

    def importance(self, plan: Plan) -> list[float]:
        return self._probe.importance(plan)
