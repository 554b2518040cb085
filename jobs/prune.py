"""Prunes a teacher by a plan; the student starts from the teacher's weights."""

import argparse
from pathlib import Path

from hummingbird.config.command_line import run_verb
from hummingbird.config.settings import Settings
from hummingbird.pruning.prune import prune


def main(settings: Settings, given: argparse.Namespace) -> Path:
    return prune(settings)


if __name__ == "__main__":
    run_verb(
        "prune",
        __doc__ or "",
        main,
        {"--teacher": "models.teacher", "--plan": "prune.plan"},
    )
