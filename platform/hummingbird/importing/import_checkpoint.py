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
from hummingbird.importing.formats import read_t2v_turbo, read_videocrafter2
from hummingbird.importing.modelscope import read_modelscope
from hummingbird.importing.parts import Parts
from hummingbird.importing.reader import open_weights
from hummingbird.importing.table import ImportSummary, listed
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
    section = settings.import_checkpoint
    if section.checkpoint is None:
        raise InputError("nothing to import: give import_checkpoint.checkpoint=PATH")
    if section.licence is None or section.source is None:
        missing = [name for name in ("licence", "source") if getattr(section, name) is None]
        raise InputError(
            f"the {' and the '.join(missing)} of the weights must be stated, since every model made from them "
            f"inherits it: {' '.join(f'import_checkpoint.{name}=TEXT' for name in missing)}"
        )
    inputs = {name: _digest(path) for name, path in _files(section).items()}
    with open_run(settings, "import_checkpoint", inputs=inputs) as run:
        summary = (
            _import_quality(section, run) if section.format == "dover" else _import_pipeline(section, run)
        )
        report = {
            "schema_version": REPORT_VERSION,
            "format": section.format,
            "licence": section.licence,
            "source": section.source,
            "files": inputs,
            "unused": summary.unused,
            "notes": summary.notes,
        }
        write_atomically(run.folder / "import.json", (json.dumps(report, indent=2) + "\n").encode())
        run.outputs["report"] = run.folder / "import.json"
        run.metrics["unused_entries"] = len(summary.unused)
        _print_summary(summary)
    return run.result_path


def _import_pipeline(section: ImportCheckpointSettings, run: Run) -> ImportSummary:
    parts = _read(section)
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
    _write_card(folder, section)
    row = {"run_id": run.run_id, "settings_hash": run.settings_hash, "path": folder}
    terms = {"licence": section.licence, "source": section.source}
    run.outputs["pipeline"] = folder
    run.outputs["model_id"] = put_model(run.lake, identify(parts.unet), "teacher", {**row, **terms})
    run.metrics.update(
        unet_parameters=count_parameters(parts.unet),
        vae_parameters=count_parameters(parts.vae),
        text_parameters=count_parameters(parts.text_encoder),
    )
    return ImportSummary(parts.unused, parts.notes)


def _import_quality(section: ImportCheckpointSettings, run: Run) -> ImportSummary:
    others = [name for name in _files(section) if name != "checkpoint"]
    if others:
        raise InputError(f"the format dover takes the checkpoint alone: leave {listed(others)} out")
    folder = run.folder / "quality"
    with open_weights(Path(str(section.checkpoint))) as weights:
        model = import_dover(weights)
        model.save_pretrained(folder)
    _write_card(folder, section)
    run.outputs["quality"] = folder
    run.metrics["parameters"] = count_parameters(model)
    return ImportSummary(
        notes=[
            f"curate with models.quality={folder}; it came without a threshold: set curate.min_technical, "
            "curate.min_aesthetic or curate.min_overall, such as '10%'"
        ]
    )


def _read(section: ImportCheckpointSettings) -> Parts:
    checkpoint = Path(str(section.checkpoint))
    if section.format != "t2v-turbo" and (section.unet or section.lora):
        raise InputError("import_checkpoint.unet and lora belong to the format t2v-turbo")
    if section.format == "modelscope":
        if section.reference is not None:
            raise InputError(
                "the format modelscope brings its configuration: leave import_checkpoint.reference out"
            )
        return read_modelscope(checkpoint, section.tokenizer)
    if section.format == "t2v-turbo":
        return read_t2v_turbo(checkpoint, section.reference, section.tokenizer, section.unet, section.lora)
    return read_videocrafter2(checkpoint, section.reference, section.tokenizer)


def _files(section: ImportCheckpointSettings) -> dict[str, Path]:
    given = {
        name: getattr(section, name) for name in ("checkpoint", "unet", "lora", "tokenizer", "reference")
    }
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


def _write_card(folder: Path, section: ImportCheckpointSettings) -> None:
    """The model card, which later runs take the licence from."""
    licence, source = json.dumps(section.licence), section.source
    card = f"---\nlicense: {licence}\n---\n# Imported {section.format} checkpoint\nWeights from {source}.\n"
    write_atomically(folder / "README.md", card.encode())


def _print_summary(summary: ImportSummary) -> None:
    if summary.unused:
        print(f"known entries that nothing uses ({len(summary.unused)}): {listed(summary.unused)}")
    for note in summary.notes:
        print(f"note: {note}")
