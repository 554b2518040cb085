"""TAESD, the small autoencoder of Stable Diffusion's latents, in its first naming and in diffusers'."""

from pathlib import Path

from hummingbird.config.import_checkpoint import ImportCheckpointSettings
from hummingbird.core.hashes import count_parameters
from hummingbird.importing.format import Format, Imported
from hummingbird.importing.small_decoder import read_decoder


def _write(section: ImportCheckpointSettings, folder: Path | None) -> Imported:
    model, notes = read_decoder(Path(str(section.checkpoint)))
    if folder is not None:
        model.save_pretrained(folder)
    return Imported(notes=notes, metrics={"parameters": count_parameters(model)})


FORMAT = Format(
    "taesd",
    "decoder",
    "a small decoder: taesd_decoder.pth beside taesd_encoder.pth, or diffusers' AutoencoderTiny",
    _write,
)
