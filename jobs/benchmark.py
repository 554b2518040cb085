"""Times models side by side in one run.

benchmark.py [OPTIONS]: teacher and student, eager and compiled, from a prompt to an mp4.
benchmark.py unet [OPTIONS]: the U-Net beside diffusers' on the same weights, a forward pass and a training step.
benchmark.py plans [OPTIONS]: the paper's cuts beside the planner's, distilled and judged in the shapes world.
benchmark.py curate [OPTIONS]: curation on Ray with one and more workers, and as a plain loop over the same functions.
"""

import argparse
import sys
from pathlib import Path

from hummingbird.config.command_line import run_verb
from hummingbird.config.settings import Settings


def line(settings: Settings, given: argparse.Namespace) -> Path:
    from hummingbird.evaluation.benchmark import benchmark

    return benchmark(settings)


def unet(settings: Settings, given: argparse.Namespace) -> Path:
    from hummingbird.evaluation.unet_benchmark import unet_benchmark

    return unet_benchmark(settings)


def plans(settings: Settings, given: argparse.Namespace) -> Path:
    from hummingbird.evaluation.plan_benchmark import plan_benchmark

    return plan_benchmark(settings)


def curate(settings: Settings, given: argparse.Namespace) -> Path:
    from hummingbird_data.benchmark import curate_benchmark

    return curate_benchmark(settings)


LINE_FLAGS = {
    "--repeats": "benchmark.repeats",
    "--teacher": "models.teacher",
    "--student": "benchmark.student",
}
UNET_FLAGS = {
    "--repeats": "unet_benchmark.repeats",
    "--device": "unet_benchmark.device",
    "--folder": "unet_benchmark.folder",
}
PLANS_FLAGS = {
    "--folder": "plan_benchmark.folder",
    "--device": "plan_benchmark.device",
    "--workers": "plan_benchmark.workers",
    "--minutes": "plan_benchmark.minutes",
    "--teacher": "models.teacher",
}
CURATE_FLAGS = {"--files": "curate_benchmark.files"}

if __name__ == "__main__":
    if sys.argv[1:2] == ["unet"]:
        run_verb("benchmark", __doc__, unet, UNET_FLAGS, sections=("unet_benchmark",), argv=sys.argv[2:])
    if sys.argv[1:2] == ["curate"]:
        run_verb(
            "benchmark",
            __doc__,
            curate,
            CURATE_FLAGS,
            sections=("curate_benchmark", "curate"),
            argv=sys.argv[2:],
        )
    if sys.argv[1:2] == ["plans"]:
        run_verb("benchmark", __doc__, plans, PLANS_FLAGS, sections=("plan_benchmark",), argv=sys.argv[2:])
    run_verb("benchmark", __doc__, line, LINE_FLAGS)
