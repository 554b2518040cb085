"""A plan as a page for a browser: the U of the U-Net, what stays and what went."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from hummingbird.core.files import AnyPath, as_path, write_atomically
from hummingbird.core.scratch import origin
from hummingbird.lake.runs import load_result
from hummingbird.pruning.planner.planned_models import planned_model
from hummingbird.pruning.pruning_plan import FIRST, Plan, load_plan, reductions_by_layer
from hummingbird.reports.from_runs import plan_part
from hummingbird.reports.plan_chart import plan_picture

Config = Mapping[str, Any]


def write_plan_page(model: str, report: Mapping[str, Any]) -> AnyPath:
    """Writes ``plan.html`` beside the new plan that a planner's report names; returns its path.

    Args:
        model: the setting ``plan.model``.
        report: of `hummingbird.pruning.planner.plan_verb.plan`, made under a budget.
    """
    result = origin(as_path(report["files"]["result"]))
    config = planned_model(model).unet
    before, after = (int(report["costs"][name]["parameters"]) for name in ("teacher", "student"))
    plan = load_plan(load_result(result)["outputs"]["plan"], config)
    page = picture_page(plan, config, before, after)
    target = result.parent / "plan.html"
    write_atomically(target, page.encode())
    return target


def picture_page(plan: Plan, config: Config, before: int, after: int) -> str:
    """An HTML page with the U of the U-Net: what stays, what went, and what of a block went.

    Args:
        config: the teacher's.
        before, after: parameters.
    """
    kept = {side: plan.kept(side) for side in ("down", "up")}
    drawn = plan_part(
        config, kept, plan.middle, (before, after), plan.name, reductions_by_layer(plan, config)
    )
    style = files("hummingbird.reports").joinpath("style.css").read_text(encoding="utf-8")
    head = f"<title>{plan.name}</title><style>{style}</style>"
    words = f"{plan.name}: {before:,} parameters to {after:,} ({after / before:.1%})"
    if FIRST in plan.drop:
        words += "; without the temporal attention after the first convolution"
    picture = plan_picture(drawn)
    return f'<!doctype html><html lang="en"><meta charset="utf-8">{head}<main><p>{words}</p>{picture}</main></html>'
