"""What is no caption is told by its text."""

import pytest
from hummingbird.core.model_references import SHIPPED_WEIGHTS
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
        ("一只狗在沙滩上奔跑 海浪 很高", "not English"),
        ("The video shows a dog on a beach", "speaks of the video"),
        ("A dog runs. In this clip the sea is rough.", "speaks of the video"),
        ("A video of a dog on a beach", "speaks of the video"),
        ("A dog runs. The sea is grey. The sky is dark.", "3 sentences"),
    ],
)  # fmt: skip
def test_what_is_no_caption_is_refused_with_its_reason(text: str, problem: str) -> None:
    assert CHECKS.caption(text) == problem


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
