"""ViCLIP (arXiv 2307.06942), the video-text model that VBench scores texts with, for its published file of weights.

Both towers are CLIP's. The video tower sees the patches of all frames in one sequence behind one class token, each with
the embedding of its place and of its frame.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hummingbird.core.errors import InputError

_HEAD = 64  # channels of an attention head, in all of CLIP's models
_TEMPERATURE = "temp"


@dataclass(frozen=True)
class ViCLIPShape:
    """What the tensors of a file say of the model.

    Attributes:
        frames, size, patch: of a video; the size is height and width.
        video, text: width and layers of the towers.
        tokens, words: of a text, of the vocabulary.
        embedding: size of the joint embedding.
    """

    frames: int
    size: int
    patch: int
    video: tuple[int, int]
    text: tuple[int, int]
    tokens: int
    words: int
    embedding: int

    @classmethod
    def of(cls, weights: Mapping[str, Tensor], origin: str) -> "ViCLIPShape":
        """Raises InputError where these are no weights of a ViCLIP."""
        try:
            width, _, _, patch, _ = weights["vision_encoder.conv1.weight"].shape
            places = len(weights["vision_encoder.positional_embedding"]) - 1
            tokens, text_width = weights["text_encoder.positional_embedding"].shape
            return cls(
                frames=weights["vision_encoder.temporal_positional_embedding"].shape[1],
                size=math.isqrt(places) * patch,
                patch=patch,
                video=(width, _layers(weights, "vision_encoder")),
                text=(text_width, _layers(weights, "text_encoder")),
                tokens=tokens,
                words=len(weights["text_encoder.token_embedding.weight"]),
                embedding=weights["vision_encoder.proj"].shape[1],
            )
        except (KeyError, ValueError) as error:
            raise InputError(f"{origin} holds no ViCLIP: {error}") from error


class ViCLIP(nn.Module):
    """Unit vectors of videos and of texts, whose products are their similarities."""

    def __init__(self, shape: ViCLIPShape) -> None:
        super().__init__()
        self.shape = shape
        self.vision_encoder, self.text_encoder = _VideoTower(shape), _TextTower(shape)

    @classmethod
    def of_weights(cls, weights: Mapping[str, Tensor], origin: str) -> "ViCLIP":
        """The model of a file's tensors, in float32.

        Raises:
            InputError: tensors are missing, unknown or of another shape.
        """
        own = {name: tensor.float() for name, tensor in weights.items() if name != _TEMPERATURE}
        with torch.device("meta"):
            model = cls(ViCLIPShape.of(own, origin))
        try:
            model.load_state_dict(own, assign=True)
        except RuntimeError as error:
            raise InputError(f"{origin} holds no ViCLIP: {' '.join(str(error).split())[:400]}") from error
        return model.eval().requires_grad_(False)

    def embed_video(self, frames: Tensor) -> Tensor:
        """Unit vectors (B, E) of normalized frames (B, T, 3, S, S)."""
        embedded: Tensor = self.vision_encoder(frames)
        return F.normalize(embedded, dim=-1)

    def embed_text(self, tokens: Tensor) -> Tensor:
        """Unit vectors (B, E) of texts (B, L) in CLIP's tokens; each ends where its largest token stands first."""
        embedded: Tensor = self.text_encoder(tokens)
        return F.normalize(embedded, dim=-1)


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, width // _HEAD or 1, batch_first=True)
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, 4 * width), "c_proj": nn.Linear(4 * width, width)})

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, need_weights=False, attn_mask=mask)[0]
        wide = self.mlp["c_fc"](self.ln_2(x))
        return x + self.mlp["c_proj"](wide * torch.sigmoid(1.702 * wide))  # CLIP's own approximation of GELU


class _Transformer(nn.Module):
    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(_Block(width) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        for block in self.resblocks:
            x = block(x, mask)
        return x


class _VideoTower(nn.Module):
    def __init__(self, shape: ViCLIPShape) -> None:
        super().__init__()
        width, layers = shape.video
        kernel = (1, shape.patch, shape.patch)
        self.conv1 = nn.Conv3d(3, width, kernel, kernel, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty((shape.size // shape.patch) ** 2 + 1, width))
        self.temporal_positional_embedding = nn.Parameter(torch.empty(1, shape.frames, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = _Transformer(width, layers)
        self.proj = nn.Parameter(torch.empty(width, shape.embedding))

    def forward(self, frames: Tensor) -> Tensor:
        patches = self.conv1(frames.transpose(1, 2)).flatten(3).permute(0, 3, 2, 1)  # (B, places, T, width)
        patches = patches + self.positional_embedding[1:, None] + self.temporal_positional_embedding
        first = (self.class_embedding + self.positional_embedding[0]).expand(len(frames), 1, -1)
        hidden = self.transformer(self.ln_pre(torch.cat([first, patches.flatten(1, 2)], 1)))
        embedded: Tensor = self.ln_post(hidden[:, 0]) @ self.proj
        return embedded


class _TextTower(nn.Module):
    def __init__(self, shape: ViCLIPShape) -> None:
        super().__init__()
        width, layers = shape.text
        self.token_embedding = nn.Embedding(shape.words, width)
        self.positional_embedding = nn.Parameter(torch.empty(shape.tokens, width))
        self.transformer = _Transformer(width, layers)
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.empty(width, shape.embedding))

    def forward(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        mask = torch.full((length, length), -torch.inf, device=tokens.device).triu(1)
        hidden = self.transformer(self.token_embedding(tokens) + self.positional_embedding[:length], mask)
        ends = tokens.argmax(-1)
        embedded: Tensor = self.ln_final(hidden[torch.arange(len(tokens)), ends]) @ self.text_projection
        return embedded


def _layers(weights: Mapping[str, Tensor], tower: str) -> int:
    found = (re.match(rf"{tower}\.transformer\.resblocks\.(\d+)\.", name) for name in weights)
    return 1 + max(int(match[1]) for match in found if match)
