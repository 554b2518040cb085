"""Times models side by side in one run.

benchmark.py [OPTIONS]: teacher and student, eager and compiled, from a prompt to an mp4.
benchmark.py unet [OPTIONS]: the U-Net beside diffusers' on the same weights, a forward pass and a training step.
benchmark.py plans [OPTIONS]: the paper's cuts beside the planner's, distilled and judged in the shapes world.
benchmark.py curate [OPTIONS]: curation on Ray with one and more workers, and as a plain loop over the same functions.
"""

import argparse
import sys
from itertools import pairwise
from pathlib import Path

from hummingbird.config.command_line import run_verb
from hummingbird.config.settings import Settings


def line(settings: Settings, given: argparse.Namespace) -> Path:
    from hummingbird.benchmarks.videos import benchmark

    return benchmark(settings)


def unet(settings: Settings, given: argparse.Namespace) -> Path:
    from hummingbird.benchmarks.unet import unet_benchmark

    return unet_benchmark(settings)


def plans(settings: Settings, given: argparse.Namespace) -> Path:
    from hummingbird.benchmarks.plans import plan_benchmark

    return plan_benchmark(settings)


def curate(settings: Settings, given: argparse.Namespace) -> Path:
    from hummingbird.benchmarks.curation import curate_benchmark

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
KINDS = {
    "unet": (unet, UNET_FLAGS, ("unet_benchmark",)),
    "plans": (plans, PLANS_FLAGS, ("plan_benchmark",)),
    "curate": (curate, CURATE_FLAGS, ("curate_benchmark", "curate")),
}

if __name__ == "__main__":
    words = sys.argv[1:]
    if words[:1] and words[0] in KINDS:
        main, flags, sections = KINDS[words[0]]
        run_verb("benchmark", __doc__, main, flags, sections=sections, argv=words[1:])
    for before, word in pairwise(words):
        if word in KINDS and not before.startswith("-"):
            print(f"error: {word} comes first: benchmark.py {word} [OPTIONS]", file=sys.stderr)
            sys.exit(2)
    run_verb("benchmark", __doc__, line, LINE_FLAGS)
