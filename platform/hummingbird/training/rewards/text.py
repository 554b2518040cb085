"""Rewards of published models that embed images or videos and texts into one space.

``ImageTextReward`` takes any CLIP of transformers, also human preference models that are fine-tuned ones: HPSv2.1
(arXiv 2306.09341), PickScore (arXiv 2305.01569). ``VideoTextReward`` takes X-CLIP (arXiv 2208.02816).
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from transformers import AutoConfig, AutoTokenizer, CLIPModel, XCLIPModel

from hummingbird.core.errors import InputError
from hummingbird.core.hashes import count_parameters
from hummingbird.core.model_references import model_folder, model_licence
from hummingbird.models.loading import load_pretrained
from hummingbird.training.rewards.base import Reward, RewardDeclaration, RewardSettings, TransformerMemory
from hummingbird.training.rewards.preprocessing import Preprocessing

IMAGE_FRAMES = 5


class ImageTextSettings(RewardSettings):
    """Which model, and how many frames."""

    model: str = Field(
        description="folder of a CLIP of transformers, with tokenizer and preprocessor_config.json"
    )
    frames: PositiveInt = Field(IMAGE_FRAMES, description="frames drawn at random")


class VideoTextSettings(RewardSettings):
    """Which model."""

    model: str = Field(
        description="folder of an X-CLIP of transformers, with tokenizer and preprocessor_config.json"
    )
    frames: PositiveInt | None = Field(
        None,
        description="evenly spaced frames; none: as many as the model sees, and no other number is taken",
    )


class ImageTextReward(Reward):
    """The mean cosine similarity of single frames with the caption, -1 to 1."""

    Settings = ImageTextSettings

    def __init__(self, settings: ImageTextSettings, device: torch.device) -> None:
        super().__init__(settings, device)
        folder = model_folder(settings.model)
        self._model, self._tokenizer = _load(CLIPModel, folder, device)
        self._prepare = Preprocessing.of(folder)

    @classmethod
    def declare(cls, settings: Any) -> RewardDeclaration:
        """Frames at random."""
        folder, config = _config(settings.model, "clip")
        memory = _memory(CLIPModel, config, inputs=settings.frames)
        return RewardDeclaration(settings.frames, "random", model_licence(folder), memory, folder)

    def score(self, video: Tensor, captions: Sequence[str]) -> Tensor:
        """See `Reward.score`."""
        frames = self.embed(video.flatten(0, 1)).unflatten(0, video.shape[:2])
        with torch.no_grad():
            texts = self._model.get_text_features(
                **_tokens(self._tokenizer, self._model, captions)
            ).pooler_output
        return (frames * unit(texts)[:, None]).sum(-1).mean(1)

    def embed(self, frames: Tensor) -> Tensor:
        """See `Reward.embed`."""
        return unit(self._model.get_image_features(self._prepare(frames)).pooler_output)


class VideoTextReward(Reward):
    """The cosine similarity of a whole video with the caption, -1 to 1."""

    Settings = VideoTextSettings

    def __init__(self, settings: VideoTextSettings, device: torch.device) -> None:
        super().__init__(settings, device)
        folder = model_folder(settings.model)
        self._model, self._tokenizer = _load(XCLIPModel, folder, device)
        self._prepare = Preprocessing.of(folder)

    @classmethod
    def declare(cls, settings: Any) -> RewardDeclaration:
        """Evenly spaced frames, as many as the model sees.

        Raises:
            InputError: another number of frames is set.
        """
        folder, config = _config(settings.model, "xclip")
        frames = config.vision_config.num_frames
        if settings.frames not in (None, frames):
            raise InputError(f"video_text: frames={settings.frames}, but the model in {folder} sees {frames}")
        memory = _memory(XCLIPModel, config, inputs=frames)
        return RewardDeclaration(frames, "even", model_licence(folder), memory, folder)

    def score(self, video: Tensor, captions: Sequence[str]) -> Tensor:
        """See `Reward.score`."""
        pixels = self._prepare(video.flatten(0, 1)).unflatten(0, video.shape[:2])
        output = self._model(pixel_values=pixels, **_tokens(self._tokenizer, self._model, captions))
        # Each text's embedding is one a video, whose prompts X-CLIP makes of what the video shows.
        own = torch.arange(len(video), device=video.device)
        texts: Tensor = output.text_embeds[own, own]
        return (unit(output.video_embeds) * unit(texts)).sum(-1)


def unit(vectors: Tensor) -> Tensor:
    """Vectors (..., E) of length 1, in float32."""
    return nn.functional.normalize(vectors.float(), dim=-1)


@cache  # rewards that name the same weights look through one model
def _load(kind: Any, folder: Path, device: torch.device) -> tuple[Any, Any]:
    model = load_pretrained(kind, folder, dtype=torch.float32)
    return model.eval().requires_grad_(False).to(device), AutoTokenizer.from_pretrained(_tokenizer(folder))


def _tokenizer(folder: Path) -> Path:
    """Beside the model, or in a folder of its own."""
    return folder / "tokenizer" if (folder / "tokenizer").is_dir() else folder


def _config(model: str, wanted: str) -> tuple[Path, Any]:
    folder = model_folder(model)
    config = AutoConfig.from_pretrained(folder)
    if config.model_type != wanted:
        raise InputError(f"the model in {folder} is of type {config.model_type}, the reward needs a {wanted}")
    if not any((_tokenizer(folder) / file).is_file() for file in ("tokenizer.json", "vocab.json")):
        raise InputError(f"the reward in {folder} has no tokenizer")
    Preprocessing.of(folder)
    return folder, config


def _tokens(tokenizer: Any, model: Any, captions: Sequence[str]) -> dict[str, Tensor]:
    length = model.config.text_config.max_position_embeddings
    tokens = tokenizer(
        list(captions), padding="max_length", truncation=True, max_length=length, return_tensors="pt"
    )
    names = ("input_ids", "attention_mask")
    return {name: tokens[name].to(model.device, non_blocking=True) for name in names if name in tokens}


def _memory(kind: Any, config: Any, inputs: int) -> TransformerMemory:
    vision = config.vision_config
    with torch.device("meta"):
        parameters = count_parameters(kind(config))
    sequence = (vision.image_size // vision.patch_size) ** 2 + 1
    return TransformerMemory(parameters, inputs, sequence, vision.num_hidden_layers, vision.hidden_size)
