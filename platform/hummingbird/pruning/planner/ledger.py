"""What any plan of one teacher costs, from the costs of the teacher's parts: a sum, so that a search can ask often."""

from collections.abc import Iterator, Mapping
from typing import Any

from hummingbird.pruning.planner.cost import Cost, InputShape, part_costs
from hummingbird.pruning.pruned_config import pruned_config
from hummingbird.pruning.pruning_plan import (
    FIRST,
    PARTS,
    Narrow,
    Plan,
    transformer_widths,
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
                stage = self._config[f"{side}_stages"][index]
                for number in kept:
                    name, layer = f"{side}.{index}.{number}", stage["layers"][number]
                    yield f"{name}.residual", (0, 0)
                    level = self._level(plan.narrow.get(name), layer, stage["width"])
                    for part, key in PARTS.items():
                        if layer[key] and f"{name}.{part}" not in plan.drop:
                            yield f"{name}.{part}", level if part in ATTENTION else (0, 0)

    def _level(self, narrow: Narrow | None, layer: Config, width: int) -> tuple[int, int]:
        if narrow is None:
            return 0, 0
        heads, _, wide = transformer_widths(layer, width, self._config)
        levels = []
        for wanted, has in ((narrow.heads, heads), (narrow.feed_forward, wide)):
            level = 0
            while wanted is not None and has >> level > wanted:
                level += 1
            if wanted is not None and has >> level != wanted:
                raise ValueError(f"{wanted} is no half, quarter, ... of {has}")
            levels.append(level)
        return levels[0], levels[1]

    def _variant(self, level: tuple[int, int]) -> dict[str, Cost]:
        """Costs of the parts where every layer's heads and feed-forward are halved so often."""
        if level not in self._variants:
            plan, narrow = whole_plan(self._config), {}
            for side in ("down", "up"):
                for index, stage in enumerate(self._config[f"{side}_stages"]):
                    for number, layer in enumerate(stage["layers"]):
                        heads, _, wide = transformer_widths(layer, stage["width"], self._config)
                        if layer["attention"] or layer["temporal_attention"]:
                            narrow[f"{side}.{index}.{number}"] = Narrow(
                                heads=max(heads >> level[0], 1), feed_forward=max(wide >> level[1], 1)
                            )
            config = pruned_config(plan.model_copy(update={"narrow": narrow}), self._config)
            self._variants[level] = part_costs(config, self._shape)
        return self._variants[level]
