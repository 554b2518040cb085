"""The teacher: VideoCrafter2's structure at a small width, trained to denoise the latents of drawn clips."""

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from torch import Tensor

from hummingbird.config.pretrain import PretrainSettings
from hummingbird.config.settings import Settings
from hummingbird.core.devices import resolve_device
from hummingbird.core.files import write_atomically
from hummingbird.core.progress import ProgressBar
from hummingbird.models.architectures import shapes_teacher_config
from hummingbird.models.pipeline import TextToVideoPipeline, load_parts
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.models.stages import UNetSpec
from hummingbird.models.unet import VideoUNet
from hummingbird.pretraining.card import weights_folder
from hummingbird.pretraining.method import Pretraining, pretraining_job, training_facts
from hummingbird.pretraining.prefetch import prefetched
from hummingbird.shapes.scene import FPS, FRAMES, SECONDS, Scene, caption, render_clip, sample_scene
from hummingbird.training.data import Worker
from hummingbird.training.latent_cache import Batch
from hummingbird.training.methods.base import STUDENT, Denoiser, Method, TrainingStep
from hummingbird.training.trainer import train

IMAGE_BATCH = 64  # single frames a step, on a CPU
CLIP_BATCH = 8  # whole clips a step
ONE_OBJECT = 0.8  # share of clips with one object: two are harder
OFTEN = {"growing": 1.5, "turning": 4.0, "star": 2.0, "cross": 2.0, "triangle": 1.5, "heart": 1.5}
"""Scenes whose captions have these words, which are learned last, are drawn that many times as often. A turning shape
looks different at every place of a clip: as many shapes to learn as frames."""
EMPTY_TEXT = 0.1  # share of samples without a text, for classifier-free guidance
NOISE = {"prediction_type": "v_prediction", "beta_end": 0.02, "shared_noise": 0.75}
"""The noise process. In small clips neighboring latents say the same, so that a motion still shows through noise that
hides it in large ones, and need not be read from the text: hence more noise at the end than VideoCrafter2's 0.012, and
the velocity, which at that end is the signal itself. From noise that frames share, a model of single frames makes clips
whose frames belong together."""
CLIP_RATE = 0.3
"""Of the learning rate, on whole clips: a step has few of them, and at half the rate frames were unlearned."""
GUIDANCE = 3.0  # that the pipeline samples with where a call does not say
SHARD = 200  # clips of a file
LATE = (0.15, 700)
"""This share of the samples, beside what falls there anyway, has timesteps from there on: where things are, and so how
they move, is settled there."""
OBJECT_WEIGHT, SETTLED = 10.0, 750
"""Errors where objects are count this many times, but not at timesteps from ``SETTLED`` on: where it is not yet known
where they will be, the weight would make them appear too large."""
SATURATED = 70  # least range of an object's colors, 0 to 255: backgrounds are nearly gray
FIRST_PLACE_SHARE, PLACE_SHARE = 0.1, 0.035
"""Of the steps on single frames: those on clips' first frames alone, and those until each further frame is added."""


def draw_clips(seed: int, shard: int) -> tuple[NDArray[np.uint8], list[str]]:
    """The clips of a shard, uint8 (SHARD, FRAMES, SIZE, SIZE, 3), and their captions."""
    rng = np.random.default_rng((seed, shard))
    scenes = [draw_scene(rng) for _ in range(SHARD)]
    return np.stack([render_clip(scene) for scene in scenes]), [caption(scene) for scene in scenes]


def draw_scene(rng: np.random.Generator) -> Scene:
    """A scene of a clip: see ``ONE_OBJECT`` and ``OFTEN``."""
    objects = 1 if rng.random() < ONE_OBJECT else 2
    most = math.prod(sorted(OFTEN.values())[-1 - objects :])  # a motion and the objects' shapes
    while True:
        scene = sample_scene(rng, objects, duration=float(rng.uniform(*SECONDS)))
        if rng.random() * most < math.prod(OFTEN.get(word, 1.0) for word in set(caption(scene).split())):
            return scene


def find_objects(clips: NDArray[np.uint8], height: int, width: int) -> Tensor:
    """Which of ``height`` by ``width`` cells of each frame show some of an object, bool (B, T, height, width).

    clips: uint8 (B, T, H, W, 3), whose height and width are multiples of the cells'.
    """
    saturated = torch.from_numpy(clips.max(-1) - clips.min(-1) > SATURATED)
    cells = saturated.unflatten(3, (width, -1)).unflatten(2, (height, -1))
    return cells.any(-1).any(-2)


