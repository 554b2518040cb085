"""What a model's folder hashes to, the licence that its card states, and how many actors are to hold it."""

from pathlib import Path

import pytest
from hummingbird.core.hashes import folder_hash
from hummingbird.core.model_references import model_licence
from hummingbird_data.runtime.model_files import actors_for


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
    [("license: mit", "mit"), ("license:\ntags:\n- video", None), ("language: en", None)],
)
def test_a_licence_is_what_the_card_states(tmp_path: Path, header: str, stated: str | None) -> None:
    (tmp_path / "README.md").write_text(f"---\n{header}\n---\n")
    assert model_licence(tmp_path) == stated


@pytest.mark.parametrize(
    ("given", "megabytes", "gpus", "actors"),
    [(None, 1, 0.0, 0), (None, 600, 0.0, 1), (None, 1, 1.0, 1), (3, 1, 0.0, 3), (3, 600, 1.0, 3)],
)
def test_on_cpus_every_process_holds_a_small_model_and_one_actor_a_large_one(
    tmp_path: Path, given: int | None, megabytes: int, gpus: float, actors: int
) -> None:
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(megabytes << 20)  # a sparse file
    assert actors_for(given, tmp_path, gpus) == actors
