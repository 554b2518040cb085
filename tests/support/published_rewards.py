"""Small models in the published formats of rewards, with random weights."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast, XCLIPConfig, XCLIPModel

MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
TEXT: dict[str, Any] = {
    "vocab_size": 16,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 8,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
VISION: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 24,
    "patch_size": 8,
}


@pytest.fixture
def tiny_clip(tmp_path: Path) -> Path:
    """A CLIP that sees 24 x 24 pixels."""
    torch.manual_seed(2)
    model = CLIPModel(CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=12))
    return _written(model, tmp_path / "clip", "mit")


@pytest.fixture
def tiny_xclip(tmp_path: Path) -> Path:
    """An X-CLIP that sees 4 frames of 24 x 24 pixels."""
    torch.manual_seed(3)
    vision = {**VISION, "num_frames": 4, "mit_hidden_size": 12, "mit_intermediate_size": 16}
    vision |= {"mit_num_hidden_layers": 1, "mit_num_attention_heads": 2}
    config = XCLIPConfig(
        text_config=TEXT,
        vision_config=vision,
        projection_dim=12,
        prompt_num_attention_heads=2,
        prompt_layers=1,
    )
    return _written(XCLIPModel(config), tmp_path / "xclip", "cc-by-nc-4.0")


def _written(model: Any, folder: Path, licence: str) -> Path:
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    vocabulary = {"<pad>": 0, "<start>": 1, "<end>": 2, "a": 3, "red": 4, "blue": 5, "circle": 6, "square": 7}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="a"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 1), ("<end>", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>", bos_token="<start>", unk_token="a"
    ).save_pretrained(folder)
    about = {
        "size": {"shortest_edge": 24},
        "crop_size": {"height": 24, "width": 24},
        "resample": 3,
        "do_center_crop": True,
        "image_mean": MEAN,
        "image_std": STD,
        "image_processor_type": "CLIPImageProcessor",
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(about))
    (folder / "README.md").write_text(f"---\nlicense: {licence}\n---\nA reward.\n")
    return folder
