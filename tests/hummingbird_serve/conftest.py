"""What the tests of serving share: untrained pipelines, requests, and a server on real Ray."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hummingbird.config.serve import ServeSettings
from hummingbird.config.settings import Settings
from hummingbird_serve.requests import ServedModel, VideoRequest

FRAMES, SIZE, FPS = 4, 64, 8


def served(name: str = "student", **changes: Any) -> ServedModel:
    facts = {
        "compiled": False, "parameters": 1000, "width": SIZE, "height": SIZE, "num_frames": FRAMES,
        "fps": FPS, "steps": 4, "max_steps": 8, "guidance": 5.0, "max_tokens": 8, "created": 1,
    }  # fmt: skip
    return ServedModel(name=name, **facts | changes)


@pytest.fixture
def models() -> dict[str, ServedModel]:
    return {"student": served(), "teacher": served("teacher", steps=50, max_steps=50)}


@pytest.fixture
def request_() -> VideoRequest:
    return VideoRequest("student", "a red circle", 1, 2, 5.0, FRAMES, FPS, f"{SIZE}x{SIZE}", "0.5")


@pytest.fixture(scope="session")
def tiny_pipelines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Untrained pipelines that make videos of 64 x 64: a few-step student and a guided teacher."""
    import torch
    from diffusers import AutoencoderKL, AutoencoderTiny
    from hummingbird.models.architectures import unet_config
    from hummingbird.models.diffusion import Diffusion
    from hummingbird.models.pipeline import TextToVideoPipeline
    from hummingbird.models.unet import VideoUNet
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("pipelines")
    torch.manual_seed(0)
    tokenizer = Tokenizer(WordLevel({"<pad>": 0, "<start>": 1, "<end>": 2, "<unk>": 3}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    text = CLIPTextConfig(
        vocab_size=4, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=8, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    down, up = ("DownEncoderBlock2D",) * 4, ("UpDecoderBlock2D",) * 4
    parts: dict[str, Any] = {
        "vae": AutoencoderKL(
            block_out_channels=(4,) * 4, norm_num_groups=2, sample_size=SIZE,
            down_block_types=down, up_block_types=up,
        ),
        "decoder": AutoencoderTiny(encoder_block_out_channels=(4,) * 4, decoder_block_out_channels=(4,) * 4),
        "text_encoder": CLIPTextModel(text),
        "tokenizer": PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>"
        ),
        "scheduler": Diffusion(),
    }  # fmt: skip
    for name, guidance_size in (("student", 16), ("teacher", None)):
        config = unet_config(
            (8,), down_layers=1, attention=(True,), in_channels=4, head_size=8, text_width=16, norm_groups=4
        )
        unet = VideoUNet(
            **config | {"guidance_size": guidance_size, "first_temporal_heads": 1, "middle": False}
        )
        TextToVideoPipeline(unet=unet, **parts).save_pretrained(folder / name)
    return {name: folder / name for name in ("student", "teacher")}


@pytest.fixture(scope="session")
def server(
    ray_cluster: None, tiny_pipelines: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a server of the tiny student and teacher."""
    from hummingbird_serve.app import build_application, run_application
    from hummingbird_serve.generator import GeneratorSettings
    from ray import serve

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = Settings(
        storage=tmp_path_factory.mktemp("storage"),
        serve=ServeSettings(port=port, max_queued=6, batch_wait_seconds=0.05, threads=1),
    )
    offered = {}
    for name in ("student", "teacher"):
        steps, most, batch = (2, 8, 3) if name == "student" else (4, 50, 1)
        card = served(name, steps=steps, max_steps=most, created=int(time.time()))
        path = tiny_pipelines[name]
        offered[name] = (
            card,
            GeneratorSettings(path, 1, batch, 0.05 if batch > 1 else 0.0, FRAMES, FPS, 5.0),
        )
    tokenizer = tiny_pipelines["student"] / "tokenizer" / "tokenizer.json"
    os.environ.pop("HUMMINGBIRD_TOKEN", None)
    run_application(build_application(settings, offered, tokenizer, needs_token=False), settings)
    yield f"http://127.0.0.1:{port}"
    serve.shutdown()
