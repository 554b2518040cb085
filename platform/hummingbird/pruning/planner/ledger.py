"""What any plan of one teacher costs, from the costs of the teacher's parts: a sum, so that a search can ask often."""

from collections.abc import Iterator, Mapping
from typing import Any

from hummingbird.models.stages import LayerSpec, StageSpec, UNetSpec
from hummingbird.pruning.planner.cost import Cost, InputShape, part_costs
from hummingbird.pruning.pruned_config import pruned_config
from hummingbird.pruning.pruning_plan import (
    FIRST,
    PARTS,
    Narrow,
    Plan,
    whole_plan,
)

Config = Mapping[str, Any]
ATTENTION = ("spatial_attention", "temporal_attention")


class CostLedger:
    """Parameters, FLOP and milliseconds of plans that keep the skips and narrow by halves.

    Parameters and FLOP are exact. Milliseconds are those of the teacher's parts; a part that was narrowed is
    taken to be faster as its FLOP are fewer.

    Args:
        config: the teacher's.
        milliseconds: of the teacher's parts, as `measure_milliseconds` returns them.
    """

    def __init__(
        self, config: Config, shape: InputShape, milliseconds: Mapping[str, float] | None = None
    ) -> None:
        self._config, self._shape, self._milliseconds = config, shape, milliseconds
        self._spec = UNetSpec.of(config)
        self._variants = {(0, 0): part_costs(config, shape)}

    def __call__(self, plan: Plan) -> Cost:
        """The cost of a plan.

        Raises:
            ValueError: the plan drops a skip, or narrows to what is no half, quarter, ... of the teacher's.
        """
        parameters, flop, milliseconds = 0, 0.0, 0.0
        whole = self._variants[0, 0]
        for part, level in self._parts(plan):
            cost = self._variant(level)[part]
            parameters += cost.parameters
            flop += cost.flop
            if self._milliseconds is not None:
                share = cost.flop / whole[part].flop if whole[part].flop else 1.0
                milliseconds += self._milliseconds.get(part, 0.0) * share
        return Cost(parameters, flop, None if self._milliseconds is None else milliseconds)

    def _parts(self, plan: Plan) -> Iterator[tuple[str, tuple[int, int]]]:
        """The teacher's parts that stay, each with how often its heads and its feed-forward were halved."""
        if any(entry.endswith(".skip") for entry in plan.drop):
            raise ValueError("a plan without a skip costs what its own configuration says: use model_cost")
        yield "shared", (0, 0)
        if plan.middle:
            yield "middle", (0, 0)
        if "first" in self._variants[0, 0] and FIRST not in plan.drop:
            yield "first", (0, 0)
        for side in ("down", "up"):
            for index, kept in enumerate(plan.kept(side)):
                stage = self._spec.stages(side)[index]
                for number in kept:
                    name, layer = f"{side}.{index}.{number}", stage.layers[number]
                    yield f"{name}.residual", (0, 0)
                    level = self._level(plan.narrow.get(name), stage, layer)
                    for part, field in PARTS.items():
                        if getattr(layer, field) and f"{name}.{part}" not in plan.drop:
                            yield f"{name}.{part}", level if part in ATTENTION else (0, 0)

    def _level(self, narrow: Narrow | None, stage: StageSpec, layer: LayerSpec) -> tuple[int, int]:
        if narrow is None:
            return 0, 0
        own = self._spec.widths(stage, layer)
        levels = []
        for target, has in ((narrow.heads, own.heads), (narrow.feed_forward, own.feed_forward)):
            level = 0
            while target is not None and has >> level > target:
                level += 1
            if target is not None and has >> level != target:
                raise ValueError(f"{target} is no half, quarter, ... of {has}")
            levels.append(level)
        return levels[0], levels[1]

    def _variant(self, level: tuple[int, int]) -> dict[str, Cost]:
        """Costs of the parts where every layer's heads and feed-forward are halved so often."""
        if level not in self._variants:
            plan, narrow = whole_plan(self._config), {}
            for name, stage, layer in self._spec.layers():
                own = self._spec.widths(stage, layer)
                if layer.has_transformers:
                    narrow[name] = Narrow(
                        heads=max(own.heads >> level[0], 1), feed_forward=max(own.feed_forward >> level[1], 1)
                    )
            config = pruned_config(plan.model_copy(update={"narrow": narrow}), self._config)
            self._variants[level] = part_costs(config, self._shape)
        return self._variants[level]
