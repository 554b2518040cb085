"""How much a unit matters: how far the teacher's output moves when it goes, on calibration clips, over timesteps.

For clips x0, noise and timesteps drawn once, the teacher predicts the noise; so does the U-Net without the unit,
its weights being the teacher's. Their squared difference over the teacher's mean square, meaned over clips, is the
unit's importance at a timestep.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hummingbird.compression.cache import LatentCache
from hummingbird.compression.plan import Plan
from hummingbird.compression.prune import prune_unet
from hummingbird.config.cluster import RaySettings, connect
from hummingbird.config.section import InputError
from hummingbird.models.diffusion import Diffusion
from hummingbird.models.pipeline import load_pipeline
from hummingbird.models.unet import VideoUNet


@dataclass(frozen=True)
class Calibration:
    """What importance is measured on.

    Attributes:
        cache: folder of latents.
        clips: how many of its clips, evenly spaced.
        timesteps: evenly spaced over the noise process.
        seed: of the noise.
    """

    cache: Path
    clips: int
    timesteps: int
    seed: int


class Probe:
    """A teacher and its predictions on the calibration clips; asks what plans would change.

    Args:
        teacher: in evaluation mode; its weights are shared with the students that are looked at.
        batch: as `LatentCache.load` returns it, on the teacher's device.
        timesteps: of 0..999.
    """

    def __init__(
        self,
        teacher: VideoUNet,
        diffusion: Diffusion,
        batch: Mapping[str, Tensor],
        timesteps: Sequence[int],
        seed: int,
    ) -> None:
        self._teacher = teacher.eval().requires_grad_(False)
        x0 = batch["latents"]
        generator = torch.Generator().manual_seed(seed)
        self._inputs = []
        for timestep in timesteps:
            noise = diffusion.draw_noise(x0.shape, generator).to(x0)
            t = torch.full((len(x0),), timestep, device=x0.device)
            x = diffusion.add_noise(x0, noise, t)
            self._inputs.append((x, t, batch["text"], batch["fps"]))
        self._taught = [self._predict(self._teacher, inputs) for inputs in self._inputs]

    def importance(self, plan: Plan) -> list[float]:
        """The relative squared change of the teacher's output under a plan, at each timestep.

        Raises:
            InputError: the teacher or the student predicts what is not finite.
        """
        student = prune_unet(self._teacher, plan, share=True)
        moved = []
        for inputs, taught in zip(self._inputs, self._taught, strict=True):
            change = (self._predict(student, inputs) - taught).square().mean() / taught.square().mean()
            moved.append(float(change))
        if not np.isfinite(moved).all():
            raise InputError(
                f"plan '{plan.name}' or its teacher predicts values that are not finite: {moved}"
            )
        return moved

    @staticmethod
    @torch.no_grad()
    def _predict(unet: VideoUNet, inputs: tuple[Tensor, ...]) -> Tensor:
        x, t, text, fps = inputs
        guidance = torch.ones(len(x), device=x.device) if unet.config.guidance_size else None
        # A clip at a time, so that full size needs no more memory than one pass.
        rows = [
            unet(
                x[i : i + 1],
                t[i : i + 1],
                text[i : i + 1],
                fps=fps[i : i + 1],
                guidance=None if guidance is None else guidance[i : i + 1],
            ).float()
            for i in range(len(x))
        ]
        return torch.cat(rows)


def load_probe(teacher: Path, calibration: Calibration, device: str) -> Probe:
    """A probe from a pipeline folder and a cache.

    Raises:
        InputError: the cache holds fewer clips than asked for, or latents that the teacher does not take.
    """
    pipeline = load_pipeline(teacher)
    cache = LatentCache(calibration.cache)
    if len(cache) < calibration.clips:
        raise InputError(
            f"plan.clips={calibration.clips}, but {calibration.cache} holds {len(cache)} clips: use fewer"
        )
    if cache.shape[1] != pipeline.unet.config.in_channels:
        raise InputError(
            f"{calibration.cache} holds latents of {cache.shape[1]} channels, the teacher takes "
            f"{pipeline.unet.config.in_channels}: encode again"
        )
    indices = np.linspace(0, len(cache) - 1, calibration.clips).round().astype(int)
    batch = {key: value.to(device) for key, value in cache.load([int(i) for i in indices]).items()}
    last = len(pipeline.scheduler.alphas)
    timesteps = [round((i + 0.5) * last / calibration.timesteps) for i in range(calibration.timesteps)]
    return Probe(pipeline.unet.to(device), pipeline.scheduler, batch, timesteps, calibration.seed)


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

        resources = ray.cluster_resources()
        gpu = resources.get("GPU", 0) > 0
        unit = "GPU" if gpu else "CPU"
        if resources.get(unit, 0) < workers:
            raise InputError(
                f"plan.workers={workers}, but the Ray cluster has {resources.get(unit, 0):g} {unit}s: use fewer"
            )
        actor = ray.remote(num_cpus=1, num_gpus=int(gpu))(_ProbeActor)
        self._actors = [actor.remote(teacher, calibration, "cuda" if gpu else "cpu") for _ in range(workers)]

    def importance(self, plans: Mapping[str, Plan]) -> dict[str, list[float]]:
        """Importance at each timestep, by the names of the plans."""
        from ray.util import ActorPool

        pool: Any = ActorPool(self._actors)
        names = list(plans)
        found = pool.map(lambda actor, name: actor.importance.remote(plans[name]), names)
        return dict(zip(names, found, strict=True))

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
