"""How much of a style an adapter brings, and what it costs in fidelity to the text."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hummingbird.config.plugins import PluginChoice, resolve_plugin
from hummingbird.core.devices import resolve_device
from hummingbird.core.files import AnyPath
from hummingbird.core.progress import ProgressBar
from hummingbird.models.pipeline import TextToVideoPipeline, load_pipeline
from hummingbird.models.video import seeded_generators, to_uint8, write_mp4
from hummingbird.training.latent_cache import LatentCache
from hummingbird.training.rewards import REWARDS
from hummingbird.training.rewards.base import Reward


@dataclass(frozen=True)
class StylePrompt:
    """``text`` without the trigger, which the base is asked for and both are judged by; ``styled`` with it."""

    text: str
    styled: str


@torch.no_grad()
def style_scores(
    base: str,
    adapter: Path,
    cache: AnyPath,
    judge: PluginChoice,
    prompts: Sequence[StylePrompt],
    folder: Path,
    seed: int,
) -> dict[str, dict[str, float]]:
    """Judges videos of the base and of the base with the adapter, of the same seeds, and writes them to ``folder``.

    Args:
        base: pipeline folder or name.
        adapter: folder.
        cache: latents of the style's clips.
        judge: a reward that embeds frames.

    Returns:
        By ``base`` and ``styled``: ``style``, the mean cosine similarity of frames with those of the clips, and
        ``fidelity``, the judge's mean score of videos and their texts.

    Raises:
        InputError: the judge embeds no frames.
    """
    device = torch.device(resolve_device())
    pipeline = load_pipeline(base).to(device)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_lora_weights(adapter, adapter_name="style")
    plugin = resolve_plugin("customize.judge", judge, REWARDS, Reward)  # type: ignore[type-abstract]
    reward = plugin.build(device)
    latents = LatentCache(cache)
    own = latents.load(latents.samples_of_one_size()[:50])
    clips = [reward.embed(pipeline.decode(one[None].to(device))[0]) for one in own["latents"]]
    target = torch.cat(clips)
    frames, size = own["latents"].shape[2], own["latents"].shape[3:]
    fps = float(own["fps"][0])
    folder.mkdir(parents=True, exist_ok=True)
    scores: dict[str, dict[str, float]] = {}
    for name, scale in (("base", 0.0), ("styled", 1.0)):
        pipeline.set_adapters("style", scale)
        style, fidelity = [], []
        for number, prompt in enumerate(ProgressBar(prompts, desc=f"judge {name}", unit="video")):
            text = prompt.styled if scale else prompt.text
            video = _video(pipeline, text, frames, (int(size[0]), int(size[1])), fps, seed + number)
            style.append(float((reward.embed(video[0]) @ target.T).mean()))
            fidelity.append(float(reward.score(video, [prompt.text]).mean()))
            write_mp4(to_uint8(video[0]), fps, folder / f"{name}-{number}.mp4")
        scores[name] = {"style": sum(style) / len(style), "fidelity": sum(fidelity) / len(fidelity)}
    return scores


def _video(
    pipeline: TextToVideoPipeline, text: str, frames: int, size: tuple[int, int], fps: float, seed: int
) -> Tensor:
    scale = pipeline.family.pixels_per_latent
    output: Any = pipeline(
        text, num_frames=frames, height=size[0] * scale, width=size[1] * scale, fps=fps,
        generator=seeded_generators([seed]), output_type="pt",
    )  # fmt: skip
    frames_out: Tensor = output.frames
    return frames_out
