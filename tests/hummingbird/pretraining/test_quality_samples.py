"""The labeled clips that the quality model learns from."""

import numpy as np
import pytest
from hummingbird.pretraining.quality_samples import (
    DEFECTS,
    composition_of,
    dead_leaves,
    draw_sample,
)
from hummingbird.shapes.coding import recode
from hummingbird.shapes.scene import Scene, SceneObject, Texture


def test_a_seed_always_gives_the_same_clip():
    for index in range(3):
        first, again = draw_sample((1, index)), draw_sample((1, index))
        # Labels and picture, not bytes: x264's macroblock tree codes the same frames differently at times.
        assert (first.group, first.distractor, first.composition) == (
            again.group,
            again.distractor,
            again.composition,
        )
        assert first.frames.shape == again.frames.shape
        assert np.abs(first.frames.mean((0, 1, 2)) - again.frames.mean((0, 1, 2))).max() < 1
    assert len({draw_sample((1, index)).frames.tobytes() for index in range(3)}) == 3


def test_half_of_the_clips_are_defective_and_every_defect_occurs():
    samples = [draw_sample((5, index)) for index in range(24)]
    found = [sample.defect for sample in samples]
    assert 7 <= sum(defect is None for defect in found) <= 17
    assert set(found) == {None, *DEFECTS}
    for sample in samples:
        assert sample.frames.dtype == np.uint8
        assert len(sample.frames) >= 12
        assert min(sample.frames.shape[1:3]) >= 128
        assert sample.composition is None or 0 <= sample.composition <= 1


def test_leaves_move_and_are_as_large_as_asked():
    frames = dead_leaves(np.random.default_rng(3), 6, 96, 64)
    assert frames.shape == (6, 64, 96, 3)
    assert (frames[0] != frames[-1]).any()


def test_a_high_rate_factor_loses_detail_that_a_low_one_keeps():
    frames = dead_leaves(np.random.default_rng(1), 6, 96, 64)
    error = [np.abs(recode(frames, crf).astype(int) - frames).mean() for crf in (15, 50)]
    assert 2 * error[0] < error[1]


def thing(**changes):
    return SceneObject(**{"shape": "circle", "color": "red", "x": 0.0, "y": 0.0, "radius": 0.2, **changes})


@pytest.mark.parametrize(
    ("item", "time", "text", "expected"),
    [
        (thing(rgb=(255, 0, 0)), 0.0, False, 1.0),
        (thing(rgb=(255, 0, 0)), 0.0, True, 0.5),
        (thing(rgb=(255, 0, 0), radius=0.1), 0.0, False, 5 / 6),
        (thing(rgb=(255, 0, 0)), 0.5, False, 5 / 6),  # it has moved half the way out
        (thing(rgb=(100, 100, 100)), 0.0, False, 2 / 3),
    ],
)
def test_composition_rewards_size_center_and_contrast_and_punishes_text(item, time, text, expected):
    texture = Texture("dotted", 0.2, (0.0, 0.0), (90, 90, 90), (110, 110, 110))
    scene = Scene((item,), "moving left", texture, None, speed=0.35, duration=2.0)
    assert composition_of(scene, time, text) == pytest.approx(expected)
