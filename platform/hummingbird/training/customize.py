"""The training of a style: an adapter of a model on a cache of a user's own clips."""

from pathlib import Path

from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.training.training_stage import TrainingStage, resolve_method, run_stage


def train_style(settings: Settings) -> Path:
    """Trains ``customize.lora`` for ``models.student``, which is ``models.teacher`` too; returns ``result.json``.

    Raises:
        InputError: no adapter is asked for, or the cache does not fit the model.
    """
    chosen = settings.customize
    if not chosen.lora.rank:
        raise InputError("customize.lora.rank=0: a style is an adapter, which has a rank of 1 or more")
    method = resolve_method("customize.method", chosen.method)
    return run_stage(settings, TrainingStage("customize", "styled", "customize", chosen, method))
