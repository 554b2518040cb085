"""Small videos, and tiny models with random weights of the classes that curation uses."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hummingbird.models.dover import DOVER
from hummingbird.shapes.scene import render, sample_scene

Frames = np.ndarray


@pytest.fixture(scope="session")
def write_video() -> Callable[..., Path]:
    """Writes frames (T, H, W, 3) as H.264; ``times`` in milliseconds make the rate variable."""

    def write(path: Path, frames: Frames, fps: float = 24, times: list[int] | None = None) -> Path:
        with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream(
                "libx264", rate=Fraction(fps), options={"crf": "18", "preset": "veryfast"}
            )
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = "yuv420p"
            if times is not None:
                stream.codec_context.time_base = Fraction(1, 1000)
            for index, rgb in enumerate(frames):
                picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
                if times is not None:
                    picture.pts, picture.time_base = times[index], Fraction(1, 1000)
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
        return path

    return write


@pytest.fixture(scope="session")
def shot() -> Callable[..., Frames]:
    """Frames of one shot of the shapes world."""

    def draw(
        seed: int, seconds: float = 2.5, fps: float = 24, motion: str = "moving left", size=(160, 128)
    ) -> Frames:
        scene = sample_scene(np.random.default_rng(seed), duration=max(2.0, seconds), motion=motion)
        return render(scene, np.arange(round(seconds * fps)) / fps, *size)

    return draw


@pytest.fixture(scope="session")
def quality_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("quality")
    DOVER(
        technical_width=8,
        technical_depths=(2, 2),
        technical_heads=(1, 2),
        technical_window=(2, 4, 4),
        aesthetic_widths=(8, 16),
        aesthetic_depths=(1, 1),
        head_width=8,
        technical_view={"fragments": 4, "patch": 16, "frames": 4, "stride": 2, "clips": 2},
        aesthetic_view={"size": 32, "frames": 4, "stride": 2},
        threshold=-1e9,
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def captioner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LLaVA whose words are the shapes world's; its captions mean nothing but are always the same."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("captioner")
    sentence = "describe the video . a red circle moving left on"
    words = ["<pad>", "<bos>", "<eos>", "<unk>", "<image>", *sentence.split()]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>", unk_token="<unk>",
        additional_special_tokens=["<image>"],
    )  # fmt: skip
    images = CLIPImageProcessor(size={"height": 32, "width": 32}, crop_size={"height": 32, "width": 32})
    LlavaProcessor(
        images, fast, patch_size=16, vision_feature_select_strategy="default", num_additional_image_tokens=1
    ).save_pretrained(folder)
    vision = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=16,
    )
    text = LlamaConfig(
        vocab_size=len(words), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    model = LlavaForConditionalGeneration(
        LlavaConfig(vision_config=vision, text_config=text, image_token_index=4)
    )
    model.generation_config.suppress_tokens = [0, 1, 3, 4]
    model.generation_config.min_new_tokens = 4
    model.generation_config.forced_eos_token_id = 2  # no answer is cut
    model.save_pretrained(folder)
    return folder
