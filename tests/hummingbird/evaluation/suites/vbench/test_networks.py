"""Dimensions against VBench's own code: the same frames and drawn weights (tests/vbench/reference.py wrote what it
said), features and values."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import vbench_networks as nets
from hummingbird.core.errors import InputError
from hummingbird.evaluation.suites.base import EvaluationPrompt, check_declaration
from hummingbird.evaluation.suites.vbench import networks as code
from hummingbird.evaluation.suites.vbench.measures import frame_consistency, middle_frames
from hummingbird.evaluation.suites.vbench.suite import VBenchSuite
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

REFERENCE = Path(__file__).parents[4] / "vbench/reference.json"
ROWS: list[dict[str, Any]] = json.loads(REFERENCE.read_text(encoding="utf-8"))
HERE = {"temporal flickering", "subject consistency", "background consistency", "aesthetic quality"} | {
    "appearance style", "temporal style", "overall consistency"
}  # fmt: skip


@pytest.fixture(scope="module")
def videos() -> list[NDArray[np.uint8]]:
    return nets.videos()


def suite(networks: dict[str, Path], **changed: Any) -> VBenchSuite:
    return VBenchSuite(VBenchSuite.Settings.model_validate({**networks, **changed}))


@pytest.fixture(scope="module")
def whole(networks: dict[str, Path]) -> VBenchSuite:
    made = suite(networks)
    made.check()
    return made


@pytest.mark.parametrize("place", range(5))
def test_features_and_values_are_those_of_vbenchs_own_code(
    place: int, whole: VBenchSuite, videos: list[NDArray[np.uint8]], monkeypatch: pytest.MonkeyPatch
) -> None:
    row, frames = ROWS[place], videos[place]
    assert whole._dino.features(frames)[-1].tolist() == pytest.approx(row["dino"], abs=1e-3)
    assert whole._clip.features(frames)[-1].tolist() == pytest.approx(row["clip"], abs=1e-3)
    words = {nets.STYLES[place]: row["style_tokens"], nets.TEXTS[place]: row["text_tokens"]}

    def tokens(folder: Path, text: str, length: int) -> Tensor:
        return torch.tensor([words[text]])

    monkeypatch.setattr(code, "clip_tokens", tokens)
    style = {"appearance_style": {"appearance_style": nets.STYLES[place]}}
    prompt = EvaluationPrompt("1", nets.TEXTS[place], (0,), frozenset(HERE), style)
    values = whole.measure(frames, prompt).values
    assert set(values) == HERE
    for name, expected in row["values"].items():
        assert values[name] == pytest.approx(expected, abs=1e-4), name
    assert values["temporal style"] == values["overall consistency"]


def test_frames_are_the_middles_of_stretches() -> None:
    assert middle_frames(8, 16) == [0, 2, 4, 6, 8, 10, 12, 14]
    assert middle_frames(8, 26) == [1, 4, 7, 10, 14, 17, 20, 23]
    assert middle_frames(8, 3) == [0, 1, 2, 2, 2, 2, 2, 2]


def test_frames_that_are_opposite_count_as_nothing_alike() -> None:
    ahead = torch.tensor([1.0, 0.0])
    assert frame_consistency(torch.stack([ahead, 3 * ahead, ahead])) == pytest.approx(1)
    assert frame_consistency(torch.stack([ahead, -ahead, ahead])) == pytest.approx((0 + 0 + 1 + 0) / 4)


def test_what_models_are_named_decides_what_is_missing(networks: dict[str, Path]) -> None:
    none = suite({})
    assert len(none.missing) == 15
    assert none.missing["subject consistency"] == "is measured with DINO ViT-B/16: name its folder (dino)"
    some = suite({"dino": networks["dino"], "clip": networks["clip"]})
    assert len(some.missing) == 12
    assert set(suite(networks).missing) == {
        "motion smoothness", "dynamic degree", "imaging quality", "object class", "multiple objects", "human action",
        "color", "spatial relationship", "scene",
    }  # fmt: skip
    check_declaration(some, "vbench")


@pytest.mark.parametrize("network", ["dino", "clip"])
def test_a_model_that_lacks_tensors_is_refused_before_any_video(
    network: str, networks: dict[str, Path], tmp_path: Path
) -> None:
    stored = load_file(networks[network] / "model.safetensors")
    lost = next(name for name in stored if "layers.1" in name)
    save_file(
        {k: v for k, v in stored.items() if k != lost}, tmp_path / "model.safetensors", {"format": "pt"}
    )
    (tmp_path / "config.json").write_bytes((networks[network] / "config.json").read_bytes())
    with pytest.raises(InputError, match=f"finds no weights for 1 of its tensors: {lost}"):
        suite(networks, **{network: tmp_path}).check()


def test_files_that_are_no_head_or_no_viclip_are_refused(networks: dict[str, Path], tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1, 768), "bias": torch.zeros(1)}, tmp_path / "wide.pth")
    with pytest.raises(InputError, match=r"no linear head for the CLIP model: weight \(1, 16\)"):
        suite(networks, aesthetic_head=tmp_path / "wide.pth").check()
    with pytest.raises(InputError, match=r"wide\.pth holds no ViCLIP"):
        suite(networks, viclip=tmp_path / "wide.pth").check()
    short = {
        k: torch.from_numpy(v) for k, v in nets.viclip_tensors().items() if not k.endswith("ln_post.bias")
    }
    torch.save(short, tmp_path / "short.pth")
    with pytest.raises(InputError, match=r"holds no ViCLIP.*Missing key.*vision_encoder.ln_post.bias"):
        suite(networks, viclip=tmp_path / "short.pth").check()
    with pytest.raises(InputError, match="dino: there is nothing at"):
        suite(networks, dino=tmp_path / "none").check()
    with pytest.raises(InputError, match="name it as clip_large"):
        suite({"aesthetic_head": networks["aesthetic_head"]}).check()


def test_a_prompt_says_what_is_to_be_seen_where_a_dimension_needs_it() -> None:
    plain = suite({})
    assert "appearance style" not in plain.prompt_dimensions(EvaluationPrompt("1", "a dog", (0,)))
    with pytest.raises(InputError, match=r"prompt 1 asks for color, which needs auxiliary_info\.color"):
        plain.prompt_dimensions(EvaluationPrompt("1", "a red dog", (0,), frozenset({"color"})))
