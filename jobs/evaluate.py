"""Scores models on the same prompts and seeds: VBench's form, with intervals and videos."""

import argparse
from pathlib import Path

from hummingbird.config.command_line import run_verb
from hummingbird.config.settings import Settings


def main(settings: Settings, given: argparse.Namespace) -> Path:
    from hummingbird.evaluation.evaluate import evaluate

    return evaluate(settings)


if __name__ == "__main__":
    run_verb(
        "evaluate",
        __doc__ or "",
        main,
        {"--prompts": "evaluate.prompts", "--teacher": "models.teacher", "--student": "models.student"},
    )
