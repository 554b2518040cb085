"""CLIP in OpenCLIP's words and in plain torch: what an imported model is compared with."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

TINY: dict[str, Any] = {
    "embed_dim": 12,
    "vision_cfg": {"image_size": 28, "layers": 2, "width": 24, "head_width": 8, "patch_size": 14},
    "text_cfg": {"context_length": 10, "vocab_size": 520, "width": 16, "heads": 2, "layers": 2},
}


def clip_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The entries of a checkpoint of a configuration, in OpenCLIP's naming."""
    vision, text, size = config["vision_cfg"], config["text_cfg"], config["embed_dim"]
    wide, patch = vision["width"], vision["patch_size"]
    shapes = {
        "positional_embedding": (text["context_length"], text["width"]),
        "text_projection": (text["width"], size),
        "logit_scale": (),
        "visual.class_embedding": (wide,),
        "visual.positional_embedding": ((vision["image_size"] // patch) ** 2 + 1, wide),
        "visual.proj": (wide, size),
        "visual.conv1.weight": (wide, 3, patch, patch),
        "token_embedding.weight": (text["vocab_size"], text["width"]),
    }
    for place, width in (("visual.ln_pre", wide), ("visual.ln_post", wide), ("ln_final", text["width"])):
        shapes |= {f"{place}.weight": (width,), f"{place}.bias": (width,)}
    for place, width, layers in (
        ("visual.transformer", wide, vision["layers"]),
        ("transformer", text["width"], text["layers"]),
    ):
        for layer in range(layers):
            block = f"{place}.resblocks.{layer}"
            shapes |= {f"{block}.attn.in_proj_weight": (3 * width, width)}
            shapes |= {f"{block}.attn.in_proj_bias": (3 * width,)}
            for name, rows, columns in (
                ("attn.out_proj", width, width),
                ("mlp.c_fc", 4 * width, width),
                ("mlp.c_proj", width, 4 * width),
            ):
                shapes |= {f"{block}.{name}.weight": (rows, columns), f"{block}.{name}.bias": (rows,)}
            for name in ("ln_1", "ln_2"):
                shapes |= {f"{block}.{name}.weight": (width,), f"{block}.{name}.bias": (width,)}
    return shapes


def embed_picture(weights: Mapping[str, Tensor], config: Mapping[str, Any], pixels: Tensor) -> Tensor:
    """Unit vectors (B, E) of normalized pictures (B, 3, H, W)."""
    vision = config["vision_cfg"]
    x = F.conv2d(pixels, weights["visual.conv1.weight"], stride=vision["patch_size"]).flatten(2).mT
    first = weights["visual.class_embedding"].expand(len(x), 1, -1)
    x = _norm(torch.cat([first, x], 1) + weights["visual.positional_embedding"], weights, "visual.ln_pre")
    heads = vision["width"] // vision["head_width"]
    x = _transformer(x, weights, "visual.transformer", vision["layers"], heads, None)
    return F.normalize(_norm(x[:, 0], weights, "visual.ln_post") @ weights["visual.proj"], dim=-1)


def embed_text(weights: Mapping[str, Tensor], config: Mapping[str, Any], ids: Tensor, end: int) -> Tensor:
    """Unit vectors (B, E) of token ids (B, L), whose end is the token ``end``."""
    text = config["text_cfg"]
    x = weights["token_embedding.weight"][ids] + weights["positional_embedding"][: ids.shape[1]]
    mask = torch.full((ids.shape[1],) * 2, -torch.inf).triu(1)
    x = _transformer(x, weights, "transformer", text["layers"], text["heads"], mask)
    x = _norm(x, weights, "ln_final")[torch.arange(len(ids)), (ids == end).int().argmax(1)]
    return F.normalize(x @ weights["text_projection"], dim=-1)


def _transformer(
    x: Tensor, weights: Mapping[str, Tensor], place: str, layers: int, heads: int, mask: Tensor | None
) -> Tensor:
    for layer in range(layers):
        block = f"{place}.resblocks.{layer}"
        q, k, v = _linear(_norm(x, weights, f"{block}.ln_1"), weights, f"{block}.attn.in_proj", "_").chunk(
            3, -1
        )
        q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (q, k, v))
        scores = q @ k.mT / q.shape[-1] ** 0.5
        seen = (scores if mask is None else scores + mask).softmax(-1) @ v
        x = x + _linear(seen.transpose(1, 2).flatten(2), weights, f"{block}.attn.out_proj")
        hidden = F.gelu(_linear(_norm(x, weights, f"{block}.ln_2"), weights, f"{block}.mlp.c_fc"))
        x = x + _linear(hidden, weights, f"{block}.mlp.c_proj")
    return x


def _linear(x: Tensor, weights: Mapping[str, Tensor], place: str, joint: str = ".") -> Tensor:
    return x @ weights[f"{place}{joint}weight"].T + weights[f"{place}{joint}bias"]


def _norm(x: Tensor, weights: Mapping[str, Tensor], place: str) -> Tensor:
    centered = x - x.mean(-1, keepdim=True)
    scaled = centered / (centered.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return scaled * weights[f"{place}.weight"] + weights[f"{place}.bias"]
