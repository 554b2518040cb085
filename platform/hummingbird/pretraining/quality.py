"""Pretraining of the shapes world's quality model: a small DOVER.

The technical branch learns to tell sound clips from blurred, noisy and heavily compressed ones (a logit:
above 0 is sound); the aesthetic branch learns the composition rule of `quality_samples`.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from torch import Tensor

from hummingbird.config.settings import Settings
from hummingbird.core.progress import ProgressBar
from hummingbird.models.dover import DOVER
from hummingbird.models.dover_views import aesthetic_view, normalize, technical_view
from hummingbird.pretraining.card import ship, write_card
from hummingbird.pretraining.method import pretrain_network
from hummingbird.pretraining.prefetch import drawn_batches
from hummingbird.pretraining.quality_samples import Sample, draw_sample
from hummingbird.training.latent_cache import Batch

ARCHITECTURE: dict[str, Any] = {
    "technical_width": 16,
    "technical_depths": (2, 2, 2, 2),
    "technical_heads": (1, 2, 4, 8),
    "technical_window": (2, 4, 4),
    "aesthetic_widths": (16, 32, 64, 128),
    "aesthetic_depths": (1, 1, 2, 1),
    "head_width": 32,
    "technical_view": {"fragments": 4, "patch": 16, "frames": 4, "stride": 2, "clips": 3},
    "aesthetic_view": {"size": 64, "frames": 4, "stride": 2},
    "threshold": 0.0,
}
BATCH = 24
_TRAIN, _HELD_OUT = 1, 2  # streams of seeds that never meet
_CHUNK = 100  # clips a file of the cache

Arrays = dict[str, NDArray[Any]]


def pretrain_quality(
    folder: Path, settings: Settings, *, clips: int = 4000, held_out: int = 1000, cache: Path | None = None
) -> dict[str, Any]:
    """Train on the CPU, save in half precision as ``folder/quality``, and judge what was saved.

    Interrupted at any time and called again alike, it goes on: the clips are kept in ``cache``
    (``folder/clips`` by default), the weights in the checkpoints of ``folder``.

    Args:
        clips: number of training clips, half of them defective.
        held_out: number of clips of other seeds that the saved model is judged on.

    Returns:
        Training facts, and the scores of `judge`.
    """
    seed, s = settings.seed, settings.pretrain
    torch.manual_seed(seed)
    model = make_quality()
    data = load_clips(cache or folder / "clips", seed, clips, model)
    facts: dict[str, Any] = pretrain_network(
        model,
        lambda step: losses_of(model, step.batch),
        partial(drawn_batches, partial(quality_batch, data, seed), 0),
        folder,
        seed,
        s.model_copy(update={"device": "cpu", "learning_rate": 1e-3}),
        warmup_steps=min(200, 1 + s.steps // 10),
        ema_decay=0.99,
        weight_decay=0.05,
    )
    model.eval()
    fit_fusion(model, data)
    model.half().save_pretrained(folder / "quality")
    report = judge(DOVER.from_pretrained(folder / "quality"), seed, held_out)
    return {"clips": clips, **facts, "held_out": held_out, **report}


def ship_quality(folder: Path, weights: Path, facts: dict[str, Any]) -> None:
    """Copy the trained model to ``weights/quality``; its card says what `pretrain_quality` returned."""
    home = weights / "quality"
    ship(DOVER.from_pretrained(folder / "quality"), home)
    text = (
        "DOVER at a small width: the technical score falls below the threshold for blurred, noisy and "
        "heavily compressed clips, and for nothing else; the aesthetic score follows a rule of composition "
        "that stands in for people's taste. Trained on clips drawn by "
        "`hummingbird.pretraining.quality_samples` (scenes of the shapes world, and dead leaves) with "
        "`jobs/pretrain.py`. Below, held-out clips of other seeds: for every group the share on the right "
        "side of the threshold, and the 0, 1, 50, 99 and 100 % quantiles of the technical score."
    )
    shown = {key: value for key, value in facts.items() if key != "groups"}
    for name, group in facts["groups"].items():
        quantiles = ", ".join(f"{value:.1f}" for value in group["technical"])
        shown[name] = f"{group['accuracy']:.1%} of {group['clips']}; {quantiles}"
    write_card(home, "Quality model of the shapes world", text, shown)


def make_quality() -> DOVER:
    """The untrained model, started so that a short training suffices."""
    model: DOVER = DOVER(**ARCHITECTURE)
    for name, parameter in model.named_parameters():
        if name.endswith(".gamma"):  # the published 1e-6 is for a training hundreds of times as long
            torch.nn.init.constant_(parameter, 0.1)
    # The norm after the patch embedding hides fine detail behind brightness. So its filters start as the
    # cosine transform of a patch's gray levels, detail amplified; from random ones, blur is learnt too late.
    waves = torch.cos(torch.pi * torch.arange(4)[:, None] * (torch.arange(4) + 0.5) / 4)
    waves = waves / waves.norm(dim=1, keepdim=True)
    orders = sorted(((u, v) for u in range(4) for v in range(4)), key=sum)
    weight = model.technical_backbone.patch_embed.proj.weight.detach()
    weight.mul_(0.2)
    for row, (u, v) in zip(weight, orders, strict=False):
        row += torch.outer(waves[u], waves[v]) / 6 * (12.0 if u + v else 1.0)  # 6: three colors, two frames
    return model


def load_clips(cache: Path, seed: int, count: int, model: DOVER) -> Arrays:
    """The views and labels of the training clips, made on the first call and read from ``cache`` after.

    ``technical`` uint8 (N, clips, 3, T, S, S), ``aesthetic`` uint8 (N, 3, T, S, S), ``sound`` float32 (N,),
    ``composition`` float32 (N,), NaN where a clip has none.
    """
    cache.mkdir(parents=True, exist_ok=True)
    chunks = []
    for start in ProgressBar(range(0, count, _CHUNK), desc="clips", unit=f"{_CHUNK} clips"):
        path = cache / f"seed-{seed}-{start:06d}.safetensors"
        if not path.exists():
            rows = [_row(draw_sample((seed, _TRAIN, i)), model, i) for i in range(start, start + _CHUNK)]
            part = path.with_suffix(".part")
            save_file({key: np.stack([row[key] for row in rows]) for key in rows[0]}, part)
            part.replace(path)
        chunks.append(load_file(path))
    return {key: np.concatenate([chunk[key] for chunk in chunks])[:count] for key in chunks[0]}


def _row(sample: Sample, model: DOVER, seed: int) -> Arrays:
    rng = np.random.default_rng(seed)
    composition = np.nan if sample.composition is None else sample.composition
    return {
        "technical": technical_view(sample.frames, model.views[0], rng).numpy(),
        "aesthetic": aesthetic_view(sample.frames, model.views[1], rng)[0].numpy(),
        "sound": np.array(sample.defect is None, np.float32),
        "composition": np.array(composition, np.float32),
    }


def quality_batch(data: Arrays, seed: int, step: int) -> Batch:
    """A step's rows of the training clips, each with one of its views, varied; as tensors, see `load_clips`."""
    rng = np.random.default_rng((seed, step))
    rows = rng.choice(len(data["sound"]), min(BATCH, len(data["sound"])), replace=False)
    clips = rng.integers(0, data["technical"].shape[1], len(rows))
    return {
        "technical": _varied(torch.from_numpy(data["technical"][rows, clips]), rng),
        "aesthetic": _varied(torch.from_numpy(data["aesthetic"][rows]), rng),
        "sound": torch.from_numpy(data["sound"][rows]),
        "composition": torch.from_numpy(data["composition"][rows]),
    }


