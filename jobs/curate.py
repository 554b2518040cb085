"""Curates a folder of raw video: clips with scores, verdicts and captions in the lake."""

import argparse
from pathlib import Path

from hummingbird.config.command_line import run_verb
from hummingbird.config.settings import Settings


def main(settings: Settings, given: argparse.Namespace) -> Path:
    from hummingbird_data.curate import curate

    return curate(settings)


if __name__ == "__main__":
    run_verb("curate", __doc__, main, {"--source": "curate.source"})
