"""Published small decoders: TAESD's class, in its first naming and in diffusers'."""

import json
from pathlib import Path
from typing import Any

from accelerate import init_empty_weights
from diffusers import AutoencoderTiny

from hummingbird.core.errors import InputError
from hummingbird.importing.reader import open_weights
from hummingbird.importing.table import Entry, Weights, fill

WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")


def read_decoder(path: Path) -> tuple[AutoencoderTiny, list[str]]:
    """A small autoencoder, in the types that it is stored in, and remarks.

    Args:
        path: ``taesd_decoder.pth`` with ``taesd_encoder.pth`` beside it, or a folder in diffusers' format, or its file
            of weights.

    Raises:
        InputError: a file is missing, or entries do not fit; the message names them.
    """
    if path.is_dir():
        found = next((path / name for name in WEIGHTS if (path / name).is_file()), None)
        if found is None:
            raise InputError(
                f"{path} is no small autoencoder in diffusers' format: it lacks {' or '.join(WEIGHTS)}"
            )
        path = found
    with open_weights(path) as weights:
        if any(name.startswith(("encoder.layers.", "decoder.layers.")) for name in weights.tensors):
            return _diffusers(path, weights), []
        if "decoder" not in path.name:
            raise InputError(
                f"{path} is no small autoencoder in diffusers' names; in the first naming give taesd_decoder.pth, with "
                "taesd_encoder.pth beside it"
            )
        return _first_naming(path, weights), [f"the encoder is that of {encoder_of(path)}"]


def encoder_of(decoder: Path) -> Path:
    """The encoder's file beside the decoder's."""
    return decoder.with_name(decoder.name.replace("decoder", "encoder"))


def _first_naming(path: Path, decoder: Weights) -> AutoencoderTiny:
    first = decoder.tensors.get("1.weight")
    if first is None or first.dim() != 4:
        raise InputError(
            f"{path}: 1 entries of the small decoder are missing: 1.weight; is this taesd_decoder.pth?"
        )
    width, latent = first.shape[:2]
    with init_empty_weights():
        model = AutoencoderTiny(
            latent_channels=latent,
            encoder_block_out_channels=(width,) * 4,
            decoder_block_out_channels=(width,) * 4,
        )
    # The published decoder is a sequence with the clamp of its input in front; diffusers' clamps outside of it.
    fill(
        model.decoder,
        [Entry(_shifted(name), name) for name in model.decoder.state_dict()],
        decoder,
        "the small decoder",
    )
    encoder = encoder_of(path)
    if not encoder.is_file():
        raise InputError(f"{path} needs its encoder beside it: there is no {encoder}")
    with open_weights(encoder) as weights:
        table = [Entry(name.removeprefix("layers."), name) for name in model.encoder.state_dict()]
        fill(model.encoder, table, weights, "the small encoder")
    return model.eval()


def _shifted(name: str) -> str:
    _, number, rest = name.split(".", 2)
    return f"{int(number) + 1}.{rest}"


def _diffusers(path: Path, weights: Weights) -> AutoencoderTiny:
    config = path.with_name("config.json")
    try:
        content: dict[str, Any] = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"cannot read {config}, the configuration beside the small autoencoder: {error}"
        ) from error
    if content.get("_class_name", "AutoencoderTiny") != "AutoencoderTiny":
        raise InputError(f"{config}: a {content['_class_name']} is no AutoencoderTiny")
    with init_empty_weights():
        model = AutoencoderTiny.from_config(content)
    table = [Entry(name, name) for name in model.state_dict()]
    fill(model, table, weights, "the small autoencoder")
    return model.eval()
