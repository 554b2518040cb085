"""The networks that VBench looks at frames with, as far as they have a form that can be loaded here."""

import math
from pathlib import Path
from types import MethodType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoTokenizer, CLIPModel, CLIPTextConfig, ViTModel

from hummingbird.core.errors import InputError
from hummingbird.evaluation.suites.vbench.measures import (
    CLIP_COLORS,
    IMAGENET_COLORS,
    frame_consistency,
    middle_frames,
    middle_square,
    normalized,
    pillow_frames,
    resized_frames,
)
from hummingbird.importing.reader import open_weights
from hummingbird.models.loading import load_pretrained
from hummingbird.models.viclip import ViCLIP

Frames = NDArray[np.uint8]

_DINO_SIZE = 224  # of the shorter side; DINO sees the whole frame


class Dino:
    """DINO (arXiv 2104.14294) in the format of transformers: its class token, of frames of any shape.

    Raises:
        InputError: the folder holds no ViT, or not all of it.
    """

    def __init__(self, folder: Path) -> None:
        self.model: Any = load_pretrained(ViTModel, folder, add_pooling_layer=False).eval()
        embeddings = self.model.embeddings
        embeddings.interpolate_pos_encoding = MethodType(_published_positions, embeddings)

    @torch.inference_mode()
    def features(self, frames: Frames) -> Tensor:
        """Of frames (T, H, W, 3): (T, E)."""
        pixels = normalized(resized_frames(frames, _DINO_SIZE, "bilinear"), IMAGENET_COLORS)
        hidden: Tensor = self.model(pixels, interpolate_pos_encoding=True).last_hidden_state
        return hidden[:, 0]

    def subject_consistency(self, frames: Frames) -> float:
        return frame_consistency(self.features(frames))


class Clip:
    """CLIP in the format of transformers, with its tokenizer.

    Raises:
        InputError: the folder holds no CLIP, or not all of it.
    """

    def __init__(self, folder: Path) -> None:
        self.model: Any = load_pretrained(CLIPModel, folder).eval()
        self.size = int(self.model.config.vision_config.image_size)
        self._folder = folder

    @torch.inference_mode()
    def features(self, frames: Frames) -> Tensor:
        """Of frames (T, H, W, 3), their middle squares: (T, E)."""
        return self._embed(middle_square(resized_frames(frames, self.size, "bicubic"), self.size))

    @torch.inference_mode()
    def appearance_style(self, frames: Frames, style: str) -> float:
        """The mean similarity of frames with the words of a style; VBench's is CLIP's logit over 100."""
        embedded = F.normalize(
            self._embed(middle_square(pillow_frames(frames, self.size), self.size)), dim=-1
        )
        text: CLIPTextConfig = self.model.config.text_config
        tokens = clip_tokens(self._folder, style, text.max_position_embeddings)
        pooled = self.model.text_model(input_ids=tokens).pooler_output
        words = F.normalize(self.model.text_projection(pooled), dim=-1)
        return float((embedded @ words.T).mean() * self.model.logit_scale.exp() / 100)

    def background_consistency(self, frames: Frames) -> float:
        return frame_consistency(self.features(frames))

    def _embed(self, pixels: Tensor) -> Tensor:
        seen = self.model.vision_model(pixel_values=normalized(pixels, CLIP_COLORS)).pooler_output
        embedded: Tensor = self.model.visual_projection(seen)
        return embedded


class AestheticHead:
    """LAION's linear head on the image embeddings of a CLIP.

    Raises:
        InputError: the file holds no linear head, or one for embeddings of another size.
    """

    def __init__(self, file: Path, clip: Clip) -> None:
        self._clip, width = clip, int(clip.model.config.projection_dim)
        with open_weights(file) as weights:
            shapes = {name: tuple(tensor.shape) for name, tensor in weights.tensors.items()}
            if shapes != {"weight": (1, width), "bias": (1,)}:
                raise InputError(
                    f"{file} is no linear head for the CLIP model: weight (1, {width}) and bias (1,) are needed, it "
                    f"has {shapes}"
                )
            self._weight, self._bias = (weights.tensors[n].float().clone() for n in ("weight", "bias"))

    def aesthetic_quality(self, frames: Frames) -> float:
        """A tenth of the head's mean score."""
        embedded = F.normalize(self._clip.features(frames), dim=-1)
        return float(F.linear(embedded, self._weight, self._bias).mean() / 10)


class VideoText:
    """ViCLIP from its published file; its words are CLIP's.

    Args:
        tokenizer: a folder of a CLIP in the format of transformers.

    Raises:
        InputError: the file holds no ViCLIP, or not all of it.
    """

    def __init__(self, file: Path, tokenizer: Path) -> None:
        with open_weights(file) as weights:
            tensors = {name: tensor.clone() for name, tensor in weights.tensors.items()}
        self.model, self._tokenizer = ViCLIP.of_weights(tensors, str(file)), tokenizer

    @torch.inference_mode()
    def consistency(self, frames: Frames, text: str) -> float:
        """The similarity of a video, of which as many frames are seen as the model takes, with a text."""
        shape = self.model.shape
        chosen = frames[middle_frames(shape.frames, len(frames))]
        pixels = middle_square(resized_frames(chosen, shape.size, "bicubic", whole=True), shape.size)
        video = self.model.embed_video(normalized(pixels, CLIP_COLORS)[None])
        words = self.model.embed_text(clip_tokens(self._tokenizer, text, shape.tokens))
        return float(video[0] @ words[0])


def clip_tokens(folder: Path, text: str, length: int) -> Tensor:
    """A text (1, L) in CLIP's tokens, cut at ``length``.

    Raises:
        InputError: the folder has no tokenizer.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} has no tokenizer beside its CLIP model") from error
    tokens: Tensor = tokenizer(text, truncation=True, max_length=length, return_tensors="pt").input_ids
    return tokens


def _published_positions(embeddings: Any, patches: Tensor, height: int, width: int) -> Tensor:
    """DINO's own interpolation of places, which stretches by a tenth of a patch more than transformers'.

    Args:
        embeddings: the ``ViTEmbeddings`` of transformers that this stands in for a method of.
    """
    places = embeddings.position_embeddings
    side = math.isqrt(places.shape[1] - 1)
    rows, columns = height // embeddings.patch_size, width // embeddings.patch_size
    if patches.shape[1] == places.shape[1] and height == width:
        return places
    grid = places[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, scale_factor=((rows + 0.1) / side, (columns + 0.1) / side), mode="bicubic")
    return torch.cat([places[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)
