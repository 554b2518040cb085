"""The page of one evaluation: scores, frontier, videos, failures and stamps."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hummingbird.reports.from_runs import grid_part, scores_part
from hummingbird.reports.frontier import frontier_part
from hummingbird.reports.report_data import Headline, ReportData


def evaluation_report(evaluated: Mapping[str, Any], rows: int = 12) -> ReportData:
    """Everything of an evaluation's ``result.json``.

    Args:
        rows: prompts whose videos are shown.
    """
    metrics = evaluated["metrics"]
    headlines = [
        Headline(name, f"{100 * model['total']['value']:.1f}", "total")
        for name, model in metrics["models"].items()
        if model["total"] is not None
    ]
    return ReportData(
        title=f"Evaluation: suite {metrics['suite']['name']}",
        subtitle=f"{' and '.join(metrics['models'])}, {metrics['videos']} videos each, the same prompts and seeds",
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        headlines=tuple(headlines),
        grid=grid_part(evaluated, rows),
        scores=scores_part(evaluated),
        frontier=frontier_part(evaluated),
    )
