"""Secrets do not appear where something is printed, stored or refused; everything else does."""

import pytest
from hummingbird.config.settings import Settings
from hummingbird.core.masking import MASK, has_password, is_secret_name, mask, mask_text


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "s3.session-token",
        "s3.secret-access-key",
        "credential",
        "adls.account-key",
        "api_key",
        "hf_token",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["token_variable", "caption_tokens", "tokenizer", "uri", "s3.access-key-id", "key"]
)
def test_names_of_what_may_be_seen(name: str) -> None:
    assert not is_secret_name(name)


def test_no_setting_of_the_tree_is_taken_for_a_secret() -> None:
    tree = Settings().model_dump(mode="json")
    assert mask(tree) == tree


@pytest.mark.parametrize(
    "text",
    [
        "cannot open postgresql+psycopg2://ada:hunter2@db:5432/lake: no route",
        "cannot open postgresql://ada:hun/ter2@hunter2@db/lake",
        "{type: rest, s3.secret-access-key: hunter2, uri: http://host}",
        "{'credential': 'hunter2', 'type': 'rest'}",
        '"Authorization: Bearer hunter2"',
        "https://host/video.mp4?X-Amz-Signature=hunter2&X-Amz-Date=2026",
        "catalog.properties.token=hunter2",
    ],
)
def test_secrets_in_text_are_masked(text: str) -> None:
    assert "hunter2" not in mask_text(text)
    assert MASK in mask_text(text)


def test_what_is_no_secret_stays() -> None:
    text = "setting 'curate.caption_tokens': 3 tokens of s3://bucket/a@b, http://host:8000/v1, mail a@b.c"
    assert mask_text(text) == text
    assert mask(
        {"uri": "postgresql://ada:x@db/lake", "list": [{"token": "x", "note": 1}], "token": None}
    ) == {
        "uri": f"postgresql://ada:{MASK}@db/lake",
        "list": [{"token": MASK, "note": 1}],
        "token": None,
    }
    assert has_password("postgresql://ada:x@db/lake")
    assert not has_password("postgresql://ada@db:5432/lake")
