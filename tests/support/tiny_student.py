"""A few-step pipeline so small that it compiles and exports in seconds."""

from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from hummingbird.models.architectures import unet_config
from hummingbird.models.pipeline import TextToVideoPipeline
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.models.unet import VideoUNet
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast


def tiny_student() -> TextToVideoPipeline:
    """One stage, one layer, 16 x 16 pixels: untrained, but every kind of part is there."""
    torch.manual_seed(0)
    words = ["<pad>", "<start>", "<end>", "<unknown>", "red", "circle"]
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unknown>"))
    tokenizer.pre_tokenizer = Whitespace()
    config: dict[str, Any] = unet_config(
        (8,), down_layers=1, attention=(True,), in_channels=4, head_size=8, text_width=16, norm_groups=4
    )
    unet = VideoUNet(
        **config | {"guidance_size": 16, "first_temporal_heads": 1, "middle": False, "embed_places": True}
    )
    for weight in unet.parameters():  # layers that start at zero would hide what follows them
        torch.nn.init.normal_(weight, std=0.1)
    return TextToVideoPipeline(
        unet=unet.eval(),
        vae=AutoencoderKL(
            block_out_channels=(4, 4),
            sample_size=16,
            norm_num_groups=2,
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
        ).eval(),
        decoder=AutoencoderTiny(
            encoder_block_out_channels=(4, 4),
            decoder_block_out_channels=(4, 4),
            num_encoder_blocks=(1, 1),
            num_decoder_blocks=(1, 1),
        ).eval(),
        text_encoder=CLIPTextModel(
            CLIPTextConfig(
                vocab_size=6,
                hidden_size=16,
                intermediate_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                max_position_embeddings=8,
                pad_token_id=0,
                bos_token_id=1,
                eos_token_id=2,
            )
        ).eval(),
        tokenizer=PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unknown>"
        ),
        scheduler=VideoScheduler(sampling="consistency"),
    )
