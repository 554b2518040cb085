"""Says what a plan costs and where it fits; with a budget, measures what matters and makes a plan."""

import argparse
import json

from hummingbird.config.command_line import run_verb
from hummingbird.config.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--budget",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="params=0.55, flops=0.4 or ms=20: make a plan that meets it; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")


def main(settings: Settings, given: argparse.Namespace) -> None:
    from hummingbird.pruning.planner.cost_report import text_report
    from hummingbird.pruning.planner.plan_verb import plan
    from hummingbird.reports.plan_page import write_plan_page

    if given.budget:
        section = settings.plan.model_copy(update={"budget": tuple(given.budget)})
        settings = settings.model_copy(update={"plan": section})
    report = plan(settings)
    if given.budget:
        report["files"]["picture"] = str(write_plan_page(settings.plan.model, report))
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
            "--frames": "plan.num_frames",
            "--height": "plan.height",
            "--width": "plan.width",
        },
        arguments=add_arguments,
    )
