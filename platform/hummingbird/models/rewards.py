"""Image-text and video-text rewards: how well frames, or a whole video, agree with a text."""

from typing import Any

import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel


class TextVideoScorer(ModelMixin, ConfigMixin):
    """Cosine similarities of a text's embedding with a frame's and with a video's.

    One convolutional stem sees each frame; the image head reads one frame's map, the video head convolves the maps of
    all frames over time, so that places and motion stay visible. One text encoder serves both, with a projection each.

    Args:
        text: configuration of the text encoder (``CLIPTextConfig``).
        size: height and width of a frame; a multiple of 16.
        frames: frames of a video for the video head.
        widths: channels of the stem at halves, quarters and eighths of the size.
        embedding: size of the joint embedding.
    """

    @register_to_config
    def __init__(
        self,
        text: dict[str, Any],
        size: int = 64,
        frames: int = 8,
        widths: tuple[int, int, int] = (24, 48, 96),
        embedding: int = 128,
    ) -> None:
        super().__init__()
        self.text_encoder = CLIPTextModel(CLIPTextConfig(**text))
        hidden = self.text_encoder.config.hidden_size
        # Not linear: which shape has which color is a product of what the words say one by one.
        self.image_text, self.video_text = _projection(hidden, embedding), _projection(hidden, embedding)
        a, b, c = widths
        self.stem = nn.Sequential(
            *_conv2d(3, a, 2), *_conv2d(a, b, 2), *_conv2d(b, b, 1), *_conv2d(b, c, 2), *_conv2d(c, c, 1)
        )
        places = (size // 16) ** 2
        self.image_head = nn.Sequential(
            *_conv2d(c, c, 2), nn.Flatten(), nn.Linear(c * places, 256), nn.SiLU(), nn.Linear(256, embedding)
        )
        self.video_head = nn.Sequential(
            *_conv3d(c, c, (1, 1, 1)), *_conv3d(c, c, (2, 2, 2)), *_conv3d(c, c, (2, 1, 1)), nn.Flatten(),
            nn.Linear(c * places * (frames // 4), 256), nn.SiLU(), nn.Linear(256, embedding),
        )  # fmt: skip

    def image_score(self, frames: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Similarity (B K,) in -1..1 of frames (B K, 3, H, W) in 0..1, K after each other, with their texts (B, L).

        Differentiable in the frames.
        """
        text = self.embed_text(input_ids, attention_mask)[0]
        return (self.embed_frames(frames) * text.repeat_interleave(len(frames) // len(text), 0)).sum(-1)

    def video_score(self, video: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Similarity (B,) in -1..1 of videos (B, T, 3, H, W) in 0..1 with texts (B, L).

        T must be the configuration's ``frames``, evenly spaced over the video.
        """
        return (self.embed_video(video) * self.embed_text(input_ids, attention_mask)[1]).sum(-1)

    def embed_frames(self, frames: Tensor) -> Tensor:
        """Unit vectors (N, E)."""
        return F.normalize(self.image_head(self.stem(frames * 2 - 1)).float(), dim=-1)

    def embed_video(self, video: Tensor) -> Tensor:
        """Unit vectors (B, E). Raises ValueError where the number of frames is not the configuration's."""
        if video.shape[1] != self.config.frames:
            raise ValueError(f"the video reward sees {self.config.frames} frames, not {video.shape[1]}")
        maps = self.stem((video * 2 - 1).flatten(0, 1)).unflatten(0, video.shape[:2])
        return F.normalize(self.video_head(maps.transpose(1, 2)).float(), dim=-1)

    def embed_text(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Unit vectors (N, E) for frames and for videos."""
        pooled = self.text_encoder(input_ids=input_ids, attention_mask=attention_mask).pooler_output
        return F.normalize(self.image_text(pooled).float(), dim=-1), F.normalize(
            self.video_text(pooled).float(), dim=-1
        )


def _projection(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 256), nn.SiLU(), nn.Linear(256, outputs))


def _conv2d(inputs: int, outputs: int, stride: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, stride, 1), nn.GroupNorm(8, outputs), nn.SiLU()


def _conv3d(inputs: int, outputs: int, stride: tuple[int, int, int]) -> tuple[nn.Module, ...]:
    return nn.Conv3d(inputs, outputs, 3, stride, 1), nn.GroupNorm(8, outputs), nn.SiLU()
