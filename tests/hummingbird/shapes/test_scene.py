import numpy as np
import pytest
from hummingbird.shapes.scene import (
    BACKGROUNDS,
    COLORS,
    MOTIONS,
    SHAPES,
    Attributes,
    caption,
    format_caption,
    parse_caption,
    render,
    render_clip,
    sample_scene,
)

SCENES = [sample_scene(np.random.default_rng(seed), duration=2.0 + seed % 3) for seed in range(60)]


def _colored(frames: np.ndarray) -> np.ndarray:
    return np.asarray(np.ptp(frames.astype(int), -1) > 60)


def test_objects_stay_inside_the_frame_for_the_whole_scene() -> None:
    for scene in SCENES:
        seen = _colored(render(scene, np.linspace(0, scene.duration, 5)))
        assert seen.any((1, 2)).all()
        assert not seen[:, [0, -1]].any()
        assert not seen[:, :, [0, -1]].any()


def test_everything_that_matters_lies_in_the_central_square() -> None:
    for scene in SCENES[:20]:
        wide = _colored(render(scene, np.array([0.0, scene.duration]), 96, 64))
        assert not wide[:, :, :16].any()
        assert not wide[:, :, 80:].any()


def test_sampling_covers_the_world_and_depends_on_the_seed_alone() -> None:
    scenes = [sample_scene(np.random.default_rng(seed)) for seed in range(300)]
    assert scenes[7] == sample_scene(np.random.default_rng(7))
    assert {s.motion for s in scenes} == set(MOTIONS)
    assert {s.background for s in scenes} == set(BACKGROUNDS)
    assert {o.shape for s in scenes for o in s.objects} == set(SHAPES)
    assert {o.color for s in scenes for o in s.objects} == set(COLORS)
    assert {len(s.objects) for s in scenes} == {1, 2}


def test_a_circle_never_turns() -> None:
    for seed in range(100):
        scene = sample_scene(np.random.default_rng(seed), motion="turning")
        assert "circle" not in {o.shape for o in scene.objects}


@pytest.mark.parametrize("motion", MOTIONS)
def test_every_motion_changes_the_picture_and_leaves_the_background(motion: str) -> None:
    scene = sample_scene(np.random.default_rng(3), objects=1, motion=motion)
    frames = render_clip(scene)
    changed = (frames[0] != frames[-1]).any(-1)
    assert changed.sum() > 20
    assert not changed[:, 0].any()


def test_captions_are_read_back() -> None:
    for scene in SCENES:
        attributes = parse_caption(caption(scene))
        assert attributes is not None
        assert format_caption(attributes) == caption(scene)
        assert attributes.objects == tuple((o.color, o.shape) for o in scene.objects)


def test_other_texts_state_nothing() -> None:
    red = Attributes((("red", "circle"),), "growing", "brick")
    assert parse_caption(f"  {format_caption(red).upper()}. ") == red
    for text in ("", "a cool video", "a red circle", "a red circle moving left on a wooden background"):
        assert parse_caption(text) is None


def test_a_scene_has_one_or_two_objects() -> None:
    with pytest.raises(ValueError, match="not 3"):
        sample_scene(np.random.default_rng(0), objects=3)
