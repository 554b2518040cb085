"""One text on many clips that are nothing like each other is found; on clips that look alike it is not."""

import base64

import numpy as np
import pytest
from hummingbird.core.errors import InputError
from hummingbird.shapes.scene import caption, render, sample_scene
from hummingbird_data.captions.repeated_captions import RepeatedCaptions
from hummingbird_data.copies.embedding import SIZE, embedding

SAME = "A woman in a blue coat walks along a quiet street."


def embedded(seed: int, spread: float = 20.0) -> str:
    """Embeddings of other seeds are far apart."""
    vector = np.random.default_rng(seed).normal(0, spread, SIZE).clip(-127, 127).astype(np.int8)
    return base64.b64encode(vector.tobytes()).decode()


def marked(texts: list[str], vectors: list[str] | None = None, share: float = 0.04) -> list[int]:
    vectors = vectors or [embedded(number) for number in range(len(texts))]
    with RepeatedCaptions(share) as captions:
        rows = enumerate(zip(texts, vectors, strict=True))
        return [number for number, (text, vector) in rows if captions.add(str(number), text, vector)]


def test_one_text_on_all_clips_is_marked_from_the_third_on() -> None:
    assert marked([SAME] * 30) == list(range(2, 30))
    assert marked([SAME, SAME.upper(), f'"{SAME}"', *[SAME] * 3]) == [2, 3, 4, 5]


def test_a_share_of_the_clips_is_marked_and_the_others_stay() -> None:
    texts = [SAME if number % 10 < 3 else f"a {number} and more" for number in range(60)]
    found = marked(texts)
    assert {texts[number] for number in found} == {SAME}
    assert len(found) == 16


def test_a_growing_share_is_marked() -> None:
    texts = [f"a thing called {number}" for number in range(100)] + [SAME] * 20
    assert marked(texts) == list(range(104, 120))


def test_in_a_large_library_it_is_found_as_soon() -> None:
    texts = [f"a thing called {number}" for number in range(2000)] + [SAME] * 20
    assert marked(texts) == list(range(2008, 2020))


def test_clips_that_look_alike_may_have_one_caption() -> None:
    near = [embedded(7) if number else embedded(8) for number in range(50)]
    assert marked([SAME] * 50, near) == []


def test_a_text_now_and_then_is_no_matter() -> None:
    texts = [SAME if number % 40 == 0 else f"a thing called {number}" for number in range(400)]
    assert marked(texts) == []


def test_the_small_worlds_captions_are_not_marked() -> None:
    """They are few, and repeat."""
    draw = np.random.default_rng(5)
    texts, vectors = [], []
    for _ in range(400):
        scene = sample_scene(draw, duration=2.0)
        texts.append(caption(scene))
        vectors.append(embedding(render(scene, np.arange(9) / 4, 64, 64)))
    assert len(set(texts)) < 390
    assert marked(texts, vectors) == []


def test_a_run_whose_captioner_does_not_look_is_stopped() -> None:
    with RepeatedCaptions(0.04) as captions:
        for number in range(100):
            captions.add(str(number), f"a thing called {number}", embedded(number))
        captions.check("model")
        for number in range(100, 130):
            captions.add(str(number), SAME, embedded(number))
        with pytest.raises(InputError, match=r"model gives clips .* the same captions .*models\.captioner"):
            captions.check("model")


def test_the_same_clip_counts_once() -> None:
    with RepeatedCaptions(0.04) as captions:
        assert [captions.add("a", SAME, embedded(1)) for _ in range(9)] == [False] * 9


def test_the_share_can_be_set() -> None:
    assert marked([SAME] * 30, share=1.0) == []
