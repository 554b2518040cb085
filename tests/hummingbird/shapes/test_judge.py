from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hummingbird.shapes.coding import recode
from hummingbird.shapes.judge import matches, observe
from hummingbird.shapes.scene import (
    BACKGROUNDS,
    COLORS,
    Attributes,
    Scene,
    caption,
    draw_texture,
    parse_caption,
    render,
    render_clip,
    sample_scene,
    sample_texture,
)
from numpy.typing import NDArray

Frames = NDArray[np.uint8]


def _as_is(frames: Frames, rng: np.random.Generator) -> Frames:
    return frames


def _soft(frames: Frames, rng: np.random.Generator) -> Frames:
    """Like a small autoencoder's reconstruction, then coded: blur, noise, a shift of color, H.264."""
    blurred = np.stack([cv2.GaussianBlur(f, (0, 0), 0.8) for f in frames]).astype(float)
    noisy = blurred + rng.normal(0, 6, blurred.shape) + rng.uniform(-8, 8, 3)
    return recode(np.clip(noisy, 0, 255).astype(np.uint8), 23)


def _error_rate(count: int, seed: int, look: Callable[[Frames, np.random.Generator], Frames]) -> float:
    """The share of clips in which the worst attribute is seen wrong, or not seen."""
    rng = np.random.default_rng(seed)
    wrong: Counter[str] = Counter()
    stated: Counter[str] = Counter()
    for _ in range(count):
        scene = sample_scene(rng, duration=float(rng.uniform(2.0, 3.6)))
        checks = matches(observe(look(render_clip(scene), rng)), _attributes(scene))
        stated.update(checks)
        wrong.update(name for name, right in checks.items() if not right)
    return max(wrong[name] / stated[name] for name in stated)


def _attributes(scene: Scene) -> Attributes:
    attributes = parse_caption(caption(scene))
    assert attributes is not None
    return attributes


def test_rendered_clips_are_seen_right() -> None:
    assert _error_rate(100, 1, _as_is) <= 0.01


def test_soft_clips_are_seen_right() -> None:
    assert _error_rate(50, 2, _soft) <= 0.02


@pytest.mark.slow
@pytest.mark.parametrize("look", [_as_is, _soft])
def test_at_least_99_percent_of_each_attribute_is_right(look: Callable[..., Frames]) -> None:
    assert _error_rate(400, 3, look) <= 0.01


@pytest.mark.parametrize("kind", ["noise", "still noise", "soft noise", "even", "colored"])
def test_nothing_is_seen_where_there_is_nothing(kind: str) -> None:
    rng = np.random.default_rng(5)
    for _ in range(4):
        if kind == "noise":
            frames = rng.integers(0, 256, (16, 64, 64, 3), dtype=np.uint8)
        elif kind == "still noise":
            frames = np.repeat(rng.integers(0, 256, (1, 64, 64, 3), dtype=np.uint8), 16, 0)
        elif kind == "soft noise":
            coarse = rng.normal(128, 50, (16, 8, 8, 3)).astype(np.float32)
            frames = np.stack([cv2.resize(f, (64, 64), interpolation=cv2.INTER_CUBIC) for f in coarse])
            frames = np.clip(frames, 0, 255).astype(np.uint8)
        else:
            color = rng.integers(0, 256, 3 if kind == "colored" else 1, dtype=np.uint8)
            frames = np.broadcast_to(color, (16, 64, 64, 3)).copy()
        seen = observe(frames)
        assert (seen.objects, seen.background, seen.relation) == ((), None, None)


@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_a_background_alone_is_named_and_holds_no_objects(kind: str) -> None:
    rng = np.random.default_rng(6)
    for _ in range(5):
        still = draw_texture(sample_texture(rng, kind), 64, 64)
        frames = np.clip(still + rng.normal(0, 8, (16, 64, 64, 3)), 0, 255).astype(np.uint8)
        seen = observe(frames)
        assert (seen.objects, seen.background) == ((), kind)


