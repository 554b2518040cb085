"""A language model with random weights that knows six words, of a size that vLLM runs on a CPU."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast


def write_language_model(folder: Path) -> Path:
    """Saves it with its tokenizer and returns ``folder``."""
    torch.manual_seed(1)
    words = ["<pad>", "<eos>", "<unk>", "a", "red", "circle", "moving", "left", "on"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    ).save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=64, pad_token_id=0, bos_token_id=None, eos_token_id=1, initializer_range=0.5,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    with torch.no_grad():  # special tokens come seldom
        model.lm_head.weight[:3] = 0
    model.save_pretrained(folder)
    return folder
