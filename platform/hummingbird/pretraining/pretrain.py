"""The verb ``pretrain``: train one of the small models and ship it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from transformers import CLIPTextModel, PreTrainedTokenizerFast

from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.lake.runs import open_run
from hummingbird.models.rewards import TextVideoScorer
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.models.unet import VideoUNet
from hummingbird.pretraining.autoencoder import pretrain_autoencoder
from hummingbird.pretraining.captioner import pretrain_captioner, ship_captioner
from hummingbird.pretraining.card import ship, weights_folder, write_card
from hummingbird.pretraining.decoder import pretrain_decoder
from hummingbird.pretraining.quality import pretrain_quality, ship_quality
from hummingbird.pretraining.rewards import pretrain_rewards
from hummingbird.pretraining.student import ship_student
from hummingbird.pretraining.teacher import GUIDANCE, NOISE, pretrain_teacher
from hummingbird.pretraining.text import pretrain_text

Facts = dict[str, Any]

_DRAWN = (
    "Trained on scenes drawn by `hummingbird.shapes.scene`, on a seed of its own, with `jobs/pretrain.py`."
)


@dataclass(frozen=True)
class ShippedModel:
    """How a trained model goes into the folder of weights.

    Attributes:
        kind: its class.
        trained: its folder in the run.
        home: its folder of weights.
        title, text: of its card.
        tokenizer: the folder of the tokenizer that goes along, in the run and of weights.
        card: the folder of its card; none: its own.
    """

    kind: type[Any]
    trained: str
    home: str
    title: str
    text: str
    tokenizer: tuple[str, str] | None = None
    card: str | None = None

    def ship(self, folder: Path, weights: Path, facts: Facts) -> None:
        """Copies it from the run's folder, in half precision, and writes its card."""
        ship(self.kind.from_pretrained(folder / self.trained), weights / self.home)
        if self.tokenizer is not None:
            trained, home = self.tokenizer
            PreTrainedTokenizerFast.from_pretrained(folder / trained).save_pretrained(weights / home)
        write_card(weights / (self.card or self.home), f"{self.title} of the shapes world", self.text, facts)


AUTOENCODER = ShippedModel(
    AutoencoderKL,
    trained="vae",
    home="components/vae",
    title="Autoencoder",
    text=f"Frame-wise KL autoencoder: 8 times smaller, 16 channels. {_DRAWN}",
)
DECODER = ShippedModel(
    AutoencoderTiny,
    trained="decoder",
    home="components/decoder",
    title="Small decoder",
    text=f"Small decoder of the autoencoder's scaled latents, of TAESD's class. {_DRAWN}",
)
TEXT_ENCODER = ShippedModel(
    CLIPTextModel,
    trained="text_encoder",
    home="components/text_encoder",
    title="Text encoder",
    text="Text encoder of CLIP's structure at a small width, trained on captions of the shapes world: the losses say "
    "how well each attribute can be read from the tokens after it, with `jobs/pretrain.py pretrain.part=text`.",
    tokenizer=("tokenizer", "components/tokenizer"),
)
REWARDS = ShippedModel(
    TextVideoScorer,
    trained="rewards",
    home="rewards",
    title="Rewards",
    text="Image-text and video-text rewards on the pipeline's text encoder. `image_right` and `video_right`: how often "
    f"the true caption beats seven that differ in one attribute. {_DRAWN}",
    tokenizer=("rewards/tokenizer", "rewards/tokenizer"),
)
TEACHER = ShippedModel(
    VideoUNet,
    trained="unet",
    home="teacher/unet",
    title="Teacher",
    text="A text-to-video U-Net of VideoCrafter2's structure with three stages at a small width, which is also told "
    f"the places of its frames. {_DRAWN}",
    card="teacher",
)


def ship_teacher(folder: Path, weights: Path, facts: Facts) -> None:
    """Copies the trained teacher's U-Net, and its noise process into the shared components."""
    TEACHER.ship(folder, weights, facts)
    VideoScheduler(**NOISE, guidance_scale=GUIDANCE).save_pretrained(weights / "components" / "scheduler")


PARTS: dict[str, tuple[Callable[[Path, Settings], Facts], Callable[[Path, Path, Facts], None]]] = {
    "autoencoder": (pretrain_autoencoder, AUTOENCODER.ship),
    "decoder": (pretrain_decoder, DECODER.ship),
    "text": (pretrain_text, TEXT_ENCODER.ship),
    "rewards": (pretrain_rewards, REWARDS.ship),
    "teacher": (pretrain_teacher, ship_teacher),
    "quality": (pretrain_quality, ship_quality),
    "captioner": (pretrain_captioner, ship_captioner),
}
"""What trains a part in the run's folder and returns its facts, and what copies it into the folder of weights."""


def pretrain(settings: Settings) -> Path:
    """Train the part that the settings name and ship it into the folder of weights; returns ``result.json``.

    Goes on from its checkpoint where the same call was stopped before.

    Raises:
        InputError: a setting does not suit the part, or what the part is made from is missing.
    """
    chosen = settings.pretrain
    if chosen.workers > 1 and chosen.part != "teacher":
        raise InputError(f"pretrain.workers={chosen.workers}: the {chosen.part} is trained in one process")
    if chosen.start and chosen.part in ("quality", "captioner", "student"):
        raise InputError(f"pretrain.start={chosen.start}: the {chosen.part} starts from no weights")
    weights = weights_folder(settings)
    torch.set_num_threads(chosen.threads)
    with open_run(settings, "pretrain") as run:
        if chosen.part == "student":
            facts = ship_student(settings.storage / "quickstart" / "result.json", weights)
        else:
            train, ship_part = PARTS[chosen.part]
            facts = {"seed": settings.seed, **train(run.folder, settings)}
            ship_part(run.folder, weights, facts)
        run.metrics |= facts
        run.outputs["weights"] = weights
        return run.result_path
