"""The captioner: its words, its labels, its training, and the weights that are shipped."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hummingbird.config.pretrain import PretrainSettings
from hummingbird.config.settings import Settings
from hummingbird.core.model_references import SHIPPED_WEIGHTS
from hummingbird.pretraining import captioner
from hummingbird.pretraining.captioner import (
    pretrain_captioner,
    score_captioner,
    ship_captioner,
    write_captions,
)
from hummingbird.pretraining.captioner_model import IMAGES, PATCH, make_captioner, make_processor, prompt
from hummingbird.pretraining.captioner_samples import coded_clip, draw_clip
from hummingbird.shapes.scene import SIZE, caption, sample_scene
from safetensors.torch import load_file
from transformers import LlavaForConditionalGeneration, LlavaProcessor


def test_every_caption_comes_back_from_its_tokens() -> None:
    tokenizer = make_processor().tokenizer
    rng = np.random.default_rng(0)
    for _ in range(50):
        text = caption(sample_scene(rng))
        ids = tokenizer(text)["input_ids"]
        assert tokenizer.unk_token_id not in ids
        assert tokenizer.decode([*ids, tokenizer.eos_token_id], skip_special_tokens=True) == text


def test_a_saved_processor_makes_the_same_prompt_and_one_token_a_patch(tmp_path: Path) -> None:
    made = make_processor()
    made.save_pretrained(tmp_path)
    loaded = LlavaProcessor.from_pretrained(tmp_path)
    frames = [np.full((144, 256, 3), 255, np.uint8)] * IMAGES
    inputs = loaded(images=[frames], text=[prompt(loaded)], return_tensors="pt")
    assert prompt(loaded) == prompt(made)
    assert (inputs["input_ids"] == make_captioner(made).config.image_token_id).sum() == IMAGES * (
        SIZE // PATCH
    ) ** 2
    assert inputs["pixel_values"].shape == (IMAGES, 3, SIZE, SIZE)
    assert inputs["pixel_values"].max() == 1
    assert made.tokenizer.unk_token_id not in inputs["input_ids"]


def test_masks_show_where_the_objects_are() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        scene, frames, masks = draw_clip(rng, IMAGES)
        for index, thing in enumerate(scene.objects):
            covered = frames[masks[:, index] == 255].astype(float)
            assert len(covered) > 20
            assert np.abs(np.median(covered, axis=0) - thing.rgb).max() < 40
        if len(scene.objects) == 1:
            assert not masks[:, 1].any()


def test_the_attention_of_training_is_that_of_inference() -> None:
    torch.manual_seed(0)
    model = make_captioner(make_processor()).eval()
    inputs = {
        "input_ids": torch.randint(5, 40, (2, 12)),
        "attention_mask": torch.ones(2, 12, dtype=torch.long),
    }
    with torch.no_grad():
        model.set_attn_implementation("sdpa")
        expected = model.model.language_model(**inputs).last_hidden_state
        model.set_attn_implementation("lean")
        torch.testing.assert_close(model.model.language_model(**inputs).last_hidden_state, expected)


@pytest.mark.slow
def test_training_stops_goes_on_and_leaves_a_folder_that_writes_captions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(seed=3, pretrain=PretrainSettings(steps=2))

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(captioner, "_caption_losses", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pretrain_captioner(tmp_path, settings, clips=2)
        seen = (tmp_path / "vision" / "losses.jsonl").read_bytes()
    facts = pretrain_captioner(tmp_path, settings, clips=2)
    assert (tmp_path / "vision" / "losses.jsonl").read_bytes() == seen, "its times too: it was not done again"
    assert facts["vision_steps"] == facts["steps"] == 2
    assert 0 <= facts["accuracy"] <= 1
    ship_captioner(tmp_path, tmp_path / "weights", facts)
    folder = tmp_path / "weights" / "captioner"
    assert "accuracy" in (folder / "README.md").read_text()
    model, loading = LlavaForConditionalGeneration.from_pretrained(folder, output_loading_info=True)
    assert model.dtype == torch.float16
    assert not loading["missing_keys"]
    # The names of LLaVA's published checkpoints, which vLLM knows.
    assert "vision_tower.vision_model.post_layernorm.weight" in load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def shipped() -> tuple[LlavaForConditionalGeneration, LlavaProcessor]:
    folder = SHIPPED_WEIGHTS / "captioner"
    model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    return model, LlavaProcessor.from_pretrained(folder)


def test_captions_do_not_depend_on_their_neighbors(
    shipped: tuple[LlavaForConditionalGeneration, LlavaProcessor],
) -> None:
    rng = np.random.default_rng(4)
    clips = [coded_clip(rng)[1] for _ in range(4)]
    together = write_captions(*shipped, clips)
    assert len(set(together)) > 1
    assert together[::-1] == write_captions(*shipped, clips[::-1], batch=1)


def test_shipped_weights_are_small() -> None:
    folder = SHIPPED_WEIGHTS / "captioner"
    assert sum(path.stat().st_size for path in folder.rglob("*")) < 5 * 2**20


@pytest.mark.slow
def test_shipped_captions_are_true() -> None:
    scores = score_captioner(SHIPPED_WEIGHTS / "captioner", clips=40, seed=77)
    assert scores["accuracy"] >= 0.95
    assert scores["grammar"] == 1
