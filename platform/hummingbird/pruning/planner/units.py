"""The units that the planner may take away from a plan, one step each."""

from collections.abc import Iterator, Mapping
from typing import Any

from hummingbird.core.errors import InputError
from hummingbird.models.stages import UNetSpec
from hummingbird.pruning.plan_checks import check_plan
from hummingbird.pruning.pruning_plan import FIRST, PARTS, Narrow, Plan

Config = Mapping[str, Any]

LEAST_FEED_FORWARD = 1.0
"""A feed-forward is not narrowed below this times the width of its transformer."""


def removals(plan: Plan, config: Config) -> dict[str, Plan]:
    """Every plan that is one unit smaller than ``plan``, by the unit's name.

    Units: a layer (``down.0.1``), a part of one (``down.0.1.temporal_conv``), half of the heads
    (``down.0.1.heads``) or of the feed-forward's channels (``down.0.1.feed_forward``) of one, ``middle``, and
    ``first.temporal_attention``. Plans that do not fit the teacher's widths are left out.
    """
    smaller_plans = {}
    for name, smaller in _candidates(plan, UNetSpec.of(config)):
        try:
            check_plan(smaller, config)
        except InputError:  # the layer's weights would not fit what comes before it: it has to stay
            continue
        smaller_plans[name] = smaller
    return smaller_plans


def _candidates(plan: Plan, spec: UNetSpec) -> Iterator[tuple[str, Plan]]:
    if plan.middle:
        yield "middle", plan.model_copy(update={"middle": False})
    if spec.first_temporal_heads and FIRST not in plan.drop:
        yield FIRST, plan.model_copy(update={"drop": [*plan.drop, FIRST]})
    for side in ("down", "up"):
        for index, kept in enumerate(plan.kept(side)):
            for layer in kept:
                name = f"{side}.{index}.{layer}"
                if len(kept) > 1:
                    yield name, without_layer(plan, side, index, layer)
                yield from _smaller_layer(plan, spec, name)


def _smaller_layer(plan: Plan, spec: UNetSpec, name: str) -> Iterator[tuple[str, Plan]]:
    stage, layer = spec.layer(name)
    has = [p for p, field in PARTS.items() if getattr(layer, field) and f"{name}.{p}" not in plan.drop]
    for part in has:
        dropped = [*plan.drop, f"{name}.{part}"]
        narrow = dict(plan.narrow)
        if not [other for other in has if other not in (part, "temporal_conv")] and part != "temporal_conv":
            narrow.pop(name, None)  # nothing is left there to narrow
        yield f"{name}.{part}", plan.model_copy(update={"drop": dropped, "narrow": narrow})
    if not [part for part in has if part != "temporal_conv"]:
        return
    own, now = spec.widths(stage, layer), plan.narrow.get(name, Narrow())
    heads_now, wide_now = now.heads or own.heads, now.feed_forward or own.feed_forward
    if heads_now > 1:
        yield f"{name}.heads", _narrowed(plan, name, now, heads=heads_now // 2)
    if wide_now // 2 >= LEAST_FEED_FORWARD * own.inner:
        yield f"{name}.feed_forward", _narrowed(plan, name, now, feed_forward=wide_now // 2)


def _narrowed(plan: Plan, name: str, now: Narrow, **widths: int) -> Plan:
    return plan.model_copy(update={"narrow": {**plan.narrow, name: now.model_copy(update=widths)}})


def without_layer(plan: Plan, side: str, stage: int, layer: int) -> Plan:
    """The plan without a layer and without what it said of it."""
    name = f"{side}.{stage}.{layer}"
    stages = [
        [number for number in kept if (index, number) != (stage, layer)]
        for index, kept in enumerate(plan.kept(side))
    ]
    drop = [entry for entry in plan.drop if entry.rpartition(".")[0] != name]
    narrow = {key: value for key, value in plan.narrow.items() if key != name}
    return plan.model_copy(update={side: stages, "drop": drop, "narrow": narrow})
