"""The captioner's model and processor: LLaVA's classes at a small width, as transformers and vLLM load them."""

from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from torch import Tensor, nn
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)
from transformers.masking_utils import eager_mask

from hummingbird.shapes.scene import BACKGROUNDS, COLORS, MOTIONS, RELATIONS, SHAPES, SIZE

IMAGES = 4  # frames of a clip, from first to last at even distances
PATCH = 8
QUESTION = "Describe the video."
_SPECIAL = ["<pad>", "<unk>", "<bos>", "<eos>", "<image>"]
_QUESTION_WORDS = ["describe", "caption", "the", "this", "video", "clip", ".", ":"]
# The images stand before the words, wherever the message has them. No <bos>: then a prompt has the same tokens
# whether an engine adds special tokens or not.
_CHAT = (
    "{% for message in messages %}{% for part in message['content'] if part['type'] == 'image' %}<image>{% endfor %}"
    "{% if message['content'] is string %} {{ message['content'] }}{% else %}"
    "{% for part in message['content'] if part['type'] == 'text' %} {{ part['text'] }}{% endfor %}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %} caption :{% endif %}"
)


def make_processor() -> LlavaProcessor:
    """Frames to 64 x 64 by their shorter side and the central square; one token a word of the shapes world."""
    words = {
        w for names in (SHAPES, COLORS, MOTIONS, BACKGROUNDS, RELATIONS) for n in names for w in n.split()
    }
    vocabulary = [*_SPECIAL, ",", "a", "on", "both", "background", *_QUESTION_WORDS, *sorted(words)]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(vocabulary)}, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.WordPiece(cleanup=True)  # no space before a comma
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=512,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<bos>",
        eos_token="<eos>",
        extra_special_tokens={"image_token": "<image>"},
    )
    images = CLIPImageProcessor(
        size={"shortest_edge": SIZE},
        crop_size={"height": SIZE, "width": SIZE},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    return LlavaProcessor(
        images,
        fast,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        chat_template=_CHAT,
        num_additional_image_tokens=1,
    )


def make_captioner(processor: LlavaProcessor) -> LlavaForConditionalGeneration:
    """1.9 M parameters; heads of 64, the least that every attention kernel of vLLM takes on a CPU."""
    tokenizer = processor.tokenizer
    vision = CLIPVisionConfig(
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=8,
        image_size=SIZE,
        patch_size=PATCH,
        projection_dim=128,
        hidden_act="gelu",
    )
    text = LlamaConfig(
        architectures=["LlamaForCausalLM"],  # vLLM picks the language model by it
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=64,
        max_position_embeddings=512,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        image_seq_length=(SIZE // PATCH) ** 2,
    )
    model = LlavaForConditionalGeneration(config)
    model.generation_config.update(
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        do_sample=False,
        max_new_tokens=32,
    )
    _look_around(model.model.vision_tower)
    return model


@torch.no_grad()
def _look_around(tower: Any) -> None:
    """Let the 8 heads of the first three layers start with the 8 neighbors of a patch, as convolutions do (ConViT,
    d'Ascoli et al. 2021): positions start as one-hot rows and columns, queries as those of the neighbor."""
    side = SIZE // PATCH
    code = torch.eye(side)
    rows, columns = code.repeat_interleave(side, 0), code.repeat(side, 1)
    tower.embeddings.position_embedding.weight[1:, : 2 * side] = 1.5 * torch.cat([rows, columns], 1)
    offsets = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
    for layer in tower.encoder.layers[:3]:
        layer.self_attn.v_proj.weight *= 2
        for head, offset in enumerate(offsets):
            for axis, shift in enumerate(offset):
                into = slice(2 * side * head + side * axis, 2 * side * head + side * (axis + 1))
                of = slice(side * axis, side * (axis + 1))
                layer.self_attn.q_proj.weight[into, of] += 1.2 * torch.diag(
                    torch.ones(side - abs(shift)), -shift
                )
                layer.self_attn.k_proj.weight[into, of] += 1.2 * code


def prompt(processor: LlavaProcessor, images: int = IMAGES, question: str = QUESTION) -> str:
    """What the model is given before the caption, by the processor's chat template."""
    content = [{"type": "image"}] * images + [{"type": "text", "text": question}]
    return str(
        processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    )


def lean_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **given: Any
) -> tuple[Tensor, None]:
    """Attention for training on a CPU in bfloat16, (B, heads, T, D): torch's fused one is 10 times slower backward,
    and transformers' plain one spends most of its time on scaling and casting the scores."""
    scores = (query * given["scaling"]) @ key.transpose(-1, -2)
    if attention_mask is not None:
        scores += attention_mask.to(scores.dtype)
    return (scores.softmax(-1, dtype=scores.dtype) @ value).transpose(1, 2), None


AttentionInterface.register("lean", lean_attention)
AttentionMaskInterface.register("lean", eager_mask)
