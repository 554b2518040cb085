"""What every test shares: a clean environment, and one small local Ray."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before Ray or torch is imported anywhere: tests neither join a cluster that happens to run here, nor ask the
# network, nor take every core.
os.environ.pop("RAY_ADDRESS", None)
os.environ.update(
    {
        "RAY_AUTH_MODE": "token",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "HF_HUB_OFFLINE": "1",
        "DS_ACCELERATOR": "cpu",
    }
)
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HUMMINGBIRD_SCRATCH"] = tempfile.mkdtemp(prefix="hummingbird-tests-")

import pytest
from hummingbird.config.settings import Settings


@pytest.fixture(scope="session", autouse=True)
def scratch() -> Iterator[Path]:
    """The folder for copies of what lies at a URI, also in Ray's workers; gone after the session."""
    folder = Path(os.environ["HUMMINGBIRD_SCRATCH"])
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """One local Ray instance with 2 CPUs for the whole session, without a dashboard."""
    import ray

    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, also where a shell started the tests in the background and had it ignored."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Default settings with the storage in a fresh folder."""
    return Settings(storage=tmp_path / "runs")


@pytest.fixture(scope="session")
def tiny_pipelines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Untrained pipelines that make videos of 64 x 64: a guided teacher and a few-step student."""
    import torch
    from hummingbird.models.architectures import unet_config
    from hummingbird.models.pipeline import TextToVideoPipeline
    from hummingbird.models.scheduler import VideoScheduler
    from hummingbird.models.unet import VideoUNet

    folder = tmp_path_factory.mktemp("pipelines")
    torch.manual_seed(0)
    parts = _tiny_parts()
    for name, guidance_size in (("teacher", None), ("student", 16)):
        config = unet_config((8, 8), norm_groups=4, in_channels=4, head_size=8, text_width=16)
        unet = VideoUNet(**config, guidance_size=guidance_size, first_temporal_heads=1, embed_places=True)
        parts["scheduler"] = VideoScheduler(sampling="consistency" if guidance_size else "ddim")
        TextToVideoPipeline(unet=unet, **parts).save_pretrained(folder / name)
    return {name: folder / name for name in ("teacher", "student")}


def _tiny_parts() -> dict[str, Any]:
    from diffusers import AutoencoderKL, AutoencoderTiny
    from hummingbird.shapes.scene import COLORS
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate(("<pad>", "<start>", "<end>", "<unknown>", *COLORS))}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unknown>"))
    tokenizer.pre_tokenizer = Whitespace()
    text = CLIPTextConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=24,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    side = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    return {
        "vae": AutoencoderKL(
            block_out_channels=(4,) * 4, latent_channels=4, norm_num_groups=2, sample_size=64, **side
        ),
        "decoder": AutoencoderTiny(
            encoder_block_out_channels=(4,) * 4, decoder_block_out_channels=(4,) * 4, latent_channels=4
        ),
        "text_encoder": CLIPTextModel(text),
        "tokenizer": PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            pad_token="<pad>",
            bos_token="<start>",
            eos_token="<end>",
            unk_token="<unknown>",
        ),
    }
