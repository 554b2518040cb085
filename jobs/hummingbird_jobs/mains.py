"""What verbs do that join parts which do not know each other: a page beside a result, a table on the screen."""

import argparse
import json
import sys
from datetime import datetime
from pathlib import Path

from hummingbird.config.settings import Settings


def footage(settings: Settings) -> Path:
    """Draws ``footage`` into a run's folder; its outputs are ``footage`` and, beside it, ``truth``."""
    from hummingbird.lake.runs import open_run
    from hummingbird.shapes.footage import make_footage

    drawn = settings.footage.model_dump(mode="json", exclude={"processes"})
    with open_run(settings, "footage", sections=(), inputs=drawn) as run:
        folder = run.folder / "videos"
        run.outputs.update(truth=make_footage(folder, settings.footage), footage=folder)
        run.metrics["files"] = settings.footage.files
    return run.result_path


def curate(settings: Settings) -> Path:
    """Curates, and writes the page to review what was kept and dropped."""
    from hummingbird.lake.lake import Lake
    from hummingbird.reports.review import write_review
    from hummingbird_data.curate import curate, sources_of

    result = curate(settings)
    with sources_of(settings) as sources:  # the lake may hold clips of others too
        review = write_review(Lake.open(settings), settings.storage, result, sources.__contains__)
    print(f"review: {review}")
    return result


def evaluate(settings: Settings) -> Path:
    """Scores models, and writes a page of what was found beside the result."""
    from hummingbird.evaluation.evaluate import evaluate
    from hummingbird.lake.runs import load_result
    from hummingbird.reports.evaluation import evaluation_report
    from hummingbird.reports.page import write_report

    result = evaluate(settings)
    page = result.parent / "report.html"
    print(f"report: {write_report(evaluation_report(load_result(result)), page)}")
    return result


def add_plan_arguments(parser: argparse.ArgumentParser) -> None:
    """``--budget`` and ``--json``."""
    parser.add_argument(
        "--budget",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="params=0.55, flops=0.4 or ms=20: make a plan that meets it; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument(
        "--stages",
        action="store_true",
        help="with --recipe: memory, time a step and hours of its training stages on usual GPUs, and what to change",
    )


def plan(settings: Settings, args: argparse.Namespace) -> None:
    """Prints the report of a plan."""
    from hummingbird.pruning.planner.cost_report import text_report
    from hummingbird.pruning.planner.plan_verb import plan
    from hummingbird.reports.plan_page import write_plan_page

    if args.stages:
        from hummingbird.pruning.planner.stage_table import stage_costs, stage_table

        print(stage_table({args.recipe or "settings": list(stage_costs(settings))}))
        return
    if args.budget:
        section = settings.plan.model_copy(update={"budget": tuple(args.budget)})
        settings = settings.model_copy(update={"plan": section})
    report = plan(settings)
    if args.budget:
        report["files"]["picture"] = str(write_plan_page(settings.plan.model, report))
    print(json.dumps(report, indent=2) if args.json else text_report(report))


def add_lake_arguments(parser: argparse.ArgumentParser) -> None:
    """The table, ``--where`` and ``--snapshot``."""
    parser.add_argument("table", metavar="TABLE", help="clips, quarantine, runs or models")
    parser.add_argument("--where", metavar="FILTER", help="row filter, e.g. \"verdict = 'dropped'\"")
    parser.add_argument("--snapshot", type=int, metavar="ID", help="a snapshot of clips; none: the current")


def lake(settings: Settings, args: argparse.Namespace) -> None:
    """Prints a table, a row a line."""
    from hummingbird.lake.lake import Lake, parse_json

    opened = Lake.open(settings, create=False)
    for batch in opened.batches(args.table, args.where, args.snapshot):
        for row in batch.to_pylist():
            json.dump(parse_json(row), sys.stdout, default=datetime.isoformat, ensure_ascii=False)
            print()
