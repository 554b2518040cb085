"""A small cache of random latents, and a small training job on it."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from hummingbird.config.loading import load_settings
from hummingbird.config.settings import Settings
from hummingbird.config.training import TrainingSettings
from hummingbird.lake.lake import Lake
from hummingbird.models.architectures import unet_config
from hummingbird.models.pipeline import TextToVideoPipeline, load_pipeline
from hummingbird.models.rewards import TextVideoScorer
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.models.unet import VideoUNet
from hummingbird.pruning.pruned_config import pruned_config
from hummingbird.pruning.pruning_plan import load_plan
from hummingbird.training.data import cached_latents
from hummingbird.training.latent_cache import CACHE_SCHEMA, encoder_hashes, finish_cache
from hummingbird.training.loop import TrainingJob
from hummingbird.training.methods.base import Method, MethodInputs
from hummingbird.training.methods.distillation import Distillation, DistillationSettings
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

SHAPE, TEXT = (4, 8, 8, 8), (6, 16)


def _write(folder: Path, count: int = 12, parts: int = 2, pipeline: Path | None = None) -> Path:
    """Sample i: constant latents i / 8, frame rate 8 + i. Made as if by ``pipeline``, where there is one."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = [
        {
            "clip_id": str(i),
            "caption": f"clip {i}",
            "fps": 8.0 + i,
            "latents": (np.full(SHAPE, i / 8) + 0.1 * rng.standard_normal(SHAPE))
            .astype(np.float16)
            .tobytes(),
            "text": rng.standard_normal(TEXT).astype(np.float16).tobytes(),
        }
        for i in range(count)
    ]
    names = {}
    for part in range(parts):
        table = pa.Table.from_pylist(rows[part::parts], schema=CACHE_SCHEMA)
        pq.write_table(table, folder / f"part-{part}.parquet", row_group_size=4)
        names[f"part-{part}.parquet"] = (len(table), 0)
    loaded = None if pipeline is None else load_pipeline(pipeline)
    empty = torch.zeros(TEXT) if loaded is None else loaded.encode_prompts([""])[0]
    hashes = {"vae_hash": "v", "text_hash": "t"} if loaded is None else encoder_hashes(loaded)
    finish_cache(folder, {"snapshot_id": 7, "fps": 8.0, **hashes}, [SHAPE], names, empty)
    return folder


@pytest.fixture
def write_cache() -> Callable[..., Path]:
    """Writes a cache of ``count`` samples in ``parts`` files to a new folder, and returns the folder."""
    return _write


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[..., TrainingJob]:
    """A job that distils a two-stage teacher into its pruned student on a cache of 12 samples."""
    _write(tmp_path / "cache")

    def make(build: Any = None, steps: int = 4, **training: Any) -> TrainingJob:
        settings = {"mixed_precision": "fp32", "warmup_steps": 1, "checkpoint_every": 2, "log_every": 1}
        return TrainingJob(
            name="test",
            build=build or tiny_distillation(),
            data=partial(cached_latents, tmp_path / "cache", 2, 3),
            folder=tmp_path / "run",
            steps=steps,
            minutes=None,
            learning_rate=1e-3,
            seed=3,
            training=TrainingSettings(**{**settings, **training}),
        )

    return make


def _tiny_config() -> dict[str, Any]:
    return unet_config(
        (16, 16),
        head_size=8,
        in_channels=8,
        text_width=16,
        norm_groups=8,
        first_temporal_heads=1,
        middle=True,
        embed_places=True,
    )


def tiny_distillation() -> Callable[[torch.device], Method]:
    """A local function, so that it travels to workers by value."""
    config = _tiny_config()

    def build(device: torch.device) -> Method:
        torch.manual_seed(0)
        teacher = VideoUNet(**config).to(device)
        student = VideoUNet(**pruned_config(load_plan("hummingbird-0.7b", config), config)).to(device)
        inputs = MethodInputs(teacher, student, VideoScheduler(), VideoScheduler(), torch.zeros(6, 16))
        return Distillation(DistillationSettings(guidance_scale=3.0), inputs)

    return build


@pytest.fixture
def tiny_teacher(tmp_path: Path) -> Path:
    """A pipeline folder with an untrained teacher of two stages, for the tiny cache."""
    torch.manual_seed(0)
    unet = VideoUNet(**_tiny_config())
    pipeline = TextToVideoPipeline(
        unet=unet,
        vae=AutoencoderKL(latent_channels=8, block_out_channels=(8,), norm_num_groups=4, sample_size=8),
        decoder=AutoencoderTiny(
            latent_channels=8,
            encoder_block_out_channels=(4,) * 4,
            decoder_block_out_channels=(4,) * 4,
            num_encoder_blocks=(0,) * 4,
            num_decoder_blocks=(1,) * 4,
        ),
        text_encoder=CLIPTextModel(_text_config()),
        tokenizer=_tokenizer(),
        scheduler=VideoScheduler(),
    )
    pipeline.save_pretrained(tmp_path / "teacher")
    (tmp_path / "teacher" / "README.md").write_text("---\nlicense: apache-2.0\n---\nA teacher.\n")
    return tmp_path / "teacher"


@pytest.fixture
def tiny_rewards(tmp_path: Path) -> Path:
    """A folder with untrained rewards for videos of 64 x 64, on 4 frames."""
    torch.manual_seed(1)
    text = _text_config().to_dict()
    TextVideoScorer(text, frames=4, widths=(8, 8, 8), embedding=16).save_pretrained(tmp_path / "rewards")
    _tokenizer().save_pretrained(tmp_path / "rewards" / "tokenizer")
    return tmp_path / "rewards"


@pytest.fixture
def tiny(
    tmp_path: Path, tiny_teacher: Path, tiny_rewards: Path, write_cache: Callable[..., Path]
) -> Settings:
    """Settings of prune, distill and feedback on the tiny teacher and its cache, in one process."""
    settings = load_settings(
        overrides=[
            f"storage={tmp_path / 'runs'}",
            f"models.teacher={tiny_teacher}",
            "training.engine=process",
            "training.ema_decay=0.5",
            "distill.steps=3",
            "feedback.steps=3",
            "feedback.method={consistency: {solver_steps: 20}}",
            f"feedback.rewards={{shapes_image: {{model: {tiny_rewards}, frames: 2, weight: 1.0}}}}",
            f"feedback.rewards={{shapes_video: {{model: {tiny_rewards}, weight: 2.0}}}}",
        ]
    )
    snapshot = Lake.open(settings).snapshot()
    cache = write_cache(tmp_path / "cache", pipeline=tiny_teacher)
    about = json.loads((cache / "cache.json").read_text())
    (cache / "cache.json").write_text(json.dumps({**about, "snapshot_id": snapshot}))
    return settings.model_copy(update={"training": settings.training.model_copy(update={"cache": cache})})


def _tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {"<pad>": 0, "<start>": 1, "<end>": 2, "a": 3}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(vocabulary, unk_token="a")), pad_token="<pad>", eos_token="<end>"
    )


def _text_config() -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=16,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=6,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
