"""A model whose tensors its files do not hold is refused, whatever loads it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hummingbird.config.feedback import FeedbackSettings
from hummingbird.core.errors import InputError
from hummingbird.core.model_references import model_folder
from hummingbird.models.dover import DOVER
from hummingbird.models.loading import check_weights, load_pretrained
from hummingbird.models.pipeline import load_pipeline
from hummingbird.training.feedback import load_scorer
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText

Spoil = Callable[[Path], str]


def rename(path: Path) -> str:
    tensors = load_file(path)
    save_file({f"net.{name}": value for name, value in tensors.items()}, path, {"format": "pt"})
    return r"finds no weights for \d+ of its tensors: .*; the files hold \d+ others: net\."


def lose_one(path: Path) -> str:
    tensors = load_file(path)
    del tensors[max(tensors)]
    save_file(tensors, path, {"format": "pt"})
    return r"finds no weights for 1 of its tensors"


def crop_one(path: Path) -> str:
    tensors = load_file(path)
    name = max(name for name, value in tensors.items() if value.ndim > 1)
    tensors[name] = tensors[name][:-1].contiguous()
    save_file(tensors, path, {"format": "pt"})
    return r"shape"


def cut_off(path: Path) -> str:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    return r"not fully covered"


def lose_all(path: Path) -> str:
    path.unlink()
    return r"no file named"


SPOILS = (rename, lose_one, crop_one, cut_off, lose_all)


def copied(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to


@pytest.mark.parametrize("spoil", SPOILS)
@pytest.mark.parametrize("part", ["unet", "vae", "decoder", "text_encoder"])
def test_a_pipeline_with_a_spoiled_part_is_refused(
    tmp_path: Path, tiny_pipelines: dict[str, Path], part: str, spoil: Spoil
) -> None:
    folder = copied(tiny_pipelines["teacher"], tmp_path / "teacher")
    (weights,) = (folder / part).glob("*.safetensors")
    reason = spoil(weights)
    with pytest.raises(InputError, match=rf"{part}.*{reason}"):
        load_pipeline(folder)


@pytest.mark.parametrize("spoil", SPOILS)
def test_spoiled_rewards_and_quality_models_are_refused(tmp_path: Path, spoil: Spoil) -> None:
    rewards = copied(model_folder("shapes-rewards"), tmp_path / "rewards")
    quality = copied(model_folder("shapes-quality"), tmp_path / "quality")
    load_scorer(rewards, FeedbackSettings())
    with pytest.raises(InputError, match=spoil(next(rewards.glob("*.safetensors")))):
        load_scorer(rewards, FeedbackSettings())
    with pytest.raises(InputError, match=spoil(next(quality.glob("*.safetensors")))):
        load_pretrained(DOVER, quality)


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_spoiled_captioner_is_refused_without_loading_it(tmp_path: Path, spoil: Spoil) -> None:
    folder = copied(model_folder("shapes-captioner"), tmp_path / "captioner")
    check_weights(AutoModelForImageTextToText, folder)
    reason = spoil(folder / "model.safetensors")
    for check in (check_weights, load_pretrained):
        with pytest.raises(InputError, match=reason):
            check(AutoModelForImageTextToText, folder)


def test_a_sharded_model_that_lacks_a_file_is_refused(tmp_path: Path) -> None:
    folder = copied(model_folder("shapes-captioner"), tmp_path / "captioner")
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    where = {}
    for number, part in enumerate((names[::2], names[1::2])):
        file = f"model-{number}.safetensors"
        save_file({name: tensors[name] for name in part}, folder / file, {"format": "pt"})
        where |= dict.fromkeys(part, file)
    (folder / "model.safetensors").unlink()
    index = {"metadata": {"total_size": 0}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    check_weights(AutoModelForImageTextToText, folder)
    (folder / "model-1.safetensors").unlink()
    with pytest.raises(InputError, match=r"model-1"):
        check_weights(AutoModelForImageTextToText, folder)
