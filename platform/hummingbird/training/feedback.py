"""The verb ``feedback``: a few-step model of a distilled student, pushed by rewards."""

from pathlib import Path

from hummingbird.config.settings import Settings
from hummingbird.training.rewards.term import resolve_rewards
from hummingbird.training.training_stage import TrainingStage, resolve_method, run_stage


def feedback(settings: Settings) -> Path:
    """Makes a few-step model of ``models.student`` (none: what distill made); returns ``result.json``.

    Raises:
        InputError: a model or the cache is missing, or they do not fit each other.
    """
    chosen = settings.feedback
    stage = TrainingStage(
        verb="feedback",
        kind="feedback",
        after="distill",
        settings=chosen,
        method=resolve_method("feedback.method", chosen.method),
        rewards=resolve_rewards("feedback.rewards", chosen.rewards),
        reward_from=chosen.reward_from,
    )
    return run_stage(settings, stage)
