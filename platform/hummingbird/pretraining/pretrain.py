"""The verb ``pretrain``: train one of the small models and ship it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from transformers import CLIPTextModel, PreTrainedTokenizerFast

from hummingbird.config.pretrain import PretrainSettings
from hummingbird.config.settings import Settings
from hummingbird.core.devices import resolve_device
from hummingbird.core.errors import InputError
from hummingbird.core.files import AnyPath
from hummingbird.core.model_references import SHIPPED_WEIGHTS
from hummingbird.core.scratch import local_copy
from hummingbird.lake.runs import load_result, open_run
from hummingbird.models.rewards import TextVideoScorer
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.models.unet import VideoUNet
from hummingbird.pretraining.autoencoder import pretrain_autoencoder
from hummingbird.pretraining.card import ship, write_card
from hummingbird.pretraining.decoder import pretrain_decoder
from hummingbird.pretraining.loop import Course
from hummingbird.pretraining.rewards import pretrain_rewards
from hummingbird.pretraining.teacher import GUIDANCE, NOISE, pretrain_teacher
from hummingbird.pretraining.text import pretrain_text

_DRAWN = (
    "Trained on scenes drawn by `hummingbird.shapes.scene`, on a seed of its own, with `jobs/pretrain.py`."
)


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
    weights = chosen.weights or SHIPPED_WEIGHTS
    torch.set_num_threads(chosen.threads)
    with open_run(settings, "pretrain") as run:
        facts = _PARTS[chosen.part](settings, run.folder, weights)
        run.metrics |= facts
        run.outputs["weights"] = weights
        return run.result_path


def ship_autoencoder(folder: Path, weights: Path, facts: dict[str, Any]) -> None:
    """Copy a trained autoencoder into the shared components."""
    home = weights / "components" / "vae"
    ship(AutoencoderKL.from_pretrained(folder / "vae"), home)
    text = f"Frame-wise KL autoencoder: 8 times smaller, 16 channels. {_DRAWN}"
    write_card(home, "Autoencoder of the shapes world", text, facts)


def ship_decoder(folder: Path, weights: Path, facts: dict[str, Any]) -> None:
    """Copy a trained small decoder into the shared components."""
    home = weights / "components" / "decoder"
    ship(AutoencoderTiny.from_pretrained(folder / "decoder"), home)
    text = f"Small decoder of the autoencoder's scaled latents, of TAESD's class. {_DRAWN}"
    write_card(home, "Small decoder of the shapes world", text, facts)


def ship_text(folder: Path, weights: Path, facts: dict[str, Any]) -> None:
    """Copy the trained text encoder and its tokenizer into the shared components."""
    home = weights / "components"
    ship(CLIPTextModel.from_pretrained(folder / "text_encoder"), home / "text_encoder")
    PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer").save_pretrained(home / "tokenizer")
    text = (
        "Text encoder of CLIP's structure at a small width, trained on captions of the shapes world: the losses say "
        "how well each attribute can be read from the tokens after it, with `jobs/pretrain.py pretrain.part=text`."
    )
    write_card(home / "text_encoder", "Text encoder of the shapes world", text, facts)


def ship_rewards(folder: Path, weights: Path, facts: dict[str, Any]) -> None:
    """Copy the trained scorer with its tokenizer."""
    ship(TextVideoScorer.from_pretrained(folder / "rewards"), weights / "rewards")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "rewards" / "tokenizer")
    tokenizer.save_pretrained(weights / "rewards" / "tokenizer")
    text = (
        "Image-text and video-text rewards on the pipeline's text encoder. "
        "`image_right` and `video_right`: how often the true caption beats seven that differ in one attribute. "
        f"{_DRAWN}"
    )
    write_card(weights / "rewards", "Rewards of the shapes world", text, facts)


def ship_teacher(folder: Path, weights: Path, facts: dict[str, Any]) -> None:
    """Copy the trained teacher's U-Net, and its noise process into the shared components."""
    ship(VideoUNet.from_pretrained(folder / "unet"), weights / "teacher" / "unet")
    VideoScheduler(**NOISE, guidance_scale=GUIDANCE).save_pretrained(weights / "components" / "scheduler")
    text = (
        "A text-to-video U-Net of VideoCrafter2's structure with three stages at a small width, which is also told "
        f"the places of its frames. {_DRAWN}"
    )
    write_card(weights / "teacher", "Teacher of the shapes world", text, facts)


