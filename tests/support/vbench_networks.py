"""Weights and videos for VBench's own code and for this project's: drawn by name, the same everywhere."""

import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

DINO = {"embed_dim": 32, "depth": 2, "num_heads": 2, "patch_size": 16}
CLIP = {
    "embed_dim": 16, "image_resolution": 224, "vision_layers": 2, "vision_width": 64, "vision_patch_size": 32,
    "context_length": 77, "vocab_size": 49408, "transformer_width": 64, "transformer_heads": 1, "transformer_layers": 2,
}  # fmt: skip
VICLIP_VIDEO = {
    "input_resolution": 224, "patch_size": 14, "width": 64, "layers": 2, "heads": 1, "output_dim": 16, "num_frames": 8,
}  # fmt: skip
VICLIP_TEXT = {
    "embed_dim": 16, "context_length": 32, "vocab_size": 49408, "transformer_width": 64, "transformer_heads": 1,
    "transformer_layers": 2, "checkpoint_num": 0,
}  # fmt: skip
STYLES = ("Van Gogh style", "in cyberpunk, neonpunk style", "black and white", "oil painting", "pixel art")
TEXTS = (
    "A cute happy Corgi playing in park, sunset, in super slow motion",
    "a bird and a cat",
    "Snow rocky mountains peaks canyon. snow blanketed rocky mountains surround and shadow deep canyons. the canyons "
    "twist and bend through the high elevated mountain peaks, featuring a steady and smooth perspective",
    "café, 🐦 & 'quotes'",
    "alley",
)


def drawn(name: str, shape: Sequence[int]) -> NDArray[np.float32]:
    """One tensor: norms near the identity, the rest as large as its inputs allow."""
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]))
    values = rng.standard_normal(tuple(shape)).astype(np.float32)
    if name.endswith("logit_scale"):
        return np.full(tuple(shape), math.log(100), np.float32)
    if any(part in name for part in ("norm", "ln_")):
        return 0.1 * values + (1 if name.endswith("weight") else 0)
    if name.endswith("bias") or len(shape) < 2:
        return 0.1 * values
    if "embed" in name:
        return 0.3 * values
    return values / math.sqrt(math.prod(shape[1:]))


def weights(prefix: str, shapes: Mapping[str, Sequence[int]]) -> dict[str, NDArray[np.float32]]:
    """Tensors by name; the prefix tells models apart."""
    return {name: drawn(f"{prefix} {name}", shape) for name, shape in shapes.items()}


