"""What feedback's settings refuse."""

import pytest
from hummingbird.config.loading import load_settings
from hummingbird.core.errors import InputError


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["feedback.target=teacher"], "need phases"),
        (["feedback.on_policy=0.5"], "need phases"),
        (["feedback.on_policy=1.5", "feedback.phases=4"], "on_policy"),
        (["feedback.reuse=0"], "reuse"),
        (["feedback.guidance_scale_min=3", "feedback.guidance_scale_max=2"], "below guidance_scale_min"),
        (["feedback.phases=5", "feedback.solver_steps=4"], "more phases than solver_steps"),
    ],
)
def test_what_does_not_fit_together_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_settings(overrides=overrides)


def test_phases_make_room_for_the_students_own_trajectories() -> None:
    feedback = load_settings(
        overrides=["feedback.phases=4", "feedback.target=teacher", "feedback.on_policy=0.7"]
    ).feedback
    assert (feedback.target, feedback.on_policy, feedback.reuse) == ("teacher", 0.7, 1)