def ship_student(line: AnyPath, weights: Path) -> dict[str, Any]:
    """Copy the few-step student that the line made, with its noise process; returns the facts of its card.

    Args:
        line: the ``result.json`` of the line.

    Raises:
        InputError: it does not exist, or the line did not finish.
    """
    if not line.is_file():
        raise InputError(f"there is no {line}: make quickstart RECIPE=shapes-long makes the student to ship")
    made = load_result(line)
    if made["state"] != "finished":
        raise InputError(f"{line}: this line is {made['state']}: run it again")
    metrics, outputs = made["metrics"], made["outputs"]
    pipeline, home = local_copy(outputs["student"]), weights / "student"
    ship(VideoUNet.from_pretrained(pipeline / "unet"), home / "unet")
    # Its own: the teacher's, which shipped pipelines share, takes 50 steps.
    VideoScheduler.from_pretrained(pipeline / "scheduler").save_pretrained(home / "scheduler")
    trained = {verb: load_result(outputs["results"][verb])["metrics"] for verb in ("distill", "feedback")}
    facts: dict[str, Any] = {
        "parameters": metrics["student_parameters"],
        "share of the teacher's": metrics["student_parameters"] / metrics["teacher_parameters"],
        "clips": metrics["kept"],
        **{f"{verb} {key}": values[key] for verb, values in trained.items() for key in ("steps", "seconds")},
        "prompts": metrics["prompts"],
        **{f"total of the {name}": total for name, total in metrics["total"].items()},
        "speedup over the eager teacher": metrics["speedup"],
        "speedup over the compiled teacher": metrics["speedup_compiled"],  # None: that was not timed
    }
    text = (
        "The teacher pruned, distilled and given feedback by `make quickstart RECIPE=shapes-long`: a few-step model "
        "that embeds its guidance and makes a video in 4 steps. Scored before its weights were rounded to 16 bits."
    )
    write_card(home, "Student of the shapes world", text, facts)
    return facts


def _course(s: PretrainSettings) -> Course:
    device = resolve_device(s.device, "pretrain.device")
    return Course(
        s.steps, s.minutes, s.learning_rate, s.start, device, s.batch_factor, s.processes, s.workers
    )


def _autoencoder(settings: Settings, folder: Path, weights: Path) -> dict[str, Any]:
    s = settings.pretrain
    facts = pretrain_autoencoder(folder, settings.seed, _course(s))
    facts = {"seed": settings.seed, **facts}
    ship_autoencoder(folder, weights, facts)
    return facts


def _decoder(settings: Settings, folder: Path, weights: Path) -> dict[str, Any]:
    facts = pretrain_decoder(folder, weights / "components", settings.seed, _course(settings.pretrain))
    facts = {"seed": settings.seed, **facts}
    ship_decoder(folder, weights, facts)
    return facts


def _text(settings: Settings, folder: Path, weights: Path) -> dict[str, Any]:
    s = settings.pretrain
    facts = {
        "seed": settings.seed,
        **pretrain_text(folder, settings.seed, _course(s)),
    }
    ship_text(folder, weights, facts)
    return facts


def _rewards(settings: Settings, folder: Path, weights: Path) -> dict[str, Any]:
    s = settings.pretrain
    facts = pretrain_rewards(folder, weights / "components", settings.seed, _course(s))
    facts = {"seed": settings.seed, **facts}
    ship_rewards(folder, weights, facts)
    return facts


def _teacher(settings: Settings, folder: Path, weights: Path) -> dict[str, Any]:
    s = settings.pretrain
    facts = pretrain_teacher(
        folder,
        weights / "components",
        settings.seed,
        _course(s),
        s.clips,
        image_steps=s.image_steps,
    )
    facts = {"seed": settings.seed, "clips": s.clips, **facts}
    ship_teacher(folder, weights, facts)
    return facts


def _student(settings: Settings, folder: Path, weights: Path) -> dict[str, Any]:
    return ship_student(settings.storage / "quickstart" / "result.json", weights)


def _quality(settings: Settings, folder: Path, weights: Path) -> dict[str, Any]:
    from hummingbird.pretraining.quality import pretrain_quality, ship_quality

    facts = pretrain_quality(
        folder, settings.seed, settings.pretrain.steps, minutes=settings.pretrain.minutes
    )
    ship_quality(folder, weights, facts)
    return facts


def _captioner(settings: Settings, folder: Path, weights: Path) -> dict[str, Any]:
    from hummingbird.pretraining.captioner import pretrain_captioner, ship_captioner

    facts = pretrain_captioner(folder, settings.seed, settings.pretrain.steps, settings.pretrain.minutes)
    ship_captioner(folder, weights, facts)
    return facts


_PARTS: dict[str, Callable[[Settings, Path, Path], dict[str, Any]]] = {
    "autoencoder": _autoencoder,
    "decoder": _decoder,
    "text": _text,
    "rewards": _rewards,
    "teacher": _teacher,
    "student": _student,
    "quality": _quality,
    "captioner": _captioner,
}
