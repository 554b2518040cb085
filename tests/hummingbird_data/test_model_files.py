"""What a model's folder hashes to, and the licence that its card states."""

from pathlib import Path

import pytest
from hummingbird_data.model_files import folder_hash, licence


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin", "model.pt"])
def test_other_weights_have_another_hash_and_documents_do_not_count(tmp_path: Path, weights: str) -> None:
    (tmp_path / weights).write_bytes(b"one")
    first = folder_hash(tmp_path)
    (tmp_path / "README.md").write_text("a card")
    assert folder_hash(tmp_path) == first
    (tmp_path / weights).write_bytes(b"two")
    assert folder_hash(tmp_path) != first


@pytest.mark.parametrize(
    ("header", "stated"),
    [("license: mit", "mit"), ("license:\ntags:\n- video", "unknown"), ("language: en", "unknown")],
)
def test_a_licence_is_what_the_card_states(tmp_path: Path, header: str, stated: str) -> None:
    (tmp_path / "README.md").write_text(f"---\n{header}\n---\n")
    assert licence(tmp_path) == stated
