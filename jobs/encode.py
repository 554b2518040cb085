"""Encodes a snapshot's kept clips: latents and text embeddings, cached for training."""

import argparse
from pathlib import Path

from hummingbird.config.command_line import run_verb
from hummingbird.config.settings import Settings


def main(settings: Settings, given: argparse.Namespace) -> Path:
    from hummingbird_data.encode import encode

    return encode(settings)


if __name__ == "__main__":
    run_verb("encode", __doc__, main, {"--snapshot": "encode.snapshot"})