def encode_clips(
    pipeline: TextToVideoPipeline, folder: Path, seed: int, count: int, processes: int = 0
) -> tuple[Tensor, Tensor, list[str]]:
    """Drawn clips as latents (count, T, C, h, w) float16, where objects are (count, T, h, w) bool, and captions.

    They are kept in ``folder`` shard by shard.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shards, captions = [], []
    with prefetched(partial(draw_clips, seed), processes) as draw:
        for shard in ProgressBar(range(math.ceil(count / SHARD)), desc="latents", unit="shard"):
            path, texts = folder / f"clips-{seed}-{shard}.safetensors", folder / f"clips-{seed}-{shard}.json"
            if not path.exists():
                clips, shown = draw(shard)
                latents = pipeline.encode_frames(clips.reshape(-1, *clips.shape[2:])).half()
                write_atomically(texts, json.dumps(shown).encode())
                tensors = {
                    "latents": latents.unflatten(0, clips.shape[:2]).cpu().contiguous(),
                    "objects": find_objects(clips, *latents.shape[-2:]),
                }
                write_atomically(path, save(tensors))
            shards.append(load_file(path))
            captions += json.loads(texts.read_text(encoding="utf-8"))
    latents, objects = (
        torch.cat([shard[name] for shard in shards])[:count] for name in ("latents", "objects")
    )
    return latents, objects, captions[:count]


def draw_timesteps(count: int, generator: torch.Generator) -> Tensor:
    """Timesteps (count,) of 0 to 999, spread evenly, but a share (see ``LATE``) over the noisier end alone."""
    device = generator.device
    share, first = LATE
    # One from each of ``count`` equal ranges: less variance than independent ones.
    spread = (
        (torch.rand(1, generator=generator, device=device) + torch.arange(count, device=device)) / count % 1
    )
    spread = spread[torch.randperm(count, generator=generator, device=device)] * 1000
    late = torch.rand(count, generator=generator, device=device) < share
    return torch.where(late, first + spread * (1 - first / 1000), spread).long()


def known_places(step: int, steps: int) -> int:
    """How many of a clip's frames, from its first, single frames are taken from at a step of so many.

    A motion's word alone says where things are in the first frame, which is soon learned. What it says of a later
    one depends on the frame's place as well. Shown all places at once, a model learned nothing of it in 500 steps,
    since neither word nor place says anything by itself; shown one place more every 60 steps, it did.
    """
    return min(FRAMES, 1 + max(0, int((step / steps - FIRST_PLACE_SHARE) / PLACE_SHARE)))


def image_teacher() -> dict[str, Any]:
    """The teacher without what mixes frames: it learns shapes, colors and text from single frames."""
    config = shapes_teacher_config()
    spec = replace(UNetSpec.of(config), first_temporal_heads=0)
    for name, _, _ in list(spec.layers()):
        spec = spec.replaced(name, temporal_attention=False, temporal_conv=False)
    return spec.changed(config)


def with_images(unet: VideoUNet, images: VideoUNet) -> None:
    """Copy what ``images`` learned into ``unet``, whose layers over time stay as they start: adding nothing."""
    learned = {key: value for key, value in images.state_dict().items() if ".temp_" not in key}
    unet.load_state_dict(learned, strict=False)


def denoising_loss(
    unet: Callable[..., Tensor],
    diffusion: VideoScheduler,
    x0: Tensor,
    text: Tensor,
    places: Tensor,
    objects: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Mean squared error of what the model is to predict, weighted towards objects (see ``OBJECT_WEIGHT``).

    x0: latents (B, C, T, h, w); text: embeddings (B, L, D); places (B, T); objects: where they are (B, T, h, w);
    all on the generator's device.
    """
    t = draw_timesteps(len(x0), generator)
    noise = diffusion.draw_noise(x0.shape, generator)
    fps = torch.full((len(x0),), float(FPS), device=x0.device)
    predicted = unet(diffusion.add_noise(x0, noise, t), t, text, fps, places=places)
    error = (predicted.float() - diffusion.target(x0, noise, t)).square().mean(1)
    weight = 1 + (OBJECT_WEIGHT - 1) * (objects & (t < SETTLED)[:, None, None, None])
    return (weight * error).sum() / weight.sum()


