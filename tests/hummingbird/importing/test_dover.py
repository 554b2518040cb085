"""DOVER's published file becomes a folder that curation takes."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.importing.import_checkpoint import import_checkpoint
from hummingbird.models.dover import DOVER
from hummingbird.models.loading import load_pretrained
from torch import Tensor


@pytest.fixture(scope="module")
def published() -> Mapping[str, Tensor]:
    """Random weights under the published names, without the buffers that follow from the structure."""
    torch.manual_seed(0)
    return {name: t for name, t in DOVER().state_dict().items() if t.is_floating_point()}


def settings(tmp_path: Path, weights: Mapping[str, object], **more: object) -> Settings:
    torch.save(weights, tmp_path / "DOVER.pth")
    section = {
        "format": "dover",
        "checkpoint": tmp_path / "DOVER.pth",
        "licence": "cc-by-nc-sa-4.0",
        "source": "a test",
        **more,
    }
    return Settings(storage=tmp_path / "runs", import_checkpoint=section)


def test_the_folder_has_its_weights_and_its_licence(tmp_path: Path, published: Mapping[str, Tensor]) -> None:
    result = json.loads(import_checkpoint(settings(tmp_path, published)).read_text())
    folder = Path(result["outputs"]["quality"])
    model = load_pretrained(DOVER, folder)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            assert torch.equal(tensor, published[name]), name
    assert "cc-by-nc-sa-4.0" in (folder / "README.md").read_text()
    frames = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), np.uint8)
    assert 0 <= model.eval().score(frames)["overall"] <= 1


def test_what_does_not_fit_is_named(tmp_path: Path, published: Mapping[str, Tensor]) -> None:
    first, *rest = published
    with pytest.raises(InputError, match=first):
        import_checkpoint(settings(tmp_path, {name: published[name] for name in rest}))
    with pytest.raises(InputError, match=r"DOVER.*head\.extra"):
        import_checkpoint(settings(tmp_path, {**published, "head.extra": torch.zeros(1)}))
    with pytest.raises(InputError, match="leave tokenizer out"):
        import_checkpoint(settings(tmp_path, published, tokenizer=tmp_path / "DOVER.pth"))


def test_a_pickle_of_objects_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        import_checkpoint(settings(tmp_path, {"technical_head.fc_last.bias": Path("no tensor")}))
