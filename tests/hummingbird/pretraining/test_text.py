"""The text encoder's training: where a caption states what, and that it learns to read it."""

from pathlib import Path

import numpy as np
import pytest
from hummingbird.config.pretrain import PretrainSettings
from hummingbird.config.settings import Settings
from hummingbird.pretraining.text import draw_attributes, make_tokenizer, pretrain_text, stated
from hummingbird.shapes.scene import format_caption
from transformers import CLIPTextModel


@pytest.mark.parametrize("seed", range(12))
def test_an_attribute_is_completed_by_its_last_word(seed: int) -> None:
    attributes = draw_attributes(np.random.default_rng(seed))
    tokenizer = make_tokenizer()
    words = tokenizer.convert_ids_to_tokens(tokenizer(format_caption(attributes))["input_ids"])
    said = {name: words[token] for name, (_, token) in stated(attributes).items()}
    expected = {
        "color": attributes.objects[0][0],
        "shape": attributes.objects[0][1],
        "motion": attributes.motion.split()[-1],
        "background": attributes.background,
    }
    if attributes.relation:
        expected["relation"] = attributes.relation.split()[-1]
        expected["second color"], expected["second shape"] = attributes.objects[1]
    assert said == expected


@pytest.mark.slow
def test_training_lowers_every_loss_and_saves_what_it_learned(tmp_path: Path) -> None:
    early, late = (
        pretrain_text(tmp_path / folder, Settings(pretrain=PretrainSettings(steps=steps)))
        for folder, steps in (("a", 1), ("b", 30))
    )
    assert all(late[name] < early[name] for name in ("color", "shape", "background", "motion"))
    assert CLIPTextModel.from_pretrained(tmp_path / "b" / "text_encoder").config.hidden_size == 128
