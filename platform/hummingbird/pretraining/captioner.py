"""The captioner, that writes a clip's caption from a few of its frames.

First the vision tower learns alone, from labels of every patch that the generator knows; then the language model
learns to write the caption of what the tower sees. The heads for those labels are thrown away.
"""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from hummingbird.config.pretrain import PretrainSettings
from hummingbird.config.settings import Settings
from hummingbird.evaluation.curation import stated_attributes
from hummingbird.pretraining.captioner_model import (
    IMAGES,
    PATCH,
    QUESTION,
    make_captioner,
    make_processor,
    prompt,
)
from hummingbird.pretraining.captioner_samples import OUTLINE, LabeledClips, coded_clip, written_caption
from hummingbird.pretraining.card import ship, write_card
from hummingbird.pretraining.method import pretrain_network
from hummingbird.pretraining.prefetch import drawn_batches
from hummingbird.shapes.scene import (
    BACKGROUNDS,
    COLORS,
    MOTIONS,
    RELATIONS,
    SHAPES,
    SIZE,
    parse_caption,
)
from hummingbird.training.latent_cache import Batch
from hummingbird.training.methods.base import TrainingStep

BATCH, FRAME_BATCH = 16, 64
VISION_SHARE = 0.45  # of the training time


class _Heads(nn.Module):
    """What every patch learns beside the caption."""

    def __init__(self, vision: int, text: int) -> None:
        super().__init__()
        sizes = {
            "color": len(COLORS) + 1,
            "shape": len(SHAPES),
            "background": len(BACKGROUNDS),
            "geometry": 3,
        }
        sizes["silhouette"] = OUTLINE * OUTLINE
        self.norm, self.text_norm = nn.LayerNorm(vision), nn.LayerNorm(text)
        self.heads = nn.ModuleDict({name: nn.Linear(vision, size) for name, size in sizes.items()})
        self.text_heads = nn.ModuleDict(
            {"motion": nn.Linear(text, len(MOTIONS)), "relation": nn.Linear(text, len(RELATIONS) + 1)}
        )

    def vision_losses(self, features: Tensor, batch: LabeledClips) -> dict[str, Tensor]:
        """Of patches (N, patches, C): what is there, and where and how large the whole object is."""
        features, on = self.norm(features), batch.on_object
        losses = {
            "color": F.cross_entropy(
                self.heads["color"](features).flatten(0, 1).float(), batch.labels["color"].flatten()
            ),
            "shape": F.cross_entropy(self.heads["shape"](features[on]).float(), batch.labels["shape"][on]),
            "background": F.cross_entropy(
                self.heads["background"](features).flatten(0, 1).float(), batch.labels["background"].flatten()
            ),
            "geometry": 2
            * F.smooth_l1_loss(self.heads["geometry"](features[on]).float(), batch.geometry[on], beta=0.2),
            "silhouette": 2
            * F.binary_cross_entropy_with_logits(
                self.heads["silhouette"](features[on]).float(), batch.silhouette
            ),
        }
        return losses

    def text_losses(self, states: Tensor, batch: LabeledClips, images: int) -> dict[str, Tensor]:
        """Of the language model's states (B, images * patches, C), at the objects in the later images."""
        on = batch.on_object.unflatten(0, (-1, images))[:, 1:]
        states = self.text_norm(states.unflatten(1, (images, -1))[:, 1:][on])
        losses = {}
        for name, head in self.text_heads.items():
            labels = batch.labels[name].unflatten(0, (-1, images))[:, 1:]
            losses[name] = F.cross_entropy(head(states).float(), labels[on])
        return losses


class _CaptionerWithHeads(nn.Module):
    def __init__(self, captioner: LlavaForConditionalGeneration) -> None:
        super().__init__()
        self.captioner = captioner
        self.heads = _Heads(
            captioner.config.vision_config.hidden_size, captioner.config.text_config.hidden_size
        )


