"""Suites: what models are evaluated on, and by which dimensions. See `hummingbird.evaluation.suites.base`."""

from hummingbird.config.evaluate import EvaluateSettings
from hummingbird.config.plugins import Plugin, resolve_plugin
from hummingbird.evaluation.suites.base import Suite

SUITES = {
    "shapes": "hummingbird.evaluation.suites.shapes.suite:ShapesSuite",
    "vbench": "hummingbird.evaluation.suites.vbench.suite:VBenchSuite",
    "prompts": "hummingbird.evaluation.suites.own_prompts:OwnPromptsSuite",
}
"""Names for ``evaluate.suite``; any other is an import path, ``module:Class``."""


def resolve_suite(settings: EvaluateSettings) -> Plugin[Suite]:
    """The suite of ``evaluate.suite``; where that is none, ``prompts`` for a file of prompts, else ``shapes``.

    Raises:
        InputError: see `hummingbird.config.plugins.resolve_plugin`.
    """
    default = "shapes" if isinstance(settings.prompts, int) else "prompts"
    choice = default if settings.suite is None else settings.suite
    return resolve_plugin("evaluate.suite", choice, SUITES, Suite)  # type: ignore[type-abstract]
