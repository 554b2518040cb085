"""What a published format is to the verb, and the table of all: a module of `hummingbird.importing.published` each."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from hummingbird.config.import_checkpoint import ImportCheckpointSettings
from hummingbird.core.errors import InputError
from hummingbird.core.hashes import count_parameters
from hummingbird.importing import published
from hummingbird.importing.parts import Parts
from hummingbird.importing.reader import shapes_alone
from hummingbird.importing.small_decoder import read_decoder
from hummingbird.models.pipeline import TextToVideoPipeline

Kind = Literal["pipeline", "quality", "decoder", "reward"]
"""What a format becomes; the output of the run that names its folder is called so."""


@dataclass
class Imported:
    """What an import has written.

    Attributes:
        unused: names of entries that the format is known to hold and that nothing uses.
        notes: remarks for the report.
        metrics: for ``result.json``.
        unet: of a pipeline, by which the lake knows it.
    """

    unused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    unet: Any = None


@dataclass(frozen=True)
class Format:
    """A published format.

    Attributes:
        name: what ``import_checkpoint.format`` calls it.
        kind: what it becomes.
        description: what the checkpoint is.
        write: reads the settings' files and writes a folder that the project loads, or (None) only reads them; raises
            InputError where entries or settings do not fit, with their names.
        takes: files in the settings, beside ``checkpoint``, that it takes.
    """

    name: str
    kind: Kind
    description: str
    write: Callable[[ImportCheckpointSettings, Path | None], Imported]
    takes: frozenset[str] = frozenset()


@cache
def formats() -> Mapping[str, Format]:
    """Every format by name."""
    modules = [
        importlib.import_module(f"{published.__name__}.{module.name}")
        for module in pkgutil.iter_modules(published.__path__)
    ]
    known: list[Format] = [module.FORMAT for module in modules if hasattr(module, "FORMAT")]
    return {one.name: one for one in known}


def find_format(name: str) -> Format:
    """The format of a name. Raises InputError where there is none."""
    known = formats()
    if name not in known:
        lines = "; ".join(f"{one.name} ({one.description})" for one in known.values())
        raise InputError(f"import_checkpoint.format: no {name!r}; there are {lines}")
    return known[name]


def check_import(section: ImportCheckpointSettings) -> Imported:
    """Reads names and shapes of the files of an import, however large they are; nothing is written.

    Raises:
        InputError: as the import itself would raise, but for values.
    """
    chosen = find_format(section.format)
    with shapes_alone():
        return chosen.write(section, None)


def write_pipeline(
    read: Callable[[ImportCheckpointSettings], Parts],
) -> Callable[[ImportCheckpointSettings, Path | None], Imported]:
    """The ``write`` of a format that is read as parts of a pipeline, with the small decoder that the settings name."""

    def write(section: ImportCheckpointSettings, folder: Path | None) -> Imported:
        decoder: Any = None
        notes: list[str] = []
        if section.decoder is not None:
            decoder, notes = read_decoder(section.decoder)
        parts = read(section)
        channels = None if decoder is None else decoder.config.latent_channels
        if channels not in (None, parts.vae.config.latent_channels):
            raise InputError(
                f"the small decoder in {section.decoder} takes latents of {channels} channels, the autoencoder makes "
                f"{parts.vae.config.latent_channels}: take the one that belongs to it"
            )
        if folder is not None:
            pipeline = TextToVideoPipeline(
                unet=parts.unet,
                vae=parts.vae,
                decoder=decoder,
                text_encoder=parts.text_encoder,
                tokenizer=parts.tokenizer,
                scheduler=parts.scheduler,
            )
            pipeline.save_pretrained(folder)
        metrics = {
            "unet_parameters": count_parameters(parts.unet),
            "vae_parameters": count_parameters(parts.vae),
            "text_parameters": count_parameters(parts.text_encoder),
        }
        if decoder is not None:
            metrics["decoder_parameters"] = count_parameters(decoder)
        return Imported(parts.unused, [*parts.notes, *notes], metrics, parts.unet)

    return write
