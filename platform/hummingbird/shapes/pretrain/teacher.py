"""The teacher: VideoCrafter2's structure at a small width, trained to denoise the latents of drawn clips."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from hummingbird.models.architectures import shapes_teacher
from hummingbird.models.diffusion import Diffusion
from hummingbird.models.pipeline import TextToVideoPipeline, load_parts
from hummingbird.models.unet import VideoUNet
from hummingbird.shapes.pretrain.loop import train
from hummingbird.shapes.scene import FPS, FRAMES, Attributes, caption, parse_caption, render, sample_scene

BATCH = {1: 64, 4: 32, FRAMES: 8}
"""Samples a step by their frames: fewer frames show more texts in the same time."""
ONE_OBJECT = 0.8  # share of samples with one object: half of the drawn clips have two, and are harder
EMPTY_TEXT = 0.1  # share of samples without a text, for classifier-free guidance
SNR_CAP = 5.0
NOISE_CAP = 10.0
SHARD = 1000


def encode_clips(
    pipeline: TextToVideoPipeline, folder: Path, seed: int, count: int
) -> tuple[Tensor, list[str]]:
    """Latents (count, T, C, h, w) float16 and captions of drawn clips, kept in ``folder`` shard by shard."""
    folder.mkdir(parents=True, exist_ok=True)
    shards, captions = [], []
    for start in tqdm(range(0, count, SHARD), desc="latents", unit="shard"):
        rng = np.random.default_rng((seed, start))
        path = folder / f"{seed}-{start}.safetensors"
        latents = []
        for _ in range(SHARD):
            scene = sample_scene(rng, duration=float(rng.uniform(2.0, 3.6)))
            offset = rng.uniform(0, scene.duration - FRAMES / FPS + 1e-3)
            captions.append(caption(scene))
            if not path.exists():
                frames = render(scene, offset + np.arange(FRAMES) / FPS)
                latents.append(pipeline.encode_frames(frames).half())
        if latents:
            save_file({"latents": torch.stack(latents).contiguous()}, path.with_suffix(".tmp"))
            path.with_suffix(".tmp").rename(path)
        shards.append(load_file(path)["latents"])
    return torch.cat(shards)[:count], captions[:count]


def denoising_loss(
    unet: VideoUNet,
    diffusion: Diffusion,
    x0: Tensor,
    text: Tensor,
    generator: torch.Generator,
    fps: float = FPS,
) -> Tensor:
    """Squared error of the predicted noise, weighted by min(SNR, cap) / SNR (arXiv 2303.09556) and, where there is
    more noise than signal, by up to ``NOISE_CAP``: there it is decided where things are and how they move, and the
    noise is easy to predict without knowing.

    x0: latents (B, C, T, h, w); text: embeddings (B, L, D).
    """
    count = len(x0)
    # One timestep from each of ``count`` equal ranges: less variance than independent ones.
    t = (
        (torch.rand(1, generator=generator) + torch.arange(count)) / count % 1 * diffusion.config.timesteps
    ).long()
    t = t[torch.randperm(count, generator=generator)]
    noise = diffusion.draw_noise(x0.shape, generator)
    made = unet(diffusion.add_noise(x0, noise, t), t, text, torch.full((count,), float(fps)))
    alpha = diffusion.alphas[t]
    weight = ((SNR_CAP * (1 - alpha) / alpha).clamp(max=1.0) * (1 / alpha).clamp(max=NOISE_CAP)).float()
    return ((made.float() - noise).square().mean((1, 2, 3, 4)) * weight).mean()


def image_teacher() -> dict[str, Any]:
    """The teacher without what mixes frames: it learns shapes, colours and text from single frames."""
    config = shapes_teacher() | {"first_temporal_heads": 0}
    for layer in (
        layer for end in ("down", "up") for stage in config[f"{end}_stages"] for layer in stage["layers"]
    ):
        layer |= {"temporal_attention": False, "temporal_conv": False}
    return config


def with_images(unet: VideoUNet, images: VideoUNet) -> None:
    """Copy what ``images`` learned into ``unet``, whose layers over time stay as they start: adding nothing."""
    learned = {key: value for key, value in images.state_dict().items() if ".temp_" not in key}
    unet.load_state_dict(learned, strict=False)


def _parsed(text: str) -> Attributes:
    attributes = parse_caption(text)
    assert attributes is not None, text
    return attributes


def pretrain_teacher(
    folder: Path,
    components: Path,
    seed: int,
    steps: int,
    clips: int,
    minutes: float | None = None,
    lr: float = 1e-3,
    start: Path | None = None,
    image_steps: int = 0,
    sparse_steps: int = 0,
) -> dict[str, float]:
    """Train the teacher on ``clips`` drawn clips and save its U-Net as ``folder/unet``.

    What a text says of a single frame is learned on single frames, what it says of motion on clips of four frames
    half a second apart, and only the rest on whole clips, which cost most.

    Args:
        components: folder ``components`` with autoencoder, small decoder, text encoder, tokenizer and scheduler.
        minutes: of training on whole clips.
        start: folder of a U-Net whose training is taken up with a fresh optimizer.
        image_steps: steps on single frames; not with ``start``.
        sparse_steps: steps on clips of four frames; not with ``start``.
    """
    torch.manual_seed(seed)
    unet = (
        VideoUNet.from_pretrained(start, torch_dtype=torch.float32)
        if start
        else VideoUNet(**shapes_teacher())
    )
    pipeline = TextToVideoPipeline(unet=unet, **load_parts(components.parent / "teacher"))
    latents, captions = encode_clips(pipeline, folder / "latents", seed, clips)
    empty = pipeline.encode_prompts([""])[0]
    texts = torch.cat([pipeline.encode_prompts(captions[i : i + 500]).half() for i in range(0, clips, 500)])
    diffusion: Diffusion = pipeline.scheduler
    single = torch.tensor([len(_parsed(text).objects) == 1 for text in captions])
    odds = torch.where(single, ONE_OBJECT / single.sum(), (1 - ONE_OBJECT) / (~single).sum())

    def losses(trained: VideoUNet, frames: int, step: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        count, stride = BATCH[frames], FRAMES // frames
        rows = torch.multinomial(odds, count, replacement=True, generator=generator)[:, None]
        first = torch.randint(0, stride, (count, 1), generator=generator)
        x0 = latents[rows, first + stride * torch.arange(frames)].float().transpose(1, 2)
        text = texts[rows[:, 0]].float()
        text[torch.rand(count, generator=generator) < EMPTY_TEXT] = empty
        return {"noise": denoising_loss(trained, diffusion, x0, text, generator, FPS / stride)}

    facts: dict[str, float] = {}
    for name, frames, count in (("images", 1, image_steps), ("sparse", 4, sparse_steps)):
        if start or not count:
            continue
        model = VideoUNet(**image_teacher()) if frames == 1 else unet
        learned = train(
            model.train(),
            partial(losses, model, frames),
            folder / name,
            steps=count,
            lr=lr,
            checkpoint_every=100,
        )
        facts |= {f"{name}_{key}": value for key, value in learned.items()}
        if model is not unet:
            with_images(unet, model)
    unet.train()
    facts |= train(
        unet,
        partial(losses, unet, FRAMES),
        folder,
        steps=steps,
        lr=lr,
        minutes=minutes,
        checkpoint_every=100,
    )
    unet.save_pretrained(folder / "unet")
    return facts
