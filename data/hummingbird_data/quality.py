"""Technical and aesthetic quality by the DOVER-structured model."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from hummingbird_data.clip_frames import clip_frames
from hummingbird_data.stage import Row, Stage

if TYPE_CHECKING:
    from hummingbird.models.dover import DOVER


@dataclass
class QualityStage(Stage):
    """``model`` is the folder of the weights. Clips whose technical score it does not decide have no scores of
    it: it knows other pictures, or must not be used."""

    name: ClassVar[str] = "quality"
    inputs: ClassVar[tuple[str, ...]] = ("media_path", "storage", "technical_by")
    outputs: ClassVar[tuple[str, ...]] = ("quality_technical", "quality_aesthetic", "quality_overall")
    model: Path
    actors: int = 0
    gpus: float = 0.0
    cpus: float = 1.0
    batch_rows: int = 1
    _model: "DOVER | None" = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.actors:
            # Nothing is set aside for them: they wait for the tasks before them most of the time, and on a machine
            # with one core those tasks would wait for a core for ever.
            self.cpus = 0.0

    def setup(self) -> None:
        import torch

        torch.set_num_threads(1)  # the cluster's cores are shared out by Ray
        device = "cuda" if self.gpus else "cpu"
        self._model = load_quality(self.model).to(device).eval()

    def process(self, row: Row) -> Iterable[Row]:
        assert self._model is not None, "setup() was not called"
        if row["technical_by"] != "model":
            return [dict.fromkeys(self.outputs)]
        frames, _ = clip_frames(row)
        scores = self._model.score(frames)
        made = {f"quality_{name}": float(scores[name]) for name in ("technical", "aesthetic", "overall")}
        if not all(map(math.isfinite, made.values())):
            # It would pass every threshold.
            raise ValueError(f"the quality model gave {made}")
        return [made]


def load_quality(folder: Path) -> "DOVER":
    """The quality model in ``folder``.

    Raises:
        InputError: its weights are missing, renamed, of another shape or cut off.
    """
    from hummingbird.models.dover import DOVER
    from hummingbird.models.loading import load_pretrained

    model: DOVER = load_pretrained(DOVER, folder)
    return model
