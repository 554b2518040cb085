"""Distils the guided teacher into a student: output and features."""

import argparse
from pathlib import Path

from hummingbird.config.command_line import run_verb
from hummingbird.config.settings import Settings
from hummingbird.training.distill import distill


def main(settings: Settings, given: argparse.Namespace) -> Path:
    return distill(settings)


if __name__ == "__main__":
    run_verb(
        "distill",
        __doc__ or "",
        main,
        {
            "--teacher": "models.teacher",
            "--student": "models.student",
            "--cache": "training.cache",
            "--steps": "distill.steps",
        },
        sections=("distill", "training", "models"),
    )