def videos() -> list[NDArray[np.uint8]]:
    """Five short videos of several shapes: blobs that drift over a ramp, with grain in some."""
    made = []
    for index, (count, height, width) in enumerate(
        ((16, 320, 512), (8, 240, 240), (5, 256, 144), (3, 64, 64), (11, 480, 270))
    ):
        rng = np.random.default_rng(index)
        y, x = np.mgrid[0:height, 0:width] / max(height, width)
        frames = []
        for frame in range(count):
            picture = np.stack([x, y, 0.5 + 0.0 * x], -1) * rng.uniform(0.6, 1.0)
            for blob in range(3):
                middle = np.array([0.2 + 0.25 * blob, 0.3]) + frame / count * np.array([0.2, 0.1 * blob])
                near = np.exp(-((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / 0.01)
                picture[..., blob] += near * (1 if blob != index % 3 else -0.8)
            picture += rng.normal(0, 0.02 * (index % 2), picture.shape)
            frames.append((np.clip(picture, 0, 1) * 255).round().astype(np.uint8))
        made.append(np.stack(frames))
    return made


_DINO_NAMES = {
    "cls_token": "embeddings.cls_token",
    "pos_embed": "embeddings.position_embeddings",
    "patch_embed.proj": "embeddings.patch_embeddings.projection",
    "norm": "layernorm",
}
_DINO_LAYER = {"norm1": "layernorm_before", "norm2": "layernorm_after", "attn.proj": "attention.o_proj"}
_CLIP_LAYER = {
    "attn.out_proj": "self_attn.out_proj", "ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}  # fmt: skip
_CLIP_NAMES = {
    "token_embedding": "text_model.embeddings.token_embedding",
    "ln_final": "text_model.final_layer_norm",
    "visual.conv1": "vision_model.embeddings.patch_embedding",
    "visual.ln_pre": "vision_model.pre_layrnorm",
    "visual.ln_post": "vision_model.post_layernorm",
}


def dino_tensors() -> dict[str, NDArray[np.float32]]:
    """The DINO of `DINO` by the names of transformers."""
    width, depth = DINO["embed_dim"], DINO["depth"]
    published: dict[str, Sequence[int]] = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, (224 // DINO["patch_size"]) ** 2 + 1, width),
        "patch_embed.proj.weight": (width, 3, DINO["patch_size"], DINO["patch_size"]),
        "patch_embed.proj.bias": (width,),
        **_norm("norm", width),
    }
    for layer in range(depth):
        block = f"blocks.{layer}"
        published |= _norm(f"{block}.norm1", width) | _norm(f"{block}.norm2", width)
        published |= _linear(f"{block}.attn.qkv", width, 3 * width) | _linear(
            f"{block}.attn.proj", width, width
        )
        published |= _linear(f"{block}.mlp.fc1", width, 4 * width)
        published |= _linear(f"{block}.mlp.fc2", 4 * width, width)
    tensors = {}
    for name, values in weights("dino", published).items():
        if name.startswith("blocks."):
            _, layer, rest = name.split(".", 2)
            if rest.startswith("attn.qkv"):
                for part, own in zip("qkv", np.split(values, 3), strict=True):
                    tensors[f"layers.{layer}.attention.{part}_proj.{rest.rpartition('.')[2]}"] = own
                continue
            tensors[f"layers.{layer}.{_renamed(rest, _DINO_LAYER)}"] = values
        else:
            tensors[_renamed(name, _DINO_NAMES)] = values
    return tensors


def clip_tensors() -> dict[str, NDArray[np.float32]]:
    """The CLIP of `CLIP` by the names of transformers."""
    seen, said, joint = CLIP["vision_width"], CLIP["transformer_width"], CLIP["embed_dim"]
    patch = CLIP["vision_patch_size"]
    published: dict[str, Sequence[int]] = {
        "positional_embedding": (CLIP["context_length"], said),
        "text_projection": (said, joint),
        "logit_scale": (),
        "token_embedding.weight": (CLIP["vocab_size"], said),
        **_norm("ln_final", said),
        "visual.class_embedding": (seen,),
        "visual.positional_embedding": ((224 // patch) ** 2 + 1, seen),
        "visual.proj": (seen, joint),
        "visual.conv1.weight": (seen, 3, patch, patch),
        **_norm("visual.ln_pre", seen),
        **_norm("visual.ln_post", seen),
    }
    for tower, width, layers in (("", said, "transformer_layers"), ("visual.", seen, "vision_layers")):
        for layer in range(CLIP[layers]):
            published |= clip_block(f"{tower}transformer.resblocks.{layer}", width)
    special = {
        "positional_embedding": "text_model.embeddings.position_embedding.weight",
        "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
        "visual.class_embedding": "vision_model.embeddings.class_embedding",
        "logit_scale": "logit_scale",
    }
    tensors = {}
    for name, values in weights("clip", published).items():
        if name in special:
            tensors[special[name]] = values
        elif name in ("text_projection", "visual.proj"):
            kind = "text_projection" if name == "text_projection" else "visual_projection"
            tensors[f"{kind}.weight"] = np.ascontiguousarray(values.T)
        elif "resblocks" in name:
            tower, rest = name.split("transformer.resblocks.")
            layer, rest = rest.split(".", 1)
            place = f"{'vision' if tower else 'text'}_model.encoder.layers.{layer}"
            if "in_proj_" in rest:
                for part, own in zip("qkv", np.split(values, 3), strict=True):
                    tensors[f"{place}.self_attn.{part}_proj.{rest.rpartition('_')[2]}"] = own
            else:
                tensors[f"{place}.{_renamed(rest, _CLIP_LAYER)}"] = values
        else:
            tensors[_renamed(name, _CLIP_NAMES)] = values
    return tensors


def viclip_tensors() -> dict[str, NDArray[np.float32]]:
    """The ViCLIP of `VICLIP_VIDEO` and `VICLIP_TEXT`, by the names of its file."""
    seen, said, joint = VICLIP_VIDEO["width"], VICLIP_TEXT["transformer_width"], VICLIP_TEXT["embed_dim"]
    patch = VICLIP_VIDEO["patch_size"]
    video, text = "vision_encoder", "text_encoder"
    published: dict[str, Sequence[int]] = {
        f"{video}.class_embedding": (seen,),
        f"{video}.positional_embedding": ((224 // patch) ** 2 + 1, seen),
        f"{video}.temporal_positional_embedding": (1, VICLIP_VIDEO["num_frames"], seen),
        f"{video}.proj": (seen, joint),
        f"{video}.conv1.weight": (seen, 3, 1, patch, patch),
        **_norm(f"{video}.ln_pre", seen),
        **_norm(f"{video}.ln_post", seen),
        f"{text}.positional_embedding": (VICLIP_TEXT["context_length"], said),
        f"{text}.text_projection": (said, joint),
        f"{text}.token_embedding.weight": (VICLIP_TEXT["vocab_size"], said),
        **_norm(f"{text}.ln_final", said),
    }
    for layer in range(VICLIP_VIDEO["layers"]):
        published |= clip_block(f"{video}.transformer.resblocks.{layer}", seen)
        published |= clip_block(f"{text}.transformer.resblocks.{layer}", said)
    return weights("viclip", published)


def clip_block(name: str, width: int) -> dict[str, Sequence[int]]:
    """The tensors of one of CLIP's blocks."""
    return {
        f"{name}.attn.in_proj_weight": (3 * width, width),
        f"{name}.attn.in_proj_bias": (3 * width,),
        **_linear(f"{name}.attn.out_proj", width, width),
        **_norm(f"{name}.ln_1", width),
        **_norm(f"{name}.ln_2", width),
        **_linear(f"{name}.mlp.c_fc", width, 4 * width),
        **_linear(f"{name}.mlp.c_proj", 4 * width, width),
    }


def _norm(name: str, width: int) -> dict[str, Sequence[int]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _linear(name: str, inputs: int, outputs: int) -> dict[str, Sequence[int]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _renamed(name: str, table: Mapping[str, str]) -> str:
    for before, after in table.items():
        if name == before or name.startswith(f"{before}."):
            return after + name.removeprefix(before)
    return name
