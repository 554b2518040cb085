"""A VideoCrafter2 checkpoint of random weights, in the published naming and size, to rehearse with before the real one.

    python -m checkpoint_rehearsal FOLDER

writes ``model.ckpt`` (pickled as the published file, 7.4 GB) and ``vocabulary``, a tokenizer of single letters, for
``import_checkpoint.tokenizer``.
"""

import argparse
import json
from pathlib import Path

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL
from hummingbird.importing import autoencoder, text, unet
from hummingbird.importing.parts import read_reference
from hummingbird.importing.table import Entry
from hummingbird.importing.tokenizer import END, START, WORD_END, byte_letters
from hummingbird.models.unet import VideoUNet
from torch import Tensor, nn
from transformers import CLIPTextModel


def random_checkpoint(folder: Path, reference: Path | None = None, seed: int = 0) -> Path:
    """Writes the checkpoint and its tokenizer into ``folder``; returns the checkpoint.

    Args:
        reference: its structure, see `read_reference`; none: the published one.

    Raises:
        InputError: the reference configuration cannot be read.
    """
    sections = read_reference(reference)
    generator = torch.Generator().manual_seed(seed)
    config = unet.our_config(sections["unet"])
    with init_empty_weights():
        model = VideoUNet(**config)
        vae = AutoencoderKL(**autoencoder.our_config(sections["vae"]))
        tower = CLIPTextModel(text.our_config({**sections["text"], "layer": "last"}))
    tensors: dict[str, Tensor] = {}
    for prefix, module, table in (
        (unet.PREFIX, model, unet.published_table(config)),
        (autoencoder.PREFIX, vae, autoencoder.published_table(vae)),
        (text.PREFIX, tower, text.published_table(sections["text"]["text_cfg"]["layers"])),
    ):
        tensors |= {prefix + name: tensor for name, tensor in _drawn(module, table, generator).items()}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.ckpt"
    torch.save({"state_dict": tensors}, path)
    _write_vocabulary(folder / "vocabulary")
    return path


def _drawn(module: nn.Module, table: list[Entry], generator: torch.Generator) -> dict[str, Tensor]:
    """Weights scaled by their inputs, so that a pass stays finite."""
    state, drawn = module.state_dict(), {}
    for entry in table:
        shape = (state[entry.target].shape[0] * entry.parts, *state[entry.target].shape[1:])
        values = torch.randn(shape, generator=generator)
        if len(shape) > 1:
            drawn[entry.source] = values / values[0].numel() ** 0.5
        else:
            drawn[entry.source] = 0.1 * values + float(entry.source.endswith("weight"))
    return drawn


def _write_vocabulary(folder: Path) -> None:
    letters = byte_letters()
    tokens = [*letters, *(letter + WORD_END for letter in letters), START, END]
    folder.mkdir(exist_ok=True)
    numbered = {token: number for number, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(numbered), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    print(random_checkpoint(parser.parse_args().folder))