def pretrain_teacher(folder: Path, settings: Settings) -> dict[str, float]:
    """Train the teacher on ``pretrain.clips`` drawn clips and save its U-Net as ``folder/unet``.

    What a text says of a frame at its place in the clip is learned on single frames; what only frames together
    show, on whole clips, which cost most. Frames that go through the whole U-Net one by one teach it as well: clips
    are then drawn with what their frames alone were taught.

    ``pretrain.steps`` and ``minutes`` are of the whole clips, the rate is of single frames (see ``CLIP_RATE``);
    ``image_steps`` are on single frames: of a model without layers over time, or, from ``start``, of the whole U-Net.
    """
    seed, s, parts = settings.seed, settings.pretrain, weights_folder(settings) / "teacher"
    if s.workers > 1:  # once, for all of them
        pipeline = _pipeline(parts, resolve_device(s.device, "pretrain.device"))
        encode_clips(pipeline, folder / "latents", seed, s.clips, s.processes)
    data = partial(clip_batches, folder / "latents", parts, seed, s)
    facts: dict[str, float] = {"clips": s.clips}
    images = None
    if s.image_steps:
        job = pretraining_job(
            partial(build_teacher, partial(image_unet, s.start), "frames", seed),
            partial(data, True),
            folder / "images",
            seed,
            s.model_copy(update={"steps": s.image_steps, "minutes": None}),
        )
        images = train(job, settings.ray)
        facts |= {f"images_{key}": value for key, value in training_facts(job.folder).items()}
    job = pretraining_job(
        partial(build_teacher, partial(clip_unet, s.start, images), "clips", seed),
        partial(data, False),
        folder,
        seed,
        s.model_copy(update={"learning_rate": CLIP_RATE * s.learning_rate}),
    )
    train(job, settings.ray)
    return facts | training_facts(folder)


def image_unet(start: Path | None) -> VideoUNet:
    """What single frames train: the U-Net of ``start``, or one without layers over time."""
    if start:
        return _load_unet(start)
    unet = VideoUNet(**image_teacher())
    for name, parameter in unet.named_parameters():
        # The middle block has layers over time all the same, which have nothing to learn here.
        parameter.requires_grad_(".temp_" not in name)
    return unet


def clip_unet(start: Path | None, images: Path | None) -> VideoUNet:
    """What whole clips train: the U-Net that single frames trained, or else the one of ``start``, or an untrained
    one."""
    if start:
        return _load_unet(images or start)
    unet = VideoUNet(**shapes_teacher_config())
    if images:
        with_images(unet, _load_unet(images))
    return unet


def build_teacher(make: Callable[[], VideoUNet], loss: str, seed: int, device: torch.device) -> Method:
    """The method of every worker: it denoises; its loss has the name ``loss``."""
    torch.manual_seed(seed)
    diffusion = VideoScheduler(**NOISE)

    def losses(step: TrainingStep) -> dict[str, Tensor]:
        unet: Denoiser = step.networks[STUDENT]
        x0, text, places, objects = (step.batch[name] for name in ("latents", "text", "places", "objects"))
        return {loss: denoising_loss(unet, diffusion, x0, text, places, objects, step.generator)}

    return Pretraining(make().to(device), losses)


@contextmanager
def clip_batches(
    folder: Path, parts: Path, seed: int, s: PretrainSettings, single: bool, worker: Worker
) -> Iterator[Callable[[int], Batch]]:
    """A job's data: drawn clips, or single frames of them, at random.

    A batch holds ``latents`` (B, C, T, h, w), ``text`` (B, L, D), ``places`` of the frames in their clips (B, T), and
    ``objects``, where they are (B, T, h, w).

    Args:
        folder: of the clips, see `encode_clips`.
        parts: folder of the teacher's pipeline, for what encodes them.
        single: single frames, of the places known so far (see `known_places`).
    """
    device, pipeline = worker.device, _pipeline(parts, worker.device)
    latents, objects, captions = encode_clips(pipeline, folder, seed, s.clips, s.processes)
    latents, objects = latents.to(device), objects.to(device)
    empty = pipeline.encode_prompts([""])[0]
    text = torch.cat([pipeline.encode_prompts(captions[i : i + 500]).half() for i in range(0, s.clips, 500)])
    count = s.batch_factor * (IMAGE_BATCH if single else CLIP_BATCH)

    def read(step: int) -> Batch:
        rng = np.random.default_rng((seed, step, worker.rank))
        numbers = rng.integers(0, s.clips, (count, 1))
        if single:
            frames = rng.integers(0, known_places(step, s.image_steps), (count, 1))
        else:
            frames = np.tile(np.arange(FRAMES), (count, 1))
        without = rng.random((count, 1, 1)) < EMPTY_TEXT
        rows, places, without_text = (torch.from_numpy(a).to(device) for a in (numbers, frames, without))
        return {
            "latents": latents[rows, places].float().transpose(1, 2),
            "text": torch.where(without_text, empty, text[rows[:, 0]].float()),
            "places": places,
            "objects": objects[rows, places],
        }

    yield read


def _pipeline(parts: Path, device: str | torch.device) -> TextToVideoPipeline:
    return TextToVideoPipeline(unet=VideoUNet(**shapes_teacher_config()), **load_parts(parts)).to(device)


def _load_unet(folder: Path) -> VideoUNet:
    return VideoUNet.from_pretrained(folder, torch_dtype=torch.float32)
