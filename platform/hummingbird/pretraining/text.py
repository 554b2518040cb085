"""The text encoder, trained on captions alone: what a caption has stated can be read from every token after it.

So no attribute is louder than another. A text encoder that learns with the rewards hears of colors first, and hardly
tells one motion from another; a teacher that is conditioned on it then learns motion last.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

from hummingbird.config.settings import Settings
from hummingbird.core.devices import resolve_device
from hummingbird.pretraining.method import pretrain_network
from hummingbird.pretraining.prefetch import drawn_batches
from hummingbird.shapes.scene import (
    BACKGROUNDS,
    COLORS,
    MOTIONS,
    RELATIONS,
    SHAPES,
    Attributes,
    format_caption,
)
from hummingbird.training.latent_cache import Batch
from hummingbird.training.methods.base import TrainingStep

LENGTH = 24  # tokens; the longest caption has 20
WIDTH = 128
BATCH = 256
_SPECIAL = ["<pad>", "<unk>", "<bos>", "<eos>"]
_CLASSES = {
    "color": tuple(COLORS),
    "shape": SHAPES,
    "second color": tuple(COLORS),
    "second shape": SHAPES,
    "relation": tuple(RELATIONS),
    "motion": MOTIONS,
    "background": BACKGROUNDS,
}


def make_tokenizer() -> PreTrainedTokenizerFast:
    """One token a word of the shapes world; other words are <unk>."""
    words = {
        w for names in (SHAPES, COLORS, MOTIONS, BACKGROUNDS, RELATIONS) for n in names for w in n.split()
    }
    vocabulary = [*_SPECIAL, ",", "a", "on", "both", "background", *sorted(words)]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(vocabulary)}, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=[("<bos>", 2), ("<eos>", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "bos_token", "eos_token"), _SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=LENGTH, **names)


def text_config(vocabulary: int) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary,
        "hidden_size": WIDTH,
        "intermediate_size": 256,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "max_position_embeddings": LENGTH,
        "projection_dim": WIDTH,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 3,
    }


def draw_attributes(rng: np.random.Generator) -> Attributes:
    """Of one object or two, evenly; all else evenly too."""
    colors = rng.permutation(list(COLORS))
    objects = tuple((str(color), str(rng.choice(SHAPES))) for color in colors[: rng.integers(1, 3)])
    relation = str(rng.choice(list(RELATIONS))) if len(objects) == 2 else None
    return Attributes(objects, str(rng.choice(MOTIONS)), str(rng.choice(BACKGROUNDS)), relation)


def attribute_batch(seed: int, count: int, step: int) -> Batch:
    """``attributes`` of as many scenes, see `draw_attributes`."""
    rng = np.random.default_rng((seed, step))
    return {"attributes": [draw_attributes(rng) for _ in range(count)]}


def stated(a: Attributes) -> dict[str, tuple[int, int]]:
    """By attribute: its class, and the token of its caption that completes it."""
    first, *second = a.objects
    attributes = {"color": (first[0], 2), "shape": (first[1], 3)}
    at = 3
    if second and a.relation is not None:
        at += len(a.relation.split())
        attributes |= {"relation": (a.relation, at), "second color": (second[0][0], at + 2)}
        attributes["second shape"] = (second[0][1], at + 3)
        at += 5  # the comma and "both"
    at += len(a.motion.split())
    attributes["motion"] = (a.motion, at)
    attributes["background"] = (a.background, at + (4 if second else 3))
    return {name: (_CLASSES[name].index(value), token) for name, (value, token) in attributes.items()}


class _Readers(nn.Module):
    def __init__(self, encoder: CLIPTextModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleDict({name: nn.Linear(WIDTH, len(c)) for name, c in _CLASSES.items()})

    def losses(self, ids: Tensor, mask: Tensor, truth: list[dict[str, tuple[int, int]]]) -> dict[str, Tensor]:
        hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        places = torch.arange(ids.shape[1], device=ids.device)
        losses = {}
        for name, head in self.heads.items():
            rows = [row for row, attributes in enumerate(truth) if name in attributes]
            classes, first = torch.tensor([truth[row][name] for row in rows], device=ids.device).T
            after = (places >= first[:, None]) & mask[rows].bool()
            scores = head(hidden[rows])
            losses[name] = F.cross_entropy(scores[after], classes[:, None].expand_as(after)[after])
        return losses


def pretrain_text(folder: Path, settings: Settings) -> dict[str, float]:
    """Train the text encoder; save it as ``folder/text_encoder`` with its ``tokenizer`` beside it.

    Returns:
        Training facts with the loss of each attribute.
    """
    seed, s = settings.seed, settings.pretrain
    torch.manual_seed(seed)
    device = resolve_device(s.device, "pretrain.device")
    tokenizer = make_tokenizer()
    encoder = (
        CLIPTextModel.from_pretrained(s.start, dtype=torch.float32)
        if s.start
        else CLIPTextModel(CLIPTextConfig(**text_config(len(tokenizer))))
    )
    # torch 2.13's fused attention is slow backward on a CPU in bfloat16.
    encoder.set_attn_implementation("eager")
    readers = _Readers(encoder)

    def losses(step: TrainingStep) -> dict[str, Tensor]:
        drawn = step.batch["attributes"]
        captions = [format_caption(a) for a in drawn]
        tokens = tokenizer(captions, padding="max_length", max_length=LENGTH, return_tensors="pt")
        ids, mask = tokens["input_ids"].to(device), tokens["attention_mask"].to(device)
        return readers.losses(ids, mask, [stated(a) for a in drawn])

    data = partial(drawn_batches, partial(attribute_batch, seed, BATCH * s.batch_factor), s.processes)
    facts = pretrain_network(readers, losses, data, folder, seed, s, weight_decay=0.01)
    encoder.save_pretrained(folder / "text_encoder")
    tokenizer.save_pretrained(folder / "tokenizer")
    return facts
