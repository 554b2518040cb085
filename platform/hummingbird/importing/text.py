"""The OpenCLIP text tower, in its published naming, as a CLIP text model."""

from collections.abc import Mapping
from typing import Any

from accelerate import init_empty_weights
from transformers import CLIPTextConfig, CLIPTextModel

from hummingbird.core.errors import InputError
from hummingbird.importing.table import Entry, ImportSummary, Weights, fill

PREFIX = "cond_stage_model.model."
PUBLISHED: dict[str, Any] = {
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 1024, "heads": 16, "layers": 24},
    "layer": "penultimate",
}
"""OpenCLIP's ViT-H-14, as VideoCrafter2 uses it."""
UNUSED = ("text_projection", "logit_scale")
"""Of contrastive training; nothing here uses them."""
PENULTIMATE, LAST = "penultimate", "last"
START, END = 49406, 49407


def our_config(reference: Mapping[str, Any]) -> CLIPTextConfig:
    """The configuration of a CLIP text model whose last hidden state is the tower's output.

    Raises:
        InputError: a parameter is missing or unknown.
    """
    details = reference.get("text_cfg") or {}
    needed = set(PUBLISHED["text_cfg"])
    if wrong := sorted(needed ^ set(details)):
        raise InputError(
            f"the text tower's text_cfg must have {', '.join(sorted(needed))}; missing or unknown: {wrong}"
        )
    if reference.get("layer", PENULTIMATE) not in (PENULTIMATE, LAST):
        raise InputError(
            f"the text tower's layer must be {PENULTIMATE} or {LAST}, not {reference['layer']!r}"
        )
    if details["width"] % details["heads"]:
        raise InputError("the text tower's width must be a multiple of its heads")
    return CLIPTextConfig(
        vocab_size=details["vocab_size"],
        hidden_size=details["width"],
        intermediate_size=4 * details["width"],
        num_hidden_layers=details["layers"] - (1 if skips_last(reference) else 0),
        num_attention_heads=details["heads"],
        max_position_embeddings=details["context_length"],
        hidden_act="gelu",
        pad_token_id=0,
        bos_token_id=START,
        eos_token_id=END,
    )


def skips_last(reference: Mapping[str, Any]) -> bool:
    """Whether the tower's last block is left out."""
    return bool(reference.get("layer", PENULTIMATE) == PENULTIMATE)


def published_table(layers: int) -> list[Entry]:
    """Where each tensor of a CLIP text model with so many layers stands in OpenCLIP's naming."""
    table = [
        Entry("positional_embedding", "embeddings.position_embedding.weight"),
        Entry("token_embedding.weight", "embeddings.token_embedding.weight"),
    ]
    renamed = {
        "ln_1": "layer_norm1",
        "attn.out_proj": "self_attn.out_proj",
        "ln_2": "layer_norm2",
        "mlp.c_fc": "mlp.fc1",
        "mlp.c_proj": "mlp.fc2",
    }
    for layer in range(layers):
        source, target = f"transformer.resblocks.{layer}", f"encoder.layers.{layer}"
        for kind in ("weight", "bias"):
            # Query, key and value are stacked in one matrix.
            table += [
                Entry(
                    f"{source}.attn.in_proj_{kind}", f"{target}.self_attn.{projection}_proj.{kind}", index, 3
                )
                for index, projection in enumerate("qkv")
            ]
            table += [
                Entry(f"{source}.{old}.{kind}", f"{target}.{new}.{kind}") for old, new in renamed.items()
            ]
    return table + [Entry(f"ln_final.{k}", f"final_layer_norm.{k}") for k in ("weight", "bias")]


def import_text(
    weights: Weights, reference: Mapping[str, Any], prefix: str = PREFIX
) -> tuple[CLIPTextModel, ImportSummary]:
    """A text encoder from a file in OpenCLIP's naming.

    Raises:
        InputError: the configuration or the entries do not fit, see `fill`.
    """
    config = our_config(reference)
    with init_empty_weights():
        model = CLIPTextModel(config)
    unused, summary = list(UNUSED), ImportSummary()
    if skips_last(reference):
        last = rf"transformer\.resblocks\.{config.num_hidden_layers}\."
        unused.append(last + ".+")
        summary.notes.append(
            "the text tower's last block is not used: its output is the one before it, normalized"
        )
    table = published_table(config.num_hidden_layers)
    summary.unused = fill(model, table, weights, "the text tower", prefix, unused)
    return model, summary
