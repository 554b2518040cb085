"""The verb ``distill``: a pruned student learns the guided teacher's output and features."""

from pathlib import Path

from hummingbird.config.settings import Settings
from hummingbird.training.training_stage import TrainingStage, resolve_method, run_stage


def distill(settings: Settings) -> Path:
    """Distils ``models.teacher`` into ``models.student`` (none: what prune made); returns ``result.json``.

    By distillation, the student has the guidance built in: sample it with guidance 1.

    Raises:
        InputError: a model or the cache is missing, or they do not fit each other.
    """
    chosen = settings.distill
    stage = TrainingStage(
        verb="distill",
        kind="distilled",
        after="prune",
        settings=chosen,
        method=resolve_method("distill.method", chosen.method),
    )
    return run_stage(settings, stage)
