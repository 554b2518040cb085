"""Checkpoints of random weights in the published namings, at any size, to rehearse with before the real ones.

    python -m hummingbird_jobs.rehearsal.checkpoints FOLDER

writes VideoCrafter2's ``model.ckpt`` at its full size (pickled as the published file, 7.4 GB) and ``vocabulary``, a
tokenizer of single letters, for ``import_checkpoint.tokenizer``.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, AutoencoderTiny
from hummingbird.importing import autoencoder, text, unet
from hummingbird.importing.parts import read_reference
from hummingbird.importing.published import open_clip
from hummingbird.importing.table import Entry
from hummingbird.importing.tokenizer import END, START, WORD_END, byte_letters, load_tokenizer
from hummingbird.models.dover import DOVER
from hummingbird.models.unet import VideoUNet
from torch import Tensor, nn
from transformers import CLIPModel, CLIPTextModel, XCLIPConfig, XCLIPModel

CLIP_VOCABULARY, CLIP_LENGTH = 49408, 77


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
    write_vocabulary(folder / "vocabulary")
    return path


def random_taesd(folder: Path, width: int, seed: int = 0) -> Path:
    """Writes ``taesd_encoder.pth`` and ``taesd_decoder.pth`` in the first naming; returns the decoder's."""
    torch.manual_seed(seed)
    widths = (width,) * 4
    model = AutoencoderTiny(encoder_block_out_channels=widths, decoder_block_out_channels=widths)
    encoder = {name.removeprefix("layers."): t for name, t in model.encoder.state_dict().items()}
    decoder = {}
    for name, tensor in model.decoder.state_dict().items():
        number, rest = name.removeprefix("layers.").split(".", 1)
        decoder[f"{int(number) + 1}.{rest}"] = tensor  # behind the clamp that diffusers has outside
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(encoder, folder / "taesd_encoder.pth")
    torch.save(decoder, folder / "taesd_decoder.pth")
    return folder / "taesd_decoder.pth"


def random_clip(path: Path, reference: Mapping[str, Any], seed: int = 0) -> Path:
    """Writes a CLIP model in OpenCLIP's naming, of the structure ``reference``, as HPS_v2.1_compressed.pt is."""
    config = open_clip.our_config(reference)
    with init_empty_weights():
        model = CLIPModel(config)
    table = [entry for entry in open_clip.published_table(config) if entry.source != "logit_scale"]
    tensors = _drawn(model, table, torch.Generator().manual_seed(seed))
    for entry in table:
        if entry.transposed:
            tensors[entry.source] = tensors[entry.source].T.contiguous()
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": tensors | {"logit_scale": torch.tensor(4.6052)}}, path)
    return path


def random_xclip(folder: Path, vocabulary: Path, seed: int = 0) -> Path:
    """Writes the folder of an X-CLIP of transformers that sees 8 frames; returns it.

    Args:
        vocabulary: of `write_vocabulary`.
    """
    small = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    words = load_tokenizer(vocabulary, CLIP_VOCABULARY, CLIP_LENGTH)
    words.pad_token = END
    words.model_input_names = ["input_ids", "attention_mask"]
    ids = {f"{name}_token_id": getattr(words, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    config = XCLIPConfig(
        text_config={**small, "vocab_size": CLIP_VOCABULARY, "max_position_embeddings": CLIP_LENGTH, **ids},
        vision_config={
            **small, "image_size": 32, "patch_size": 16, "num_frames": 8, "mit_hidden_size": 32,
            "mit_intermediate_size": 32, "mit_num_hidden_layers": 1, "mit_num_attention_heads": 2,
        },
        projection_dim=32,
        prompt_num_attention_heads=2,
        prompt_layers=1,
    )  # fmt: skip
    torch.manual_seed(seed)
    XCLIPModel(config).save_pretrained(folder)
    words.save_pretrained(folder)
    pictures = {
        "do_center_crop": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "size": {"shortest_edge": 32},
        "crop_size": {"height": 32, "width": 32},
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
        "image_processor_type": "VideoMAEImageProcessor",
        "resample": 2,
        "rescale_factor": 1 / 255,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(pictures), encoding="utf-8")
    (folder / "README.md").write_text("---\nlicense: mit\n---\nRandom weights.\n", encoding="utf-8")
    return folder


def random_dover(path: Path, config: Mapping[str, Any], seed: int = 0) -> Path:
    """Writes ``DOVER.pth`` of a network with these arguments."""
    torch.manual_seed(seed)
    state = {name: t for name, t in DOVER(**config).state_dict().items() if t.is_floating_point()}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
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


def write_vocabulary(folder: Path) -> Path:
    """A tokenizer of single letters in CLIP's format; returns ``folder``."""
    letters = byte_letters()
    tokens = [*letters, *(letter + WORD_END for letter in letters), START, END]
    folder.mkdir(parents=True, exist_ok=True)
    numbered = {token: number for number, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(numbered), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    print(random_checkpoint(parser.parse_args().folder))
