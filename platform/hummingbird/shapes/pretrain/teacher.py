"""The teacher: VideoCrafter2's structure at a small width, trained to denoise the latents of drawn clips."""

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from torch import Tensor
from tqdm import tqdm

from hummingbird.lake.media import write_atomically
from hummingbird.models.architectures import shapes_teacher
from hummingbird.models.diffusion import Diffusion
from hummingbird.models.pipeline import TextToVideoPipeline, load_parts
from hummingbird.models.unet import VideoUNet
from hummingbird.shapes.pretrain.loop import train
from hummingbird.shapes.pretrain.prefetch import prefetched
from hummingbird.shapes.scene import FPS, FRAMES, Attributes, draw_clip, parse_caption

BATCH = {1: 64, 4: 32, FRAMES: 8}
"""Samples a step by their frames, on a CPU: fewer frames show more texts in the same time."""
ONE_OBJECT = 0.8  # share of samples with one object: half of the drawn clips have two, and are harder
EMPTY_TEXT = 0.1  # share of samples without a text, for classifier-free guidance
NOISE = {"prediction": "velocity", "beta_end": 0.02, "shared_noise": 0.75}
"""The noise process. In small clips neighbouring latents say the same, so that a motion still shows through noise that
hides it in large ones, and need not be read from the text: hence more noise at the end than VideoCrafter2's 0.012, and
the velocity, which at that end is the signal itself. With noise that frames share, a model of single frames makes still
clips, so that clips have to teach it motion alone."""
SHARD = 200  # clips of a file


def draw_clips(seed: int, shard: int) -> tuple[NDArray[np.uint8], list[str]]:
    """The clips of a shard, uint8 (SHARD, FRAMES, SIZE, SIZE, 3), and their captions."""
    rng = np.random.default_rng((seed, shard))
    clips, captions = zip(*(draw_clip(rng) for _ in range(SHARD)), strict=True)
    return np.stack(clips), list(captions)


def encode_clips(
    pipeline: TextToVideoPipeline, folder: Path, seed: int, count: int, processes: int = 0
) -> tuple[Tensor, list[str]]:
    """Latents (count, T, C, h, w) float16 and captions of drawn clips, kept in ``folder`` shard by shard."""
    folder.mkdir(parents=True, exist_ok=True)
    shards, captions = [], []
    with prefetched(partial(draw_clips, seed), processes) as drawn:
        for shard in tqdm(range(math.ceil(count / SHARD)), desc="latents", unit="shard"):
            path, texts = folder / f"{seed}-{shard}.safetensors", folder / f"{seed}-{shard}.json"
            if not path.exists():
                clips, found = drawn(shard)
                latents = pipeline.encode_frames(clips.reshape(-1, *clips.shape[2:])).half()
                write_atomically(texts, json.dumps(found).encode())
                tensors = {"latents": latents.unflatten(0, clips.shape[:2]).cpu().contiguous()}
                write_atomically(path, save(tensors))
            shards.append(load_file(path)["latents"])
            captions += json.loads(texts.read_text(encoding="utf-8"))
    return torch.cat(shards)[:count], captions[:count]


def denoising_loss(
    unet: VideoUNet,
    diffusion: Diffusion,
    x0: Tensor,
    text: Tensor,
    generator: torch.Generator,
    fps: float = FPS,
) -> Tensor:
    """Mean squared error of what the model is to predict.

    x0: latents (B, C, T, h, w); text: embeddings (B, L, D); both on the generator's device.
    """
    count, device = len(x0), generator.device
    # One timestep from each of ``count`` equal ranges: less variance than independent ones.
    t = (
        (torch.rand(1, generator=generator, device=device) + torch.arange(count, device=device))
        / count
        % 1
        * diffusion.config.timesteps
    ).long()
    t = t[torch.randperm(count, generator=generator, device=device)]
    noise = diffusion.draw_noise(x0.shape, generator)
    made = unet(diffusion.add_noise(x0, noise, t), t, text, torch.full((count,), float(fps), device=device))
    return (made.float() - diffusion.target(x0, noise, t)).square().mean()


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
    device: str = "cpu",
    batch_factor: int = 1,
    processes: int = 0,
) -> dict[str, float]:
    """Train the teacher on ``clips`` drawn clips and save its U-Net as ``folder/unet``.

    What a text says of a single frame is learned on single frames, what it says of motion on clips of four frames
    half a second apart, and only the rest on whole clips, which cost most.

    Args:
        components: folder ``components`` with autoencoder, small decoder, text encoder and tokenizer.
        minutes: of training on whole clips.
        start: folder of a U-Net whose training is taken up with a fresh optimizer.
        image_steps: steps on single frames; not with ``start``.
        sparse_steps: steps on clips of four frames; not with ``start``.
        batch_factor: how many times the samples of ``BATCH`` a step takes.
        processes: that draw clips beside the encoding.
    """
    torch.manual_seed(seed)
    unet = (
        VideoUNet.from_pretrained(start, torch_dtype=torch.float32)
        if start
        else VideoUNet(**shapes_teacher())
    )
    pipeline = TextToVideoPipeline(unet=unet, **load_parts(components.parent / "teacher")).to(device)
    latents, captions = encode_clips(pipeline, folder / "latents", seed, clips, processes)
    latents = latents.to(device)
    empty = pipeline.encode_prompts([""])[0]
    texts = torch.cat([pipeline.encode_prompts(captions[i : i + 500]).half() for i in range(0, clips, 500)])
    diffusion = Diffusion(**NOISE)
    single = torch.tensor([len(_parsed(text).objects) == 1 for text in captions])
    odds = torch.where(single, ONE_OBJECT / single.sum(), (1 - ONE_OBJECT) / (~single).sum()).to(device)

    def losses(trained: VideoUNet, frames: int, step: int) -> dict[str, Tensor]:
        generator = torch.Generator(device).manual_seed(seed * 1_000_003 + step)
        count, stride = BATCH[frames] * batch_factor, FRAMES // frames
        rows = torch.multinomial(odds, count, replacement=True, generator=generator)[:, None]
        first = torch.randint(0, stride, (count, 1), generator=generator, device=device)
        x0 = latents[rows, first + stride * torch.arange(frames, device=device)].float().transpose(1, 2)
        text = texts[rows[:, 0]].float()
        dropped = torch.rand((count, 1, 1), generator=generator, device=device) < EMPTY_TEXT
        text = torch.where(dropped, empty, text)
        return {"noise": denoising_loss(trained, diffusion, x0, text, generator, FPS / stride)}

    facts: dict[str, float] = {}
    for name, frames, count in (("images", 1, image_steps), ("sparse", 4, sparse_steps)):
        if start or not count:
            continue
        model = VideoUNet(**image_teacher()).to(device) if frames == 1 else unet
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
