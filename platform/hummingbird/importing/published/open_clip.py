"""CLIP models in OpenCLIP's naming, such as Human Preference Score v2.1, as transformers' ``CLIPModel``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelerate import init_empty_weights
from transformers import CLIPConfig, CLIPModel

from hummingbird.config.import_checkpoint import ImportCheckpointSettings
from hummingbird.core.errors import InputError
from hummingbird.core.hashes import count_parameters
from hummingbird.importing.format import Format, Imported
from hummingbird.importing.parts import read_config
from hummingbird.importing.published.clip import write_clip
from hummingbird.importing.reader import open_weights
from hummingbird.importing.table import Entry, Weights, fill

PUBLISHED: dict[str, Any] = {
    "embed_dim": 1024,
    "vision_cfg": {"image_size": 224, "layers": 32, "width": 1280, "head_width": 80, "patch_size": 14},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 1024, "heads": 16, "layers": 24},
}
"""OpenCLIP's ViT-H-14, in its own words: Human Preference Score v2.1 has this structure."""
UNUSED = (r"attn_mask",)
_LAYER = {
    "ln_1": "layer_norm1",
    "attn.out_proj": "self_attn.out_proj",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}


def our_config(reference: Mapping[str, Any]) -> CLIPConfig:
    """The configuration of a ``CLIPModel`` for OpenCLIP's of a model.

    Raises:
        InputError: a parameter is missing, unknown, or asks for what a ``CLIPModel`` does not have.
    """
    _check_keys(reference, PUBLISHED, {"quick_gelu"}, "")
    vision, text = reference["vision_cfg"], reference["text_cfg"]
    _check_keys(vision, PUBLISHED["vision_cfg"], {"mlp_ratio"}, "vision_cfg.")
    _check_keys(text, PUBLISHED["text_cfg"], set(), "text_cfg.")
    act = "quick_gelu" if reference.get("quick_gelu") else "gelu"
    if vision["width"] % vision["head_width"] or text["width"] % text["heads"]:
        raise InputError("widths must be multiples of vision_cfg.head_width and of text_cfg.heads")
    return CLIPConfig(
        text_config={
            "vocab_size": text["vocab_size"],
            "hidden_size": text["width"],
            "intermediate_size": 4 * text["width"],
            "num_hidden_layers": text["layers"],
            "num_attention_heads": text["heads"],
            "max_position_embeddings": text["context_length"],
            "hidden_act": act,
            "projection_dim": reference["embed_dim"],
        },
        vision_config={
            "hidden_size": vision["width"],
            "intermediate_size": int(vision.get("mlp_ratio", 4.0) * vision["width"]),
            "num_hidden_layers": vision["layers"],
            "num_attention_heads": vision["width"] // vision["head_width"],
            "image_size": vision["image_size"],
            "patch_size": vision["patch_size"],
            "hidden_act": act,
            "projection_dim": reference["embed_dim"],
        },
        projection_dim=reference["embed_dim"],
    )


def published_table(config: CLIPConfig) -> list[Entry]:
    """Where each tensor of a ``CLIPModel`` stands in OpenCLIP's naming."""
    text, vision = "text_model.", "vision_model."
    table = [
        Entry("positional_embedding", f"{text}embeddings.position_embedding.weight"),
        Entry("text_projection", "text_projection.weight", transposed=True),
        Entry("logit_scale", "logit_scale"),
        Entry("visual.class_embedding", f"{vision}embeddings.class_embedding"),
        Entry("visual.positional_embedding", f"{vision}embeddings.position_embedding.weight"),
        Entry("visual.proj", "visual_projection.weight", transposed=True),
        Entry("visual.conv1.weight", f"{vision}embeddings.patch_embedding.weight"),
    ]
    table += _both("visual.ln_pre", f"{vision}pre_layrnorm")  # transformers misspells it
    table += _layers("visual.transformer", vision, config.vision_config.num_hidden_layers)
    table += _both("visual.ln_post", f"{vision}post_layernorm")
    table.append(Entry("token_embedding.weight", f"{text}embeddings.token_embedding.weight"))
    table += _layers("transformer", text, config.text_config.num_hidden_layers)
    return table + _both("ln_final", f"{text}final_layer_norm")


def import_open_clip(weights: Weights, reference: Mapping[str, Any]) -> tuple[CLIPModel, list[str]]:
    """A CLIP model from a file in OpenCLIP's naming, and the entries that nothing uses.

    Raises:
        InputError: the configuration or the entries do not fit, see `fill`.
    """
    config = our_config(reference)
    with init_empty_weights():
        model = CLIPModel(config)
    unused = fill(model, published_table(config), weights, "the CLIP model", unused=UNUSED)
    return model, unused


def _both(source: str, target: str) -> list[Entry]:
    return [Entry(f"{source}.{kind}", f"{target}.{kind}") for kind in ("weight", "bias")]


def _layers(source: str, target: str, count: int) -> list[Entry]:
    table = []
    for layer in range(count):
        theirs, ours = f"{source}.resblocks.{layer}", f"{target}encoder.layers.{layer}"
        for kind in ("weight", "bias"):
            table += [
                Entry(f"{theirs}.attn.in_proj_{kind}", f"{ours}.self_attn.{projection}_proj.{kind}", index, 3)
                for index, projection in enumerate("qkv")
            ]
        for old, new in _LAYER.items():
            table += _both(f"{theirs}.{old}", f"{ours}.{new}")
    return table


def _check_keys(given: Any, needed: Mapping[str, Any], known: set[str], prefix: str) -> None:
    keys = set(given) if isinstance(given, Mapping) else set()
    if wrong := sorted((set(needed) - keys) | (keys - set(needed) - known)):
        raise InputError(
            f"the reference configuration of a CLIP model must have {', '.join(prefix + key for key in needed)}; "
            f"missing or unknown: {', '.join(prefix + key for key in wrong)}"
        )


def _write(section: ImportCheckpointSettings, folder: Path | None) -> Imported:
    reference = PUBLISHED if section.reference is None else read_config(section.reference)
    with open_weights(Path(str(section.checkpoint))) as weights:
        model, unused = import_open_clip(weights, reference)
        write_clip(model, section.tokenizer, folder)
    return Imported(unused=unused, metrics={"parameters": count_parameters(model)})


FORMAT = Format(
    "open-clip",
    "reward",
    "a CLIP model in OpenCLIP's naming, such as HPS_v2.1_compressed.pt, for rewards",
    _write,
    frozenset({"tokenizer", "reference"}),
)
