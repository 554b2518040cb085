"""A captioning engine from outside: it names the color that a clip has most of, without any model's weights."""

from collections.abc import Sequence

from hummingbird.config.section import Section
from hummingbird_data.captions.engines import CaptionEngine, CaptionModel, answered
from hummingbird_data.stage import Row


class ColorEngine(CaptionEngine):
    """Answers every question by the mean of the frames that it is shown."""

    class Settings(Section):
        """What the color is said of."""

        noun: str = "scene"

    @property
    def identity(self) -> CaptionModel:
        return CaptionModel(name=self.spec.model, digest="colors-1", licence="apache-2.0")

    def answers(self, rows: Sequence[Row]) -> list[Row]:
        answers = []
        for row in rows:
            frames = self.look(row)
            assert frames is not None, "a captioner is shown frames"
            color = ("red", "green", "blue")[int(frames.mean((0, 1, 2)).argmax())]
            text = f"a {self.settings.noun} that is mostly {color}"
            answers.append(answered(text, cut=False, frames=frames))
        return answers
