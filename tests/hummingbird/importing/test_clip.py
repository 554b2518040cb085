"""CLIP rewards: OpenCLIP's naming and transformers', each computing what was published."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from drawn_weights import drawn_state
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.core.model_references import model_licence
from hummingbird.importing.import_checkpoint import import_checkpoint
from published_clip import TINY, clip_shapes, embed_picture, embed_text
from torch import Tensor
from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel

pytestmark = pytest.mark.usefixtures("unpickled_here")


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    return drawn_state(clip_shapes(TINY))


@pytest.fixture
def imported_from(tmp_path: Path, vocabulary: Path) -> object:
    def run(weights: Mapping[str, Tensor], **section: object) -> Path:
        torch.save({"epoch": 1, "state_dict": dict(weights)}, tmp_path / "HPS.pt")
        (tmp_path / "reference.json").write_text(json.dumps(TINY))
        given = {
            "format": "open-clip",
            "checkpoint": tmp_path / "HPS.pt",
            "reference": tmp_path / "reference.json",
            "tokenizer": vocabulary,
            "licence": "apache-2.0",
            "source": "a test",
        }
        settings = Settings(storage=tmp_path / "runs", import_checkpoint={**given, **section})  # type: ignore[arg-type]
        return Path(json.loads(import_checkpoint(settings).read_text())["outputs"]["reward"])

    return run


def similarity(folder: Path, pixels: Tensor, texts: list[str]) -> tuple[Tensor, Tensor]:
    """Cosines of pictures and texts by the folder alone, and the token ids."""
    model = CLIPModel.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokens = tokenizer(texts, padding="max_length", max_length=10, truncation=True, return_tensors="pt")
    with torch.no_grad():
        output = model(pixel_values=pixels, input_ids=tokens.input_ids, attention_mask=tokens.attention_mask)
    return output.image_embeds @ output.text_embeds.T, tokens.input_ids


def test_a_model_in_openclips_naming_computes_what_openclip_computes(
    imported_from: object, weights: dict[str, Tensor]
) -> None:
    folder = imported_from({**weights, "attn_mask": torch.zeros(10, 10)})  # type: ignore[operator]
    pixels = torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    cosines, ids = similarity(folder, pixels, ["cat", "a cat sat on a mat"])
    end = CLIPModel.from_pretrained(folder).config.text_config.eos_token_id
    expected = embed_picture(weights, TINY, pixels) @ embed_text(weights, TINY, ids, end).T
    torch.testing.assert_close(cosines, expected, atol=1e-6, rtol=0)
    assert cosines.std() > 0.01  # they differ, so that an exchange would be seen
    assert model_licence(folder) == "apache-2.0"
    processor = CLIPImageProcessor.from_pretrained(folder)
    assert processor.crop_size["height"] == 28
    assert processor.image_mean[0] == 0.48145466


def test_padding_changes_nothing(imported_from: object, weights: dict[str, Tensor]) -> None:
    folder = imported_from(weights)  # type: ignore[operator]
    pixels = torch.randn(1, 3, 28, 28)
    alone, _ = similarity(folder, pixels, ["cat"])
    beside, _ = similarity(folder, pixels, ["cat", "a cat cat cat"])
    torch.testing.assert_close(alone[0, 0], beside[0, 0])


def test_a_folder_of_transformers_becomes_the_same_model(
    imported_from: object, weights: dict[str, Tensor], tmp_path: Path, vocabulary: Path
) -> None:
    first = imported_from(weights)  # type: ignore[operator]
    older = tmp_path / "PickScore"  # as transformers 4 stored it, pickled
    older.mkdir()
    state = CLIPModel.from_pretrained(first).state_dict()
    state["text_model.embeddings.position_ids"] = torch.arange(10)[None]
    torch.save(state, older / "pytorch_model.bin")
    (older / "config.json").write_text((first / "config.json").read_text())
    section = {"format": "clip", "checkpoint": older, "tokenizer": vocabulary, "reference": None}
    second = imported_from(weights, **section)  # type: ignore[operator]
    pixels = torch.randn(2, 3, 28, 28)
    assert torch.equal(similarity(first, pixels, ["cat"])[0], similarity(second, pixels, ["cat"])[0])

    del state["visual_projection.weight"]
    torch.save(state, older / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"missing: visual_projection\.weight"):
        imported_from(weights, **section)  # type: ignore[operator]
    (older / "config.json").write_text("{}")
    with pytest.raises(InputError, match="no CLIP model"):
        imported_from(weights, **section)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"visual.proj": None}, r"1 entries of the CLIP model are missing: visual\.proj"),
        ({"visual.proj": torch.zeros(12, 24)}, r"visual\.proj is 12 x 24, 24 x 12 is needed"),
        ({"visual.extra": torch.zeros(1)}, r"do not belong to the CLIP model: visual\.extra"),
    ],
)
def test_what_does_not_fit_is_named(
    change: dict[str, Tensor | None], message: str, imported_from: object, weights: dict[str, Tensor]
) -> None:
    changed = {name: tensor for name, tensor in {**weights, **change}.items() if tensor is not None}
    with pytest.raises(InputError, match=message):
        imported_from(changed)  # type: ignore[operator]


def test_a_structure_that_is_no_openclip_configuration_is_refused(
    imported_from: object, weights: dict[str, Tensor], tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps({**TINY, "vision_cfg": {"layers": 2}}))
    with pytest.raises(InputError, match=r"missing or unknown: .*vision_cfg\.patch_size"):
        imported_from(weights, reference=wrong)  # type: ignore[operator]
    with pytest.raises(InputError, match=r"holds no tokenizer"):
        imported_from(weights, tokenizer=None)  # type: ignore[operator]
