"""Times teacher and student side by side, eager and compiled, from a prompt to an mp4."""

import argparse
from pathlib import Path

from hummingbird.config.command_line import run_verb
from hummingbird.config.settings import Settings


def main(settings: Settings, given: argparse.Namespace) -> Path:
    from hummingbird.evaluation.benchmark import benchmark

    return benchmark(settings)


if __name__ == "__main__":
    run_verb(
        "benchmark",
        __doc__ or "",
        main,
        {"--repeats": "benchmark.repeats", "--teacher": "models.teacher", "--student": "benchmark.student"},
    )
