"""The few-step student of the line ``shapes-long``, shipped."""

from pathlib import Path
from typing import Any

from hummingbird.core.errors import InputError
from hummingbird.core.files import AnyPath
from hummingbird.core.scratch import local_copy
from hummingbird.lake.runs import load_result
from hummingbird.models.scheduler import VideoScheduler
from hummingbird.models.unet import VideoUNet
from hummingbird.pretraining.card import ship, write_card


def ship_student(line: AnyPath, weights: Path) -> dict[str, Any]:
    """Copy the few-step student that the line made, with its noise process; returns the facts of its card.

    Args:
        line: the ``result.json`` of the line.

    Raises:
        InputError: it does not exist, or the line did not finish.
    """
    if not line.is_file():
        raise InputError(f"there is no {line}: make quickstart RECIPE=shapes-long makes the student to ship")
    result = load_result(line)
    if result["state"] != "finished":
        raise InputError(f"{line}: this line is {result['state']}: run it again")
    metrics, outputs = result["metrics"], result["outputs"]
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
