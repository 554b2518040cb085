"""A captioner to rehearse with: Qwen2.5-VL at small width in its published format, random weights that write English.

A model of random weights writes letters at random, which no check of captions lets through. So the last layer knows
only whole captions, each a token; which of them it writes follows from the random layers before.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

CAPTIONS = [
    f"{subject} {place}."
    for subject in ("A small figure moves slowly", "Two bright shapes turn", "Something pale drifts to the left")
    for place in ("in front of a dark wall", "across an open field at noon", "under the light of a window",
                  "beside a tall tree in the rain", "over the water near a bridge")
]  # fmt: skip
SPECIAL = ("<|im_start|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}"
    "{{ message['content'] }}{% else %}{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% elif 'text' in part %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{% endif %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_WIDTH, _SLOT = 64, 8.0


def random_qwen2_5_vl(folder: Path, seed: int = 0) -> Path:
    """Writes the folder of a captioner and returns it."""
    tokenizer = _tokenizer()
    ids: Callable[[str], Any] = tokenizer.convert_tokens_to_ids
    end = ids("<|im_end|>")
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer), "hidden_size": _WIDTH, "intermediate_size": 64, "num_hidden_layers": 1,
            "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 8192,
            "rope_parameters": {"rope_type": "default", "mrope_section": [4, 6, 6], "rope_theta": 1e6},
            "bos_token_id": ids("<|endoftext|>"), "eos_token_id": end, "pad_token_id": ids("<|endoftext|>"),
        },
        vision_config={
            "depth": 1, "hidden_size": 64, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": _WIDTH,
            "fullatt_block_indexes": [0],
        },
        **{f"{name}_token_id": ids(token) for name, token in _MARKS.items()},
    )  # fmt: skip
    torch.manual_seed(seed)
    model = Qwen2_5_VLForConditionalGeneration(config)
    captions = [ids(caption) for caption in CAPTIONS]
    embedding, head = model.get_input_embeddings().weight, model.lm_head.weight
    with torch.no_grad():
        # One direction says "a caption comes next", another "the caption is over"; the others choose the caption.
        embedding[:, :2], embedding[captions] = 0, 0
        embedding[:, 0], embedding[captions, 1] = _SLOT, _SLOT
        embedding[captions, 0] = 0
        head.zero_()
        head[captions] = torch.randn(len(captions), _WIDTH)
        head[captions, 0], head[captions, 1] = _SLOT, -_SLOT
        head[end, 1] = _SLOT
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    Qwen2VLImageProcessorPil(min_pixels=28 * 28, max_pixels=28 * 28 * 16).save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\nRandom weights.\n", encoding="utf-8")
    return folder


_MARKS = {
    "image": "<|image_pad|>",
    "video": "<|video_pad|>",
    "vision_start": "<|vision_start|>",
    "vision_end": "<|vision_end|>",
}


def _tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, and one a caption."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: n for n, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        additional_special_tokens=list(SPECIAL),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
    )
    fast.add_tokens(CAPTIONS)
    fast.chat_template = CHAT
    return fast
