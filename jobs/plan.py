"""Says what a plan costs and where it fits; with a budget, measures what matters and makes a plan."""

import argparse
import json

from hummingbird.config.command_line import run_verb
from hummingbird.config.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")


def main(settings: Settings, given: argparse.Namespace) -> None:
    from hummingbird.compression.planner.plan import describe
    from hummingbird.compression.planner.report import text_report

    report = describe(settings)
    print(json.dumps(report, indent=2) if given.json else text_report(report))


if __name__ == "__main__":
    run_verb(
        "plan",
        __doc__ or "",
        main,
        {
            "--model": "plan.model",
            "--plan": "plan.plan",
            "--method": "plan.method",
            "--gpus": "plan.gpus",
            "--gpu-memory": "plan.gpu_memory",
            "--frames": "plan.frames",
            "--height": "plan.height",
            "--width": "plan.width",
        },
        arguments=add_arguments,
    )
