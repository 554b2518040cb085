"""Imports a published checkpoint (VideoCrafter2, T2V-Turbo, ModelScope) into a pipeline folder in safetensors."""

import argparse
from pathlib import Path

from hummingbird.config.command_line import run_verb
from hummingbird.config.settings import Settings


def main(settings: Settings, given: argparse.Namespace) -> Path:
    from hummingbird.importing.import_checkpoint import import_checkpoint

    return import_checkpoint(settings)


if __name__ == "__main__":
    run_verb(
        "import_checkpoint",
        __doc__ or "",
        main,
        {
            "--format": "import_checkpoint.format",
            "--checkpoint": "import_checkpoint.checkpoint",
            "--licence": "import_checkpoint.licence",
            "--source": "import_checkpoint.source",
            "--tokenizer": "import_checkpoint.tokenizer",
        },
    )
