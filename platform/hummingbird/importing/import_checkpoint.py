"""The verb: a published checkpoint to a folder in safetensors, recorded with licence and source."""

import hashlib
import json
from pathlib import Path

from hummingbird.config.import_checkpoint import ImportCheckpointSettings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.files import write_atomically
from hummingbird.core.hashes import count_parameters, identify
from hummingbird.importing.dover import import_dover
from hummingbird.importing.formats import t2v_turbo, videocrafter2
from hummingbird.importing.modelscope import modelscope
from hummingbird.importing.parts import Parts
from hummingbird.importing.reader import open_weights
from hummingbird.importing.table import Taken, listed
from hummingbird.lake.lineage import put_model
from hummingbird.lake.runs import Run, open_run
from hummingbird.models.pipeline import TextToVideoPipeline

REPORT_VERSION = 1
CHUNK = 1 << 24


def import_checkpoint(settings: Settings) -> Path:
    """Imports ``import_checkpoint.checkpoint``; returns the path of ``result.json``.

    The run folder holds ``pipeline`` (types as in the file, no small decoder: published checkpoints have none), or
    of a quality model ``quality``, and the report ``import.json``: entries that are known and unused, and remarks.

    Raises:
        InputError: licence, source or checkpoint is not given, or the checkpoint cannot be used: the message names
            the entries.
    """
    asked = settings.import_checkpoint
    if asked.checkpoint is None:
        raise InputError("nothing to import: give import_checkpoint.checkpoint=PATH")
    if asked.licence is None or asked.source is None:
        missing = [name for name in ("licence", "source") if getattr(asked, name) is None]
        raise InputError(
            f"the {' and the '.join(missing)} of the weights must be stated, since every model made from them "
            f"inherits it: {' '.join(f'import_checkpoint.{name}=TEXT' for name in missing)}"
        )
    inputs = {name: _digest(path) for name, path in _files(asked).items()}
    with open_run(settings, "import_checkpoint", inputs=inputs) as run:
        taken = _import_quality(asked, run) if asked.format == "dover" else _import_pipeline(asked, run)
        report = {
            "schema_version": REPORT_VERSION,
            "format": asked.format,
            "licence": asked.licence,
            "source": asked.source,
            "files": inputs,
            "unused": taken.unused,
            "notes": taken.notes,
        }
        write_atomically(run.folder / "import.json", (json.dumps(report, indent=2) + "\n").encode())
        run.outputs["report"] = run.folder / "import.json"
        run.metrics["unused_entries"] = len(taken.unused)
        _print_taken(taken)
    return run.result_path


def _import_pipeline(asked: ImportCheckpointSettings, run: Run) -> Taken:
    parts = _read(asked)
    pipeline = TextToVideoPipeline(
        unet=parts.unet,
        vae=parts.vae,
        decoder=None,
        text_encoder=parts.text_encoder,
        tokenizer=parts.tokenizer,
        scheduler=parts.scheduler,
    )
    folder = run.folder / "pipeline"
    pipeline.save_pretrained(folder)
    _write_card(folder, asked)
    row = {"run_id": run.run_id, "settings_hash": run.settings_hash, "path": folder}
    terms = {"licence": asked.licence, "source": asked.source}
    run.outputs["pipeline"] = folder
    run.outputs["model_id"] = put_model(run.lake, identify(parts.unet), "teacher", {**row, **terms})
    run.metrics.update(
        unet_parameters=count_parameters(parts.unet),
        vae_parameters=count_parameters(parts.vae),
        text_parameters=count_parameters(parts.text_encoder),
    )
    return Taken(parts.unused, parts.notes)


def _import_quality(asked: ImportCheckpointSettings, run: Run) -> Taken:
    others = [name for name in _files(asked) if name != "checkpoint"]
    if others:
        raise InputError(f"the format dover takes the checkpoint alone: leave {listed(others)} out")
    folder = run.folder / "quality"
    with open_weights(Path(str(asked.checkpoint))) as weights:
        model = import_dover(weights)
        model.save_pretrained(folder)
    _write_card(folder, asked)
    run.outputs["quality"] = folder
    run.metrics["parameters"] = count_parameters(model)
    return Taken(
        notes=[
            f"curate with models.quality={folder}; it came without a threshold: set curate.min_technical, "
            "curate.min_aesthetic or curate.min_overall, such as '10%'"
        ]
    )


def _read(asked: ImportCheckpointSettings) -> Parts:
    checkpoint = Path(str(asked.checkpoint))
    if asked.format != "t2v-turbo" and (asked.unet or asked.lora):
        raise InputError("import_checkpoint.unet and lora belong to the format t2v-turbo")
    if asked.format == "modelscope":
        if asked.reference is not None:
            raise InputError(
                "the format modelscope brings its configuration: leave import_checkpoint.reference out"
            )
        return modelscope(checkpoint, asked.tokenizer)
    if asked.format == "t2v-turbo":
        return t2v_turbo(checkpoint, asked.reference, asked.tokenizer, asked.unet, asked.lora)
    return videocrafter2(checkpoint, asked.reference, asked.tokenizer)


def _files(asked: ImportCheckpointSettings) -> dict[str, Path]:
    given = {name: getattr(asked, name) for name in ("checkpoint", "unet", "lora", "tokenizer", "reference")}
    return {name: path for name, path in given.items() if path is not None}


def _digest(path: Path) -> str:
    """SHA-256 (hex) of a file, or of the names and contents of a folder's files."""
    if not path.exists():
        raise InputError(f"there is nothing at {path}")
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        digest.update(f"{file.relative_to(path).as_posix()}\0".encode())
        with file.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def _write_card(folder: Path, asked: ImportCheckpointSettings) -> None:
    """The model card, which later runs take the licence from."""
    licence, source = json.dumps(asked.licence), asked.source
    card = f"---\nlicense: {licence}\n---\n# Imported {asked.format} checkpoint\nWeights from {source}.\n"
    write_atomically(folder / "README.md", card.encode())


def _print_taken(taken: Taken) -> None:
    if taken.unused:
        print(f"known entries that nothing uses ({len(taken.unused)}): {listed(taken.unused)}")
    for note in taken.notes:
        print(f"note: {note}")
