import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from hummingbird.config.lora import LoRASettings
from hummingbird.models.pipeline import TextToVideoPipeline, load_pipeline
from hummingbird.models.unet import VideoUNet
from hummingbird.pruning.prune import prune_unet
from hummingbird.pruning.pruning_plan import load_plan
from hummingbird.training.adapters import add_lora, save_lora
from safetensors.torch import load_file


@pytest.fixture
def pipeline(tiny_teacher: Path) -> TextToVideoPipeline:
    """The tiny teacher with random weights everywhere: a fresh one predicts zero."""
    pipeline = load_pipeline(tiny_teacher)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in pipeline.unet.parameters():
            parameter.normal_(std=0.1)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def saved(unet: VideoUNet, folder: Path, layers: str = "all", seed: int = 1) -> Path:
    """An adapter for the U-Net that changes every layer it is at."""
    adapted: Any = copy.deepcopy(unet)
    add_lora(adapted, LoRASettings(rank=2, alpha=4, layers=layers))
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    save_lora(adapted, folder)
    return folder


def video(pipeline: TextToVideoPipeline) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return pipeline(
        "clip", num_frames=4, num_inference_steps=2, generator=generator, output_type="latent"
    ).frames


def test_at_scale_0_a_model_is_the_base_to_the_bit_and_at_1_another(
    pipeline: TextToVideoPipeline, tmp_path: Path
) -> None:
    base = video(pipeline)
    pipeline.load_lora_weights(saved(pipeline.unet, tmp_path / "style"), adapter_name="style")
    styled = video(pipeline)
    pipeline.set_adapters("style", 0.5)
    half = video(pipeline)
    pipeline.set_adapters("style", 0)
    assert torch.equal(video(pipeline), base)
    assert not torch.allclose(styled, base)
    assert not torch.allclose(half, styled)
    assert not torch.allclose(half, base)
    pipeline.unload_lora_weights()
    assert torch.equal(video(pipeline), base)
    assert pipeline.get_list_adapters() == []


def test_what_is_loaded_computes_what_was_trained(pipeline: TextToVideoPipeline, tmp_path: Path) -> None:
    trained = copy.deepcopy(pipeline)
    add_lora(trained.unet, LoRASettings(rank=2, alpha=4))
    with torch.no_grad():
        for name, parameter in trained.unet.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    save_lora(trained.unet, tmp_path / "style")
    pipeline.load_lora_weights(tmp_path / "style")
    torch.testing.assert_close(video(pipeline), video(trained), rtol=1e-5, atol=1e-6)


def test_two_adapters_count_together_and_one_alone_as_if_the_other_were_not_there(
    pipeline: TextToVideoPipeline, tmp_path: Path
) -> None:
    one, two = (
        saved(pipeline.unet, tmp_path / "one"),
        saved(pipeline.unet, tmp_path / "two", "temporal", seed=2),
    )
    pipeline.load_lora_weights(one, adapter_name="one")
    alone = video(pipeline)
    pipeline.load_lora_weights(two, adapter_name="two")
    assert not torch.allclose(video(pipeline), alone)
    pipeline.set_adapters(["one", "two"], [1.0, 0.0])
    torch.testing.assert_close(video(pipeline), alone)
    assert pipeline.get_list_adapters() == ["one", "two"]
    with pytest.raises(ValueError, match="no adapter 'three'; there are one, two"):
        pipeline.set_adapters("three")
    with pytest.raises(ValueError, match="there is an adapter 'one' already"):
        pipeline.load_lora_weights(one, adapter_name="one")


def test_layers_are_chosen_and_their_names_are_pefts(pipeline: TextToVideoPipeline, tmp_path: Path) -> None:
    for layers in ("spatial", "temporal"):
        names = load_file(saved(pipeline.unet, tmp_path / layers, layers) / "adapter_model.safetensors")
        parts = {name.removeprefix("base_model.model.").rpartition(".lora_")[0] for name in names}
        assert all(name.endswith((".lora_A.weight", ".lora_B.weight")) for name in names)
        temporal = [part for part in parts if "temp" in part or "transformer_in" in part]
        assert len(temporal) == (len(parts) if layers == "temporal" else 0)


def test_an_adapter_of_another_cut_is_refused_by_name(pipeline: TextToVideoPipeline, tmp_path: Path) -> None:
    folder = saved(pipeline.unet, tmp_path / "style")
    pruned = prune_unet(pipeline.unet, load_plan("hummingbird-0.7b", pipeline.unet.config))
    other = TextToVideoPipeline(**{**pipeline.components, "unet": pruned})
    with pytest.raises(ValueError, match="adapter 'watercolor' was made for another cut"):
        other.load_lora_weights(folder, adapter_name="watercolor")
    assert other.get_list_adapters() == []
    with pytest.raises(ValueError, match="no adapter in PEFT's names: it holds weight"):
        pipeline.load_lora_weights({"weight": torch.zeros(1)})
    with pytest.raises(FileNotFoundError, match="no adapter at"):
        pipeline.load_lora_weights(tmp_path / "nowhere")
