"""The verb ``feedback``: a few-step model of a distilled student, pushed by rewards."""

from pathlib import Path

from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.training.rewards.term import check_licences, resolve_rewards
from hummingbird.training.training_stage import TrainingStage, resolve_method, run_stage


def feedback(settings: Settings) -> Path:
    """Makes a few-step model of ``models.student`` (none: what distill made); returns ``result.json``.

    Raises:
        InputError: a model or the cache is missing, or they do not fit each other.
    """
    chosen = settings.feedback
    rewards = resolve_rewards("feedback.rewards", chosen.rewards)
    held_out = resolve_rewards("feedback.held_out.rewards", chosen.held_out.rewards)
    both = sorted({reward.name for reward in rewards} & {reward.name for reward in held_out})
    if both:
        raise InputError(f"{both[0]} is in feedback.rewards: what is trained on cannot be held out")
    check_licences("feedback.rewards", [*rewards, *held_out], chosen.allow_noncommercial)
    stage = TrainingStage(
        verb="feedback",
        kind="feedback",
        after="distill",
        settings=chosen,
        method=resolve_method("feedback.method", chosen.method),
        rewards=rewards,
        held_out=held_out,
    )
    return run_stage(settings, stage)
