"""A linear head on CLIP scores clips, and drops the plain ones."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hummingbird.config.loading import load_settings
from hummingbird.core.errors import InputError
from hummingbird_data.curation_plan import CurationPlan
from hummingbird_data.filters.base import Filter
from hummingbird_data.filters.clip_aesthetic import ClipAesthetic, ClipAestheticFilter
from hummingbird_data.filters.shipped import filters_of
from hummingbird_data.reading.clip_frames import clip_frames
from hummingbird_data.stage import StageRunner
from transformers import CLIPConfig, CLIPModel


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP model of random weights, at a small width."""
    torch.manual_seed(0)
    small = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "projection_dim": 8,
    }
    text = {**small, "vocab_size": 16, "max_position_embeddings": 6}
    vision = {**small, "image_size": 32, "patch_size": 8}
    folder = tmp_path_factory.mktemp("clip")
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).save_pretrained(folder)
    return folder


@pytest.fixture
def head(tmp_path: Path) -> Path:
    """A pickled head, as they are published."""
    torch.manual_seed(1)
    torch.save({"weight": torch.randn(1, 8), "bias": torch.tensor([5.0])}, tmp_path / "head.pth")
    return tmp_path / "head.pth"


def chosen(clip: Path, head: Path) -> Filter:
    settings = load_settings(
        overrides=[f"curate.filters={{clip_aesthetic: {{clip: '{clip}', head: '{head}'}}}}"]
    )
    (one,) = (f for f in filters_of(settings) if isinstance(f, ClipAestheticFilter))
    return one


def test_a_row_gets_the_heads_score_of_transformers_embeddings(
    tmp_path: Path, clip: Path, head: Path, write_video: Callable, shot: Callable
) -> None:
    write_video(tmp_path / "a.mp4", shot(1))
    row = {"media_path": "a.mp4", "storage": str(tmp_path)}
    filter_ = chosen(clip, head)
    (stage,) = filter_.stages(load_settings())
    (scored,) = StageRunner(stage).run([row])
    frames = np.array(clip_frames(row)[0])
    picked = frames[((np.arange(4) + 0.5) * len(frames) / 4).astype(int)]
    pixels = ClipAesthetic(clip, head, "cpu")._pictures(picked)
    with torch.no_grad():
        answer = CLIPModel.from_pretrained(clip).get_image_features(pixel_values=pixels)
    embeddings = getattr(answer, "pooler_output", answer)
    layer = torch.load(head, weights_only=True)
    expected = torch.nn.functional.normalize(embeddings, dim=-1) @ layer["weight"].T + layer["bias"]
    assert scored["clip_aesthetic"] == pytest.approx(float(expected.mean()), abs=1e-5)


def test_its_threshold_is_a_percentile_unless_told_otherwise(clip: Path, head: Path) -> None:
    filter_ = chosen(clip, head)
    assert filter_.limit(load_settings()) == "10%"
    limits = {"min_clip_aesthetic": 5.0}
    assert filter_.drops({"clip_aesthetic": 4.9}, limits)
    assert not filter_.drops({"clip_aesthetic": 5.1}, limits)


def test_another_head_in_the_same_place_makes_other_scores(clip: Path, head: Path) -> None:
    filters = f"curate.filters={{clip_aesthetic: {{clip: '{clip}', head: '{head}'}}}}"
    before = CurationPlan.make(load_settings(overrides=[filters])).scoring_key
    assert CurationPlan.make(load_settings(overrides=[filters])).scoring_key == before
    torch.save({"weight": torch.zeros(1, 8), "bias": torch.tensor([5.0])}, head)
    assert CurationPlan.make(load_settings(overrides=[filters])).scoring_key != before


def test_a_head_of_another_width_is_refused_before_anything_is_read(clip: Path, tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1, 768), "bias": torch.zeros(1)}, tmp_path / "wide.pth")
    with pytest.raises(InputError, match=r"no linear head for the CLIP model.*weight \(1, 8\)"):
        chosen(clip, tmp_path / "wide.pth").check(load_settings())
