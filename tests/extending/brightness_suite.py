"""A suite of someone else: are videos as bright as their prompts say?"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hummingbird.config.section import Section
from hummingbird.evaluation.score import Dimension
from hummingbird.evaluation.suites.base import EvaluationPrompt, Measurement, Suite


class BrightnessSuite(Suite):
    """Prompts of bright and of dark rooms."""

    class Settings(Section):
        least: float = 0.5
        """Mean of the pixels from which a video is bright."""

    dimensions = (
        Dimension(
            "brightness", 0.0, 1.0, 1.0, "light", "share of videos that are bright or dark as prompted"
        ),
    )
    parts: ClassVar[Mapping[str, float]] = {"light": 1.0}

    def prompts(self, count: int, seed: int) -> Sequence[EvaluationPrompt]:
        return [
            EvaluationPrompt(f"{number:04d}", f"a {('bright', 'dark')[number % 2]} room", (seed + number,))
            for number in range(count)
        ]

    def measure(self, frames: Any, prompt: EvaluationPrompt) -> Measurement:
        bright = frames.mean() / 255 >= self.settings.least  # type: ignore[attr-defined]
        right = bright == ("bright" in prompt.text)
        return Measurement({"brightness": right}, {"brightness": right})
