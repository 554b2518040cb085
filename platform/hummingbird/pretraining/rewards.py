"""The image-text and the video-text reward, trained on drawn clips against the text encoder as it is."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import CLIPTextModel, PreTrainedTokenizerFast

from hummingbird.config.settings import Settings
from hummingbird.core.devices import resolve_device
from hummingbird.models.rewards import TextVideoScorer
from hummingbird.pretraining.card import weights_folder
from hummingbird.pretraining.method import pretrain_network
from hummingbird.pretraining.prefetch import drawn_batches
from hummingbird.pretraining.text import LENGTH, text_config
from hummingbird.shapes.scene import (
    BACKGROUNDS,
    COLORS,
    FPS,
    FRAMES,
    MOTIONS,
    RELATIONS,
    SHAPES,
    Attributes,
    Scene,
    format_caption,
    render,
    sample_scene,
)
from hummingbird.training.latent_cache import Batch
from hummingbird.training.methods.base import TrainingStep

BATCH, NEGATIVES, SCORED_FRAMES = 32, 7, 8
SCALE = 20.0  # of the similarities, in the loss


def attributes_of(scene: Scene) -> Attributes:
    return Attributes(
        tuple((o.color, o.shape) for o in scene.objects), scene.motion, scene.background, scene.relation
    )


def changed(a: Attributes, rng: np.random.Generator, visible: bool) -> Attributes:
    """The same with one attribute changed; ``visible``: one that a single frame shows."""
    kinds = ["color", "shape", "background"] + ([] if visible else ["motion"] * 2)
    kinds += ["relation", "swap"] if a.relation else []
    kind = str(rng.choice(kinds))
    objects = [list(o) for o in a.objects]
    which = int(rng.integers(len(objects)))
    if kind == "color":
        objects[which][0] = _other(COLORS, objects[which][0], rng)
    elif kind == "shape":
        objects[which][1] = _other(SHAPES, objects[which][1], rng)
    elif kind == "swap":
        # Which of the two is first, in other words: who is left of whom.
        objects.reverse()
    values: dict[str, Any] = {
        "background": _other(BACKGROUNDS, a.background, rng) if kind == "background" else a.background,
        "motion": _other(MOTIONS, a.motion, rng) if kind == "motion" else a.motion,
        "relation": _other(RELATIONS, a.relation, rng) if kind == "relation" and a.relation else a.relation,
    }
    return replace(a, objects=tuple((o[0], o[1]) for o in objects), **values)


def _other(names: Any, name: str, rng: np.random.Generator) -> str:
    return str(rng.choice([n for n in names if n != name]))


def video_batch(seed: int, count: int, negatives: int, step: int) -> Batch:
    """Drawn videos and captions for them.

    Returns:
        ``videos``, uint8 (count, 8, SIZE, SIZE, 3), ``truth``, what they show, and captions ``image_texts`` for frames
        and ``video_texts`` for videos: of each 1 + negatives the first is true, the others differ from it in one
        attribute.
    """
    rng = np.random.default_rng((seed, step))
    videos, truth = [], []
    texts: dict[bool, list[str]] = {True: [], False: []}
    times = np.linspace(0, FRAMES - 1, SCORED_FRAMES).round() / FPS
    for _ in range(count):
        scene = sample_scene(rng, duration=float(rng.uniform(2.0, 3.6)))
        start = rng.uniform(0, scene.duration - FRAMES / FPS + 1e-3)
        videos.append(render(scene, times + start))
        truth.append(attributes_of(scene))
        for visible, list_ in texts.items():
            list_ += [format_caption(truth[-1])]
            list_ += [format_caption(changed(truth[-1], rng, visible)) for _ in range(negatives)]
    return {
        "videos": np.stack(videos),
        "truth": truth,
        "image_texts": texts[True],
        "video_texts": texts[False],
    }


def _pixels(videos: NDArray[np.uint8], generator: torch.Generator) -> Tensor:
    """(B, T, 3, H, W) in 0..1, on the generator's device.

    What is scored later comes out of a decoder: a little noise and other brightness must not matter.
    """
    device = generator.device
    pixels = torch.from_numpy(videos).to(device).permute(0, 1, 4, 2, 3).float() / 255
    noise = torch.randn(pixels.shape, generator=generator, device=device)
    light = torch.rand((len(pixels), 1, 1, 1, 1), generator=generator, device=device)
    return pixels + 0.03 * noise + 0.05 * (light - 0.5)


class _Attributes(nn.Module):
    """Reads attributes from an embedding; thrown away after training.

    The same layer reads frames or videos and their texts, which pulls the two together and gives every
    attribute a gradient of its own long before the comparison of captions does.
    """

    def __init__(self, size: int, motion: bool) -> None:
        super().__init__()
        self.pairs = nn.Linear(size, len(COLORS) * len(SHAPES))
        self.background = nn.Linear(size, len(BACKGROUNDS))
        self.motion = nn.Linear(size, len(MOTIONS)) if motion else None

    def loss(self, embedding: Tensor, truth: Sequence[Attributes]) -> Tensor:
        """Embeddings (B, E), unit vectors, and what they stand for."""
        x = embedding * SCALE
        present = torch.zeros(len(truth), len(COLORS) * len(SHAPES))
        for row, a in enumerate(truth):
            for color, shape in a.objects:
                present[row, list(COLORS).index(color) * len(SHAPES) + SHAPES.index(shape)] = 1
        loss = 4 * F.binary_cross_entropy_with_logits(self.pairs(x), present.to(x.device))
        loss = loss + F.cross_entropy(
            self.background(x), _index(BACKGROUNDS, [a.background for a in truth], x)
        )
        if self.motion is not None:
            loss = loss + F.cross_entropy(self.motion(x), _index(MOTIONS, [a.motion for a in truth], x))
        return loss


def _index(names: Sequence[str], values: Sequence[str], like: Tensor) -> Tensor:
    return torch.tensor([names.index(value) for value in values], device=like.device)


def pretrain_rewards(folder: Path, settings: Settings) -> dict[str, float]:
    """Train the scorer and save it as ``folder/rewards``, with its tokenizer; its text encoder is the shipped one.

    Returns:
        Training facts, and on clips of another seed how often the true caption scores above seven that differ in one
        attribute, for frames and for videos.
    """
    seed, s = settings.seed, settings.pretrain
    torch.manual_seed(seed)
    device, components = resolve_device(s.device, "pretrain.device"), weights_folder(settings) / "components"
    tokenizer = PreTrainedTokenizerFast.from_pretrained(components / "tokenizer")
    encoder = CLIPTextModel.from_pretrained(components / "text_encoder", dtype=torch.float32)
    scorer = TextVideoScorer(text=text_config(len(tokenizer)))
    if s.start:
        scorer.load_state_dict(TextVideoScorer.from_pretrained(s.start).state_dict())
    scorer.text_encoder.load_state_dict(encoder.state_dict())
    scorer.text_encoder.requires_grad_(False)

    heads = nn.ModuleList([_Attributes(128, motion=False), _Attributes(128, motion=True)])
    both = nn.ModuleList([scorer, heads]).to(device)

    def embed(batch: Batch, generator: torch.Generator) -> tuple[list[Tensor], list[Tensor]]:
        """Embeddings of one frame of each video and of the videos (count, E), of their texts (count, 1 + n, E)."""
        video, image_texts, video_texts = (batch[key] for key in ("videos", "image_texts", "video_texts"))
        count, video = len(video), _pixels(video, generator)
        tokens = tokenizer(
            [*image_texts, *video_texts], padding="max_length", max_length=LENGTH, return_tensors="pt"
        )
        ids, mask = tokens["input_ids"].to(device), tokens["attention_mask"].to(device)
        half = len(image_texts)
        texts = [
            scorer.embed_text(ids[:half], mask[:half])[0].unflatten(0, (count, -1)),
            scorer.embed_text(ids[half:], mask[half:])[1].unflatten(0, (count, -1)),
        ]
        frame = video[torch.arange(count), torch.arange(count) % video.shape[1]]
        return [scorer.embed_frames(frame), scorer.embed_video(video)], texts

    def losses(step: TrainingStep) -> dict[str, Tensor]:
        seen, texts = embed(step.batch, step.generator)
        truth = step.batch["truth"]
        first = torch.zeros(len(truth), dtype=torch.long, device=device)
        terms = {}
        head: Any
        for name, head, x, text in zip(("image", "video"), heads, seen, texts, strict=True):
            terms[name] = F.cross_entropy(SCALE * torch.einsum("be,bne->bn", x, text), first)
            terms[f"{name}_attributes"] = 0.5 * (head.loss(x, truth) + head.loss(text[:, 0], truth))
        return terms

    draw = partial(video_batch, seed, BATCH * s.batch_factor, NEGATIVES)
    facts = pretrain_network(both, losses, partial(drawn_batches, draw, s.processes), folder, seed, s)
    scorer.eval()
    with torch.no_grad():
        held_out = video_batch(seed, 400, 7, 2**32)
        seen, texts = embed(held_out, torch.Generator(device).manual_seed(2**32))
        for name, x, text in zip(("image", "video"), seen, texts, strict=True):
            best = torch.einsum("be,bne->bn", x, text).argmax(1)
            facts[f"{name}_right"] = float((best == 0).float().mean())
    scorer.save_pretrained(folder / "rewards")
    tokenizer.save_pretrained(folder / "rewards" / "tokenizer")
    return facts
