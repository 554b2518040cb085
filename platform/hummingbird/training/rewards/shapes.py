"""The rewards of the shapes world: how well frames, or a whole video, agree with a caption."""

import json
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from pydantic import Field, PositiveInt
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from hummingbird.core.errors import InputError
from hummingbird.core.hashes import public_config
from hummingbird.core.model_references import model_folder, model_licence
from hummingbird.models.loading import load_pretrained
from hummingbird.models.rewards import TextVideoScorer
from hummingbird.training.rewards.base import Reward, RewardDeclaration, RewardSettings, TracedMemory


class ShapesImageSettings(RewardSettings):
    """Which weights, and how many frames."""

    model: str = Field("shapes-rewards", description="folder of a TextVideoScorer, with its tokenizer")
    frames: PositiveInt = Field(5, description="frames drawn at random")


class ShapesVideoSettings(RewardSettings):
    """Which weights."""

    model: str = Field("shapes-rewards", description="folder of a TextVideoScorer, with its tokenizer")
    frames: PositiveInt | None = Field(
        None,
        description="evenly spaced frames; none: as many as the scorer sees, and no other number is taken",
    )


class ShapesImageReward(Reward):
    """The mean similarity of single frames with the caption, -1 to 1."""

    Settings = ShapesImageSettings

    def __init__(self, settings: ShapesImageSettings, device: torch.device) -> None:
        super().__init__(settings, device)
        self._scorer, self._tokenizer = _load(model_folder(settings.model), device)

    @classmethod
    def declare(cls, settings: Any) -> RewardDeclaration:
        """Frames at random."""
        folder, config = _config(settings.model)
        return RewardDeclaration(
            settings.frames, "random", model_licence(folder), _memory(config, settings.frames, False), folder
        )

    def score(self, video: Tensor, captions: Sequence[str]) -> Tensor:
        """See `Reward.score`."""
        texts = _tokens(self._tokenizer, self._scorer, captions)
        scores: Tensor = self._scorer.image_score(video.flatten(0, 1), *texts)
        return scores.unflatten(0, video.shape[:2]).mean(1)

    def embed(self, frames: Tensor) -> Tensor:
        """See `Reward.embed`."""
        return self._scorer.embed_frames(frames)


class ShapesVideoReward(Reward):
    """The similarity of a whole video with the caption, -1 to 1."""

    Settings = ShapesVideoSettings

    def __init__(self, settings: ShapesVideoSettings, device: torch.device) -> None:
        super().__init__(settings, device)
        self._scorer, self._tokenizer = _load(model_folder(settings.model), device)

    @classmethod
    def declare(cls, settings: Any) -> RewardDeclaration:
        """Evenly spaced frames, as many as the scorer sees.

        Raises:
            InputError: another number of frames is set.
        """
        folder, config = _config(settings.model)
        frames = int(config["frames"])
        if settings.frames not in (None, frames):
            raise InputError(
                f"shapes_video: frames={settings.frames}, but the video reward in {folder} sees {frames}"
            )
        return RewardDeclaration(frames, "even", model_licence(folder), _memory(config, frames, True), folder)

    def score(self, video: Tensor, captions: Sequence[str]) -> Tensor:
        """See `Reward.score`."""
        scores: Tensor = self._scorer.video_score(video, *_tokens(self._tokenizer, self._scorer, captions))
        return scores


@cache  # both rewards look through one scorer
def _load(folder: Path, device: torch.device) -> tuple[TextVideoScorer, PreTrainedTokenizerFast]:
    scorer: TextVideoScorer = load_pretrained(TextVideoScorer, folder, torch_dtype=torch.float32)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer")
    return scorer.eval().requires_grad_(False).to(device), tokenizer


def _config(model: str) -> tuple[Path, dict[str, Any]]:
    folder = model_folder(model)
    if not (folder / "tokenizer").is_dir():
        raise InputError(f"the reward in {folder} has no tokenizer")
    return folder, public_config(json.loads((folder / "config.json").read_text(encoding="utf-8")))


def _tokens(
    tokenizer: PreTrainedTokenizerFast, scorer: TextVideoScorer, captions: Sequence[str]
) -> tuple[Tensor, Tensor]:
    length = scorer.text_encoder.config.max_position_embeddings
    tokens = tokenizer(
        list(captions), padding="max_length", truncation=True, max_length=length, return_tensors="pt"
    )
    ids, mask = (
        tokens[name].to(scorer.device, non_blocking=True) for name in ("input_ids", "attention_mask")
    )
    return ids, mask


def _memory(config: dict[str, Any], frames: int, whole: bool) -> TracedMemory:
    return TracedMemory(partial(_frozen, config), partial(_run, config["size"], frames, whole))


def _frozen(config: dict[str, Any]) -> TextVideoScorer:
    scorer: TextVideoScorer = TextVideoScorer(**config).eval()
    return scorer.requires_grad_(False)


def _run(size: int, frames: int, whole: bool, scorer: TextVideoScorer) -> Tensor:
    video = torch.rand(1, frames, 3, size, size, requires_grad=True)
    return (scorer.embed_video(video) if whole else scorer.embed_frames(video[0])).sum()