def _caption_losses(
    trained: _CaptionerWithHeads, processor: LlavaProcessor, batch: LabeledClips
) -> dict[str, Tensor]:
    """The next word of the caption, and with less weight the motion and relation at every patch of an object."""
    tokenizer, model = processor.tokenizer, trained.captioner.model
    one = prompt(processor).replace("<image>", "<image>" * (SIZE // PATCH) ** 2)
    asked = torch.tensor(tokenizer(one, add_special_tokens=False)["input_ids"])
    answers = tokenizer(
        [written_caption(s) + " <eos>" for s in batch.scenes], padding=True, return_tensors="pt"
    )["input_ids"]
    ids = torch.cat([asked.expand(len(answers), -1), answers], 1)
    with torch.no_grad():
        states = model.vision_tower(batch.pixels).last_hidden_state[:, 1:]
    seen = model.multi_modal_projector(states)
    embeds = model.language_model.embed_tokens(ids)
    images = seen.shape[0] * seen.shape[1] // len(ids)
    embeds = torch.cat([seen.reshape(len(ids), images, -1).to(embeds.dtype), embeds[:, images:]], 1)
    out = model.language_model(inputs_embeds=embeds, use_cache=False, output_hidden_states=True)
    logits = trained.captioner.lm_head(out.last_hidden_state[:, len(asked) - 1 : -1]).float()
    target = answers.masked_fill(answers == tokenizer.pad_token_id, -100)
    losses = {"caption": 2 * F.cross_entropy(logits.flatten(0, 1), target.flatten())}
    # One layer before the last, which can then carry it from the patches to the words.
    image_states = out.hidden_states[-2][:, :images]
    return losses | {k: 0.5 * v for k, v in trained.heads.text_losses(image_states, batch, IMAGES).items()}


def labeled_batch(seed: int, stage: int, count: int, images: int, step: int) -> Batch:
    """``clips`` of a training step, see `LabeledClips`."""
    return {"clips": LabeledClips((seed, stage, step), count, images)}


def pretrain_captioner(folder: Path, settings: Settings, *, clips: int = 400) -> dict[str, Any]:
    """Train the captioner on the CPU and save it with its processor, in half precision, as ``folder/captioner``.

    Goes on from the checkpoints in ``folder`` where the same call was stopped. ``pretrain.steps`` bounds each of the
    two stages; ``pretrain.minutes`` is the time for both; ``clips`` are scored.

    Returns:
        Training facts, and the scores of :func:`score_captioner` on clips of another seed.
    """
    seed, s = settings.seed, settings.pretrain
    torch.manual_seed(seed)
    processor = make_processor()
    trained = _CaptionerWithHeads(make_captioner(processor))
    trained.captioner.set_attn_implementation("lean")
    vision = nn.ModuleDict({"tower": trained.captioner.model.vision_tower, "heads": trained.heads})

    def vision_losses(step: TrainingStep) -> dict[str, Tensor]:
        batch = step.batch["clips"]
        return trained.heads.vision_losses(vision["tower"](batch.pixels).last_hidden_state[:, 1:], batch)

    def caption_losses(step: TrainingStep) -> dict[str, Tensor]:
        return _caption_losses(trained, processor, step.batch["clips"])

    def stage_settings(learning_rate: float, share: float) -> PretrainSettings:
        minutes = None if s.minutes is None else share * s.minutes
        return s.model_copy(update={"learning_rate": learning_rate, "minutes": minutes, "device": "cpu"})

    first = pretrain_network(
        vision,
        vision_losses,
        partial(drawn_batches, partial(labeled_batch, seed, 1, FRAME_BATCH // 2, 2), s.processes),
        folder / "vision",
        seed,
        stage_settings(1.5e-3, VISION_SHARE),
    )
    # It sees well by now; to leave it as it is halves the rest of the work.
    trained.captioner.model.vision_tower.requires_grad_(False)
    second = pretrain_network(
        trained,
        caption_losses,
        partial(drawn_batches, partial(labeled_batch, seed, 2, BATCH, IMAGES), s.processes),
        folder / "language",
        seed,
        stage_settings(2e-3, 1 - VISION_SHARE),
        warmup_steps=80,
    )
    facts: dict[str, Any] = {
        "parameters": sum(p.numel() for p in trained.captioner.parameters()),
        "vision_steps": first["steps"],
        "steps": second["steps"],
        "minutes": (first["seconds"] + second["seconds"]) / 60,
        "caption_loss": second["caption"],
    }
    trained.captioner.eval().set_attn_implementation("sdpa")
    save_captioner(trained.captioner, processor, folder / "captioner")
    facts |= score_captioner(folder / "captioner", clips=clips, seed=seed + 1)
    return facts


def save_captioner(model: LlavaForConditionalGeneration, processor: LlavaProcessor, folder: Path) -> None:
    """Save the model in float16 and its processor into one folder, as transformers and vLLM load it."""
    ship(model, folder)
    processor.save_pretrained(folder)
    # transformers 5 leaves out a level of the tower's names, which it still reads and vLLM insists on.
    path, level = folder / "model.safetensors", "vision_tower."
    tensors = {k.replace(level, f"{level}vision_model.", 1): v for k, v in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})


def ship_captioner(folder: Path, weights: Path, facts: dict[str, Any]) -> None:
    """Copy a trained captioner and its processor to ``weights/captioner``, and write its card."""
    shutil.copytree(folder / "captioner", weights / "captioner", dirs_exist_ok=True)
    text = (
        f"`LlavaForConditionalGeneration` that captions a clip of the shapes world from {IMAGES} frames at even "
        f"distances. Prompt: the chat template with {IMAGES} images and the text `{QUESTION}`. Trained on scenes drawn "
        "by `hummingbird.shapes.scene`, on a seed of its own, by `hummingbird.pretraining.captioner`. "
        "Scores: share of true attributes stated, over clips of another seed that went through H.264 at 128 to "
        "256 pixels; `captions_right`: all of a clip's."
    )
    write_card(weights / "captioner", "Captioner of the shapes world", text, facts)


@torch.inference_mode()
def write_captions(
    model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    clips: Sequence[NDArray[np.uint8]],
    batch: int = 16,
) -> list[str]:
    """Captions of clips given as frames (IMAGES, H, W, 3) uint8 each, by greedy generation."""
    texts: list[str] = []
    for start in range(0, len(clips), batch):
        some = clips[start : start + batch]
        inputs = processor(
            images=[list(frames) for frames in some],
            text=[prompt(processor)] * len(some),
            return_tensors="pt",
        )
        tokens = model.generate(**inputs, do_sample=False, max_new_tokens=32)
        texts += processor.batch_decode(tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return texts


def score_captioner(folder: Path, clips: int, seed: int) -> dict[str, float]:
    """Scores of the captioner in ``folder`` on ``clips`` clips drawn from ``seed``.

    Returns:
        shares of true attributes stated: ``accuracy`` over all, ``color``, ``shape``, ``motion``, ``background``,
        ``relation``; ``captions_right``, all of a caption's; ``grammar``, captions that parse.
    """
    model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    processor = LlavaProcessor.from_pretrained(folder)
    rng = np.random.default_rng((seed, 3))
    drawn = [coded_clip(rng) for _ in range(clips)]
    texts = write_captions(model, processor, [frames for _, frames in drawn])
    correct: dict[str, list[bool]] = {
        name: [] for name in ("color", "shape", "motion", "background", "relation")
    }
    right = []
    for text, (truth, _) in zip(texts, drawn, strict=True):
        truths = stated_attributes(text, truth)
        names = [
            *["color", "shape"] * len(truth.objects),
            "motion",
            "background",
            *(["relation"] if truth.relation else []),
        ]
        for name, value in zip(names, truths, strict=True):
            correct[name].append(value)
        same_count = text.count(" both ") == len(truth.objects) - 1
        right.append(all(truths) and same_count)
    everything = [value for values in correct.values() for value in values]
    return {
        "accuracy": float(np.mean(everything)),
        **{name: float(np.mean(values)) for name, values in correct.items()},
        "captions_right": float(np.mean(right)),
        "grammar": float(np.mean([parse_caption(text) is not None for text in texts])),
        "scored_clips": clips,
    }
