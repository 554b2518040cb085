"""The results of the benchmark of plans: figures by plan, differences between cuts, and the table of both."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from hummingbird.benchmarks.plan_candidates import TEACHER, PlanCandidate, matched_name
from hummingbird.config.plan_benchmark import PlanBenchmarkSettings
from hummingbird.evaluation.intervals import Scale, Values, ValueTable
from hummingbird.evaluation.repeats import score_repeats
from hummingbird.evaluation.suites.shapes.suite import ShapesSuite

Results = Mapping[int, Mapping[str, Mapping[str, Any]]]
"""By seed and name of the plan, as `hummingbird.benchmarks.plan_students.run_student` returns them."""

WHEN = ("before", "after")
SCALE = Scale(ShapesSuite.dimensions, ShapesSuite.parts)


def summary(candidates: Mapping[str, PlanCandidate], results: Results) -> dict[str, Any]:
    """``plans``: costs, and for each seed that is done the total and its parts, training and seconds."""
    teacher = candidates[TEACHER].cost
    plans = {}
    for name, candidate in candidates.items():
        cost = candidate.cost
        seeds = {
            str(seed): {
                **{when: _parts(students[name][when]["values"]) for when in WHEN if when in students[name]},
                **({"training": students[name]["training"]} if "training" in students[name] else {}),
            }
            for seed, students in results.items()
            if name in students
        }
        plans[name] = {
            **asdict(cost),
            "share": cost.parameters / teacher.parameters,
            "flop_share": cost.flop / teacher.flop,
            "budget": dict(candidate.budget),
            "plan": candidate.plan.model_dump() if candidate.plan else None,
            "seeds": seeds,
        }
    return {"plans": plans}


def comparisons(
    s: PlanBenchmarkSettings,
    candidates: Mapping[str, PlanCandidate],
    results: Results,
    seed: int,
    plans: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    """Intervals over seeds and prompts: written into ``plans``, and how the planner's cuts differ from the paper's.

    The teacher has no distillation: its one score stands for both.
    """
    matches = {(matched_name(paper, match), paper): match for paper in s.paper for match in s.match}
    pairs = [pair for pair in matches if pair[0] in candidates]
    differences: dict[str, dict[tuple[str, str], Any]] = {}
    for when in WHEN:
        values: dict[str, Sequence[Values]] = {
            name: [
                students[name].get(when, students[name]["before"])["values"] for students in results.values()
            ]
            for name in candidates
        }
        totals, differences[when] = score_repeats(SCALE, values, pairs, s.resamples, seed)
        for name, interval in totals.items():
            plans[name][when] = asdict(interval)
    table = [
        {
            "planner": ours,
            "paper": paper,
            "equal": matches[ours, paper],
            "difference": {when: asdict(differences[when][ours, paper]) for when in WHEN},
            "seeds": {
                str(number): {
                    when: _total(students[ours][when]) - _total(students[paper][when]) for when in WHEN
                }
                for number, students in results.items()
            },
        }
        for ours, paper in pairs
    ]
    return {"comparisons": table, "scored_seeds": list(results)}


def text_table(metrics: Mapping[str, Any]) -> str:
    """For a terminal: a line a plan, then a line a comparison."""
    lines = [
        "",
        f"{'plan':26}{'parameters':>12}{'share':>8}{'GFLOP':>8}{'ms':>9}   {'total before':22}{'total after':22}",
    ]
    for name, row in metrics["plans"].items():
        lines.append(
            f"{name:26}{row['parameters']:>12,d}{row['share']:>8.1%}{row['flop'] / 1e9:>8.3f}"
            f"{row['milliseconds']:>9.3f}   {_words(row, 'before'):22}"
            f"{'' if name == TEACHER else _words(row, 'after'):22}"
        )
    if "comparisons" in metrics:
        lines += [
            "",
            "total of the planner's cut less the paper's, points of 100 [95 % over seeds and prompts]",
        ]
        lines += [
            f"{comparison['planner']:26} less {comparison['paper']:18}"
            f" before {_points(comparison['difference']['before']):26}"
            f" after {_points(comparison['difference']['after'])}"
            for comparison in metrics["comparisons"]
        ]
        lines.append(f"seeds: {', '.join(map(str, metrics['scored_seeds']))}")
    lines += [f"{name}: {reason}" for name, reason in metrics["unmet"].items()]
    if metrics["unfinished"]:
        lines += ["", f"unfinished ({len(metrics['unfinished'])}): run the same command again"]
    return "\n".join([*lines, ""])


def _words(row: Mapping[str, Any], when: str) -> str:
    return _points(row[when], sign="") if when in row else "-"


def _points(interval: Mapping[str, float], sign: str = "+") -> str:
    value, low, high = (100 * interval[key] for key in ("value", "low", "high"))
    return f"{value:{sign}.2f} [{low:{sign}.2f}, {high:{sign}.2f}]"


def _total(scored: Mapping[str, Any]) -> float:
    return _parts(scored["values"])["total"]


def _parts(values: Values) -> dict[str, float]:
    score = ValueTable(SCALE, values).score()
    if score.total is None:
        raise ValueError("a total cannot be computed without all its dimensions")
    return {"total": score.total, **score.parts}