def losses_of(model: DOVER, batch: Batch) -> dict[str, Tensor]:
    """Cross-entropy of the technical logit, squared error of the aesthetic score where there is a target."""
    logits = model.technical_map(normalize(batch["technical"])).float().mean((1, 2, 3, 4))
    losses = {"technical": F.binary_cross_entropy_with_logits(logits, batch["sound"])}
    target = batch["composition"]
    has = ~target.isnan()
    if has.any():
        # Depthwise convolutions are slower in half precision on a CPU.
        with torch.autocast("cpu", enabled=False):
            scores = model.aesthetic_map(normalize(batch["aesthetic"][has])).mean((1, 2, 3, 4))
        losses["aesthetic"] = F.mse_loss(scores, target[has])
    return losses


def _varied(views: Tensor, rng: np.random.Generator) -> Tensor:
    """Mirrored, reversed in time, with another order of the colors: quality and composition stay what they are."""
    return views[:, rng.permutation(3).tolist()].flip([axis for axis in (2, 3, 4) if rng.random() < 0.5])


@torch.no_grad()
def fit_fusion(model: DOVER, data: Arrays) -> None:
    """Set the means and deviations of the fusion to those of the scores of (up to 500) training clips."""
    views = {"technical": data["technical"][:500, 0], "aesthetic": data["aesthetic"][:500]}
    for branch, compute in (("technical", model.technical_map), ("aesthetic", model.aesthetic_map)):
        scores = torch.cat([compute(normalize(part)).mean((1, 2, 3, 4)) for part in _parts(views[branch])])
        weight = model.config[f"{branch}_fusion"][0]
        fusion = (weight, round(scores.mean().item(), 4), round(scores.std().item(), 4))
        model.register_to_config(**{f"{branch}_fusion": fusion})


def _parts(views: NDArray[Any]) -> Iterator[Tensor]:
    for start in range(0, len(views), 50):
        yield torch.from_numpy(views[start : start + 50])


def judge(model: DOVER, seed: int, count: int) -> dict[str, Any]:
    """Accuracy at the threshold and score quantiles on ``count`` held-out clips, whole and a group.

    A group is a world and a defect, or the sound clips with one distractor. Quantiles: 0, 1, 50, 99, 100 %.
    """
    rows = []
    for index in ProgressBar(range(count), desc="held-out clips", unit="clip"):
        sample = draw_sample((seed, _HELD_OUT, index))
        rows.append((sample, model.score(sample.frames, seed=index)))
    threshold = model.config["threshold"]
    right = np.array(
        [(scores["technical"] > threshold) == (sample.defect is None) for sample, scores in rows]
    )
    technical = np.array([scores["technical"] for _, scores in rows])
    groups: dict[str, list[int]] = {}
    for index, (sample, _) in enumerate(rows):
        groups.setdefault(sample.group, []).append(index)
        if sample.defect is None and sample.distractor:
            groups.setdefault(f"sound, {sample.distractor}", []).append(index)
    pairs = np.array(
        [(x.composition, scores["aesthetic"]) for x, scores in rows if x.composition is not None]
    )
    return {
        "accuracy": round(float(right.mean()), 4),
        "threshold": threshold,
        "aesthetic_correlation": round(float(np.corrcoef(pairs.T)[0, 1]), 4),
        "groups": {
            name: {
                "clips": len(members),
                "accuracy": round(float(right[members].mean()), 4),
                "technical": np.quantile(technical[members], (0, 0.01, 0.5, 0.99, 1)).round(2).tolist(),
            }
            for name, members in sorted(groups.items())
        },
    }
