"""What is no caption is told by its text."""

import numpy as np
import pytest
from captions import BAD, GOOD
from hummingbird.core.errors import InputError
from hummingbird.core.model_references import SHIPPED_WEIGHTS
from hummingbird.shapes.scene import caption, sample_scene
from hummingbird_data.captions.caption_answer import Answer
from hummingbird_data.captions.caption_checks import CaptionChecks, clip_tokens, tidy

CHECKS = CaptionChecks()
SOUND = (
    "a red circle moving left",
    "two cyan squares, one above the other, both turning, on a dotted background",
    "A brown dog with a red collar runs along the wet sand towards the sea. Waves break behind it under a grey sky.",
    "Red poppies sway",
    "A man hangs a picture of a ship on the wall while the camera moves slowly to the left.",
)


@pytest.mark.parametrize("text", SOUND)
def test_a_caption_passes(text: str) -> None:
    assert CHECKS.caption(text) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("red circle", "2 words"),
        ("a red red red circle", "repetition"),
        ("a dog runs on sand and a dog runs on sand and a dog runs on sand", "repetition"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("As an AI, I do not watch films.", "refusal"),
        ("There is a problem: no frames were provided", "refusal"),
        ("Ein Hund läuft über den Strand und die Wellen sind hoch", "not English"),
        ("Un perro corre por la playa con las olas", "not English"),
        ("一只狗在沙滩上奔跑 海浪 很高", "letters that are not English"),
        ("The video shows a dog on a beach", "speaks of the video"),
        ("A dog runs. In this clip the sea is rough.", "speaks of the video"),
        ("A video of a dog on a beach", "speaks of the video"),
        ("A dog runs. The sea is grey. The sky is dark.", "3 sentences"),
        ("This request falls outside my capabilities.", "refusal"),
        ("The pictures did not load correctly on my end.", "refusal"),
        ("ERROR 500: upstream timed out", "refusal"),
        ("A man folds paper on a table, and the", "cut off"),
        ("Judging by the images, a man folds paper on a table.", "talk around the caption"),
        ("%s is shown on %s", "tags or markup"),
        ("The scene shows a man folding paper on a table.", "speaks of the video"),
        ("Subscribe to our channel for more videos!", "talk around the caption"),
    ],
)  # fmt: skip
def test_what_is_no_caption_is_refused_with_its_reason(text: str, problem: str) -> None:
    assert CHECKS.caption(text) == problem


def test_good_captions_of_real_scenes_pass() -> None:
    assert len(GOOD) > 190
    assert {text: problem for text in GOOD if (problem := CHECKS.caption(tidy(text)))} == {}


def test_captions_of_the_small_world_pass() -> None:
    draw = np.random.default_rng(3)
    texts = {caption(sample_scene(draw, duration=2.5)) for _ in range(500)}
    assert {text: problem for text in texts if (problem := CHECKS.caption(text))} == {}


@pytest.mark.parametrize("kind", list(BAD))
def test_answers_that_are_no_captions_fail(kind: str) -> None:
    assert [text for text in BAD[kind] if CHECKS.caption(tidy(text)) is None] == []


def test_a_check_of_the_users_own_is_found_by_its_import_path() -> None:
    checks = CaptionChecks(more=[f"{__name__}:no_dogs"])
    assert checks.caption("a dog runs along a beach") == "a dog"
    assert checks.caption("a cat runs along a beach") is None
    for path in (f"{__name__}:nothing_there", "no_such_module:check", f"{__name__}:CHECKS"):
        with pytest.raises(InputError, match=r"curate.caption_checks: .*" + path):
            CaptionChecks(more=[path]).caption("a cat runs along a beach")


def no_dogs(answer: Answer) -> str | None:
    return "a dog" if "dog" in answer.words else None


def test_in_any_language_look_alike_and_unseen_letters_are_found() -> None:
    checks = CaptionChecks(language="any")
    assert checks.caption("Мужчина складывает бумагу на столе") is None
    assert checks.caption("Tシャツを着た 男性が 歩く") is None
    assert checks.caption("a wom\u0430n folds a paper crane") == "letters of several scripts in a word"
    assert checks.caption("мужчина\u200b складывает бумагу на столе") == "unseen letters"


def test_a_caption_longer_than_the_text_encoder_takes_is_refused() -> None:
    text = " on ".join(["red", "blue", "green", "grey", "pink", "white", "black", "brown", "gold", "teal"])
    assert CHECKS.caption(text) is None
    assert CaptionChecks(max_tokens=20).caption(text) == "21 tokens"


def test_a_description_for_a_rewriter_may_be_long_and_speak_of_the_video() -> None:
    text = "The video shows a dog. It runs on the sand. The sea is grey. Nobody else is there."
    assert CHECKS.description(text) is None
    assert CHECKS.caption(text) is not None
    assert CHECKS.description("I cannot see any frames") == "refusal"


def test_other_languages_can_be_allowed() -> None:
    assert CaptionChecks(language="any").caption("Un perro corre por la playa") is None


def test_a_rewritten_caption_of_other_things_than_were_described_is_refused() -> None:
    described = "A brown dog runs along wet sand beside the sea."
    assert CHECKS.caption("A brown spaniel runs on wet sand beside the sea", described) is None
    assert CHECKS.caption("Rex wins the surfing contest of Waikiki", described) == "not from the description"


def test_tokens_are_counted_by_the_tokenizer_that_is_given() -> None:
    folder = SHIPPED_WEIGHTS / "components" / "tokenizer"
    text = "a red circle moving left"
    assert CaptionChecks(tokenizer=folder).tokens(text) == 7  # with start and end
    assert CaptionChecks(6, folder).caption(text) == "7 tokens"
    long = " ".join(["a red circle moving left on a dotted background"] * 2)
    assert CaptionChecks(tokenizer=folder).tokens(long) == 20  # more than the encoder takes are counted too


def test_the_estimate_is_at_least_one_token_a_piece() -> None:
    assert clip_tokens("a red circle, moving") == 7 + 0
    assert clip_tokens("extraordinarily") > 3
    assert clip_tokens("") == 2


def test_labels_quotes_and_line_ends_are_put_right() -> None:
    assert tidy('Caption: "A dog\n runs."') == "A dog runs."
    assert tidy("“A dog runs.”") == "A dog runs."
    assert tidy('"A" and "B"') == '"A" and "B"'
