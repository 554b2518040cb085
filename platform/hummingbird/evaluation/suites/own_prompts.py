"""Prompts of one's own, whatever they are about: the dimensions of VBench that need neither models nor lists."""

from collections.abc import Mapping

from hummingbird.evaluation.suites.vbench.dimensions import NEEDS
from hummingbird.evaluation.suites.vbench.suite import VBenchSuite


class OwnPromptsSuite(VBenchSuite):
    """As ``vbench``; dimensions that are defined on VBench's lists of prompts are missing for any others.

    So there is neither a semantic part nor a total, whatever else is measured.
    """

    @property
    def missing(self) -> Mapping[str, str]:
        own = {name for name, needs in NEEDS.items() if needs.on_lists}
        return {**super().missing, **dict.fromkeys(own, "is defined on VBench's own prompts alone")}

    @property
    def of_files(self) -> frozenset[str]:
        return super().of_files - {name for name, needs in NEEDS.items() if needs.on_lists}
