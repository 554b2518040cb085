"""The verb: a published checkpoint to a folder in safetensors, recorded with licence and source."""

import hashlib
import json
from pathlib import Path

from hummingbird.config.import_checkpoint import ImportCheckpointSettings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.files import write_atomically
from hummingbird.core.hashes import identify
from hummingbird.importing.format import Format, Imported, find_format, formats
from hummingbird.importing.small_decoder import encoder_of
from hummingbird.importing.table import listed
from hummingbird.lake.lineage import put_model
from hummingbird.lake.runs import open_run

REPORT_VERSION = 1
CHUNK = 1 << 24
FILES = ("checkpoint", "unet", "lora", "tokenizer", "reference", "decoder")


def import_checkpoint(settings: Settings) -> Path:
    """Imports ``import_checkpoint.checkpoint``; returns the path of ``result.json``.

    The run folder holds what the format becomes (``pipeline``, types as in the file; ``quality``, ``decoder`` or
    ``reward``) and the report ``import.json``: entries that are known and unused, and remarks. What the same files
    became before is not made again.

    Raises:
        InputError: licence, source or checkpoint is not given, or the checkpoint cannot be used: the message names
            the entries.
    """
    section = settings.import_checkpoint
    chosen = find_format(section.format)
    if section.checkpoint is None:
        raise InputError("nothing to import: give import_checkpoint.checkpoint=PATH")
    if section.licence is None or section.source is None:
        missing = [name for name in ("licence", "source") if getattr(section, name) is None]
        raise InputError(
            f"the {' and the '.join(missing)} of the weights must be stated, since every model made from them "
            f"inherits it: {' '.join(f'import_checkpoint.{name}=TEXT' for name in missing)}"
        )
    _check_files(section, chosen)
    inputs = _inputs(section, chosen)
    with open_run(settings, "import_checkpoint", inputs=inputs) as run:
        folder = run.folder / chosen.kind
        if run.previous is not None and folder.is_dir():
            run.outputs.update(run.previous["outputs"])
            run.metrics.update(run.previous["metrics"])
            return run.result_path
        imported = chosen.write(section, folder)
        _write_card(folder, section)
        run.outputs[chosen.kind] = folder
        if imported.unet is not None:
            row = {"run_id": run.run_id, "settings_hash": run.settings_hash, "path": folder}
            terms = {"licence": section.licence, "source": section.source}
            run.outputs["model_id"] = put_model(
                run.lake, identify(imported.unet), "teacher", {**row, **terms}
            )
        run.metrics.update(imported.metrics, unused_entries=len(imported.unused))
        report = {
            "schema_version": REPORT_VERSION,
            "format": section.format,
            "licence": section.licence,
            "source": section.source,
            "files": inputs,
            "unused": imported.unused,
            "notes": imported.notes,
        }
        write_atomically(run.folder / "import.json", (json.dumps(report, indent=2) + "\n").encode())
        run.outputs["report"] = run.folder / "import.json"
        _print_summary(imported)
    return run.result_path


def _check_files(section: ImportCheckpointSettings, chosen: Format) -> None:
    wrong = [name for name in _files(section) if name != "checkpoint" and name not in chosen.takes]
    if wrong:
        owners = [one.name for one in formats().values() if set(wrong) <= one.takes]
        belong = f" ({', '.join(wrong)} belong to the format {' or '.join(owners)})" if owners else ""
        raise InputError(
            f"the format {chosen.name} takes no {listed(wrong)}: leave {listed(wrong)} out{belong}"
        )


def _files(section: ImportCheckpointSettings) -> dict[str, Path]:
    given = {name: getattr(section, name) for name in FILES}
    return {name: path for name, path in given.items() if path is not None}


def _inputs(section: ImportCheckpointSettings, chosen: Format) -> dict[str, str]:
    """The hashes of what an import depends on: the files of the settings, and a small encoder beside its decoder."""
    files = _files(section)
    decoder = files["checkpoint"] if chosen.kind == "decoder" else files.get("decoder")
    if decoder is not None and decoder.is_file() and (encoder := encoder_of(decoder)).is_file():
        files["encoder"] = encoder
    return {name: _digest(path) for name, path in files.items()}


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


def _print_summary(imported: Imported) -> None:
    if imported.unused:
        print(f"known entries that nothing uses ({len(imported.unused)}): {listed(imported.unused)}")
    for note in imported.notes:
        print(f"note: {note}")