@pytest.mark.parametrize("grain", [4, 8, 12, 16, 32])
def test_gray_clouds_are_no_texture(grain: int) -> None:
    rng = np.random.default_rng(11)
    for _ in range(5):
        cloud = cv2.resize(rng.normal(128, 30, (grain, grain)), (64, 64), interpolation=cv2.INTER_CUBIC)
        frame = np.repeat(np.clip(cloud, 0, 255).astype(np.uint8)[..., None], 3, -1)
        seen = observe(np.repeat(frame[None], 16, 0))
        assert (seen.objects, seen.background) == ((), None)


def test_an_object_that_stands_still_has_no_motion() -> None:
    scene = sample_scene(np.random.default_rng(7), objects=2, motion="moving up")
    seen = observe(np.repeat(render_clip(scene)[:1], 16, 0))
    assert [o.motion for o in seen.objects] == [None, None]
    assert {o.shape for o in seen.objects} == {o.shape for o in scene.objects}


def test_an_unknown_shape_gets_no_name() -> None:
    still = draw_texture(sample_texture(np.random.default_rng(8), "brick"), 64, 64).astype(np.uint8)
    red = (225, 30, 35)
    frames = [cv2.ellipse(still.copy(), (20 + t, 32), (14, 6), 0, 0, 360, red, -1) for t in range(16)]
    (seen,) = observe(np.stack(frames)).objects
    assert (seen.shape, seen.color, seen.motion) == (None, "red", "moving right")


def test_other_sizes_are_seen_by_their_central_square() -> None:
    scene = sample_scene(np.random.default_rng(9))
    frames = render(scene, np.arange(16) / 8, 256, 144)
    assert all(matches(observe(frames), _attributes(scene)).values())


def test_each_wrong_attribute_fails_alone() -> None:
    right = Attributes((("red", "star"), ("blue", "square")), "moving left", "brick", "above")
    scene = _scene_of(right)
    seen = observe(render_clip(scene))
    assert all(matches(seen, right).values())
    wrong = {
        "color": Attributes((("red", "star"), ("cyan", "square")), "moving left", "brick", "above"),
        "shape": Attributes((("red", "star"), ("blue", "heart")), "moving left", "brick", "above"),
        "motion": Attributes(right.objects, "moving up", "brick", "above"),
        "background": Attributes(right.objects, "moving left", "dotted", "above"),
        "relation": Attributes(right.objects, "moving left", "brick", "below"),
    }
    for name, attributes in wrong.items():
        assert [n for n, holds in matches(seen, attributes).items() if not holds] == [name]
    turned = Attributes(right.objects[::-1], "moving left", "brick", "below")
    assert all(matches(seen, turned).values())
    assert matches(seen, Attributes((("red", "star"),), "moving left", "brick"))["count"] is False


def test_a_missing_object_fails_what_it_was_to_show() -> None:
    one = Attributes((("red", "star"),), "moving left", "brick")
    two = Attributes((("red", "star"), ("blue", "square")), "moving left", "brick", "above")
    checks = matches(observe(render_clip(_scene_of(one))), two)
    assert checks == {
        "count": False,
        "color": False,
        "shape": False,
        "motion": False,
        "background": True,
        "relation": False,
    }


def _scene_of(wanted: Attributes) -> Scene:
    rng = np.random.default_rng(10)
    while True:
        scene = sample_scene(rng, len(wanted.objects), motion=wanted.motion)
        if (scene.background, scene.relation) == (wanted.background, wanted.relation):
            break
    things = zip(scene.objects, wanted.objects, strict=True)
    objects = tuple(replace(o, shape=shape, color=color, rgb=COLORS[color]) for o, (color, shape) in things)
    return replace(scene, objects=objects)


def test_bad_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        observe(np.zeros((16, 64, 64, 3), np.float32))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="uint8"):
        observe(np.zeros((1, 64, 64, 3), np.uint8))
