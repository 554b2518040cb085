"""Trains one of the shapes world's small models and ships it with the package."""

import argparse
from pathlib import Path

from hummingbird.config.command_line import run_verb
from hummingbird.config.settings import Settings
from hummingbird.pretraining.pretrain import pretrain


def main(settings: Settings, given: argparse.Namespace) -> Path:
    return pretrain(settings)


if __name__ == "__main__":
    run_verb("pretrain", __doc__, main, flags={"--part": "pretrain.part", "--minutes": "pretrain.minutes"})
