"""Makes a few-step model of a student: consistency distillation with an image and a video reward."""

import argparse
from pathlib import Path

from hummingbird.config.command_line import run_verb
from hummingbird.config.settings import Settings
from hummingbird.training.feedback import feedback


def main(settings: Settings, given: argparse.Namespace) -> Path:
    return feedback(settings)


if __name__ == "__main__":
    run_verb(
        "feedback",
        __doc__ or "",
        main,
        {
            "--teacher": "models.teacher",
            "--student": "models.student",
            "--cache": "training.cache",
            "--steps": "feedback.steps",
        },
        sections=("feedback", "training", "models"),
    )
