"""A VideoCrafter2 checkpoint at a tiny width, in the published naming, with what belongs to it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL
from drawn_weights import drawn_weight
from hummingbird.importing import autoencoder, reader, text, unet, unpickle
from hummingbird.importing.table import Entry
from hummingbird.models.unet import VideoUNet
from torch import Tensor, nn
from transformers import CLIPTextModel

REFERENCE: dict[str, dict[str, Any]] = {
    "unet": {
        **unet.PUBLISHED,
        "model_channels": 32,
        "channel_mult": [1, 2],
        "num_res_blocks": 1,
        "attention_resolutions": [1],
        "num_head_channels": 16,
        "context_dim": 16,
    },
    "vae": {
        "ddconfig": {**autoencoder.PUBLISHED["ddconfig"], "ch": 32, "ch_mult": [1, 1], "resolution": 32},
        "embed_dim": 4,
        "scale_factor": 0.18215,
    },
    "text": {
        "text_cfg": {"context_length": 12, "vocab_size": 520, "width": 16, "heads": 2, "layers": 2},
        "layer": "penultimate",
    },
}


def published(module: nn.Module, table: Sequence[Entry]) -> dict[str, Tensor]:
    """Drawn weights for a table, by published name."""
    state = module.state_dict()
    shapes = {e.source: (state[e.target].shape[0] * e.parts, *state[e.target].shape[1:]) for e in table}
    return {name: drawn_weight(name, shape) for name, shape in shapes.items()}


@pytest.fixture(scope="session")
def unet_weights() -> dict[str, Tensor]:
    config = unet.our_config(REFERENCE["unet"])
    with init_empty_weights():
        return published(VideoUNet(**config), unet.published_table(config))


@pytest.fixture(scope="session")
def checkpoint_weights(unet_weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Everything that a published file holds, also what nothing uses."""
    with init_empty_weights():
        vae = AutoencoderKL(**autoencoder.our_config(REFERENCE["vae"]))
        tower = CLIPTextModel(text.our_config({**REFERENCE["text"], "layer": "last"}))
    tensors = {unet.PREFIX + name: t for name, t in unet_weights.items()}
    vae_weights = published(vae, autoencoder.published_table(vae))
    tensors |= {autoencoder.PREFIX + name: t for name, t in vae_weights.items()}
    layers = REFERENCE["text"]["text_cfg"]["layers"]
    tensors |= {text.PREFIX + name: t for name, t in published(tower, text.published_table(layers)).items()}
    unused = {text.PREFIX + "text_projection": torch.eye(16), text.PREFIX + "logit_scale": torch.tensor(4.6)}
    return tensors | unused | {"betas": torch.rand(1000), "scale_arr": torch.rand(1000)}


@pytest.fixture
def checkpoint(tmp_path: Path, checkpoint_weights: dict[str, Tensor]) -> Path:
    """The pickled Lightning file."""
    path = tmp_path / "model.ckpt"
    torch.save({"state_dict": checkpoint_weights, "epoch": 3}, path)
    return path


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    path = tmp_path / "reference.json"
    path.write_text(json.dumps(REFERENCE))
    return path


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    """A folder with the bytes, two merges and the two marks of CLIP's tokenizer."""
    from hummingbird.importing.tokenizer import END, START, WORD_END, byte_letters

    letters = byte_letters()
    tokens = [*letters, *(letter + WORD_END for letter in letters), "ca", "cat</w>", START, END]
    folder = tmp_path / "vocabulary"
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\nc a\nca t</w>\n")
    return folder


@pytest.fixture
def unpickled_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pickles are read in this process: one that starts for each takes seconds. Tests of the reader have it start."""
    monkeypatch.setattr(
        reader,
        "_in_child",
        lambda source, target, _: unpickle.main(str(source), str(target), reader._shapes_alone.get()),
    )
