"""CLIP models that reward pictures for their texts, in transformers' format: PickScore and others."""

import json
from pathlib import Path
from typing import Any

from accelerate import init_empty_weights
from transformers import CLIPConfig, CLIPModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from hummingbird.config.import_checkpoint import ImportCheckpointSettings
from hummingbird.core.errors import InputError
from hummingbird.core.hashes import count_parameters
from hummingbird.importing.format import Format, Imported
from hummingbird.importing.reader import open_weights
from hummingbird.importing.table import Entry, fill
from hummingbird.importing.tokenizer import END, load_tokenizer

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
UNUSED = (r"(text|vision)_model\.embeddings\.position_ids",)
"""Older transformers stored the positions 0, 1, 2, ... with the weights."""
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's pictures, which its descendants kept."""


def write_clip(
    model: CLIPModel,
    tokenizer: Path | None,
    folder: Path | None,
    processor: CLIPImageProcessorPil | None = None,
) -> None:
    """A folder that transformers loads whole: weights, tokenizer and the preprocessing of pictures.

    Args:
        tokenizer: CLIP's vocabulary, see `load_tokenizer`. Texts are padded behind their end, which nothing before it
            sees.
        processor: of the pictures; none: CLIP's, for the model's size.

    Raises:
        InputError: no tokenizer, or one that does not fit.
    """
    text, side = model.config.text_config, model.config.vision_config.image_size
    words = load_tokenizer(tokenizer, text.vocab_size, text.max_position_embeddings)
    words.pad_token = END
    words.model_input_names = ["input_ids", "attention_mask"]
    text.bos_token_id, text.eos_token_id = words.bos_token_id, words.eos_token_id
    text.pad_token_id = words.pad_token_id
    if folder is None:
        return
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    pictures = processor or CLIPImageProcessorPil(
        size={"shortest_edge": side},
        crop_size={"height": side, "width": side},
        image_mean=list(MEAN),
        image_std=list(STD),
    )
    pictures.save_pretrained(folder)


def read_clip(path: Path) -> tuple[CLIPModel, list[str]]:
    """A CLIP model from a folder in transformers' format; returns the entries that nothing uses, too.

    Raises:
        InputError: a file is missing, or entries do not fit; the message names them.
    """
    file = next((path / name for name in WEIGHTS if (path / name).is_file()), None)
    if file is None or not (path / "config.json").is_file():
        raise InputError(
            f"{path} is no CLIP model in transformers' format: it needs config.json and {' or '.join(WEIGHTS)}"
        )
    content: dict[str, Any] = json.loads((path / "config.json").read_text(encoding="utf-8"))
    if content.get("model_type") != "clip":
        raise InputError(f"{path}: a model of the type {content.get('model_type')!r} is no CLIP model")
    for key in ("architectures", "torch_dtype", "dtype"):
        content.pop(key, None)
    with init_empty_weights():
        model = CLIPModel(CLIPConfig(**content))
    table = [Entry(name, name) for name in model.state_dict()]
    with open_weights(file) as weights:
        return model, fill(model, table, weights, "the CLIP model", unused=UNUSED)


def _write(section: ImportCheckpointSettings, folder: Path | None) -> Imported:
    source = Path(str(section.checkpoint))
    model, unused = read_clip(source)
    own = source / "preprocessor_config.json"
    processor = CLIPImageProcessorPil.from_pretrained(source) if own.is_file() else None
    write_clip(model, section.tokenizer or source, folder, processor)
    return Imported(unused=unused, metrics={"parameters": count_parameters(model)})


FORMAT = Format(
    "clip",
    "reward",
    "a folder of a CLIP model in transformers' format, such as PickScore, for rewards",
    _write,
    frozenset({"tokenizer"}),
)
