"""Low-rank adapters: what they are put on, that they learn, go on, are saved and merged."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from hummingbird.config.cluster import RaySettings
from hummingbird.config.lora import LoRASettings
from hummingbird.core.errors import InputError
from hummingbird.models.architectures import unet_config
from hummingbird.models.unet import VideoUNet
from hummingbird.training.adapters import (
    adapter_parameters,
    add_lora,
    has_lora,
    merge_lora,
    save_lora,
    target_layers,
)
from hummingbird.training.checkpoint import TrainingState
from hummingbird.training.engine import EMA
from hummingbird.training.log import read_losses
from hummingbird.training.loop import TrainingJob
from hummingbird.training.trainer import train
from safetensors.torch import load_file
from torch import Tensor


def unet() -> VideoUNet:
    torch.manual_seed(0)
    model = VideoUNet(
        **unet_config((8, 16), head_size=8, in_channels=4, text_width=8, norm_groups=4, guidance_size=8)
    )
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


def output(model: Any) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    x, text = (torch.randn(shape, generator=generator) for shape in ((2, 4, 3, 8, 8), (2, 5, 8)))
    noise: Tensor = model(
        x, torch.tensor([10, 900]), text, fps=torch.tensor([8.0, 24.0]), guidance=torch.ones(2)
    )
    return noise


def test_layers_are_chosen_by_what_they_see_and_by_kind() -> None:
    model = unet()
    every = set(target_layers(model, LoRASettings(rank=2)))
    spatial = set(target_layers(model, LoRASettings(rank=2, layers="spatial")))
    temporal = set(target_layers(model, LoRASettings(rank=2, layers="temporal")))
    linear = set(target_layers(model, LoRASettings(rank=2, kinds="linear")))
    assert spatial | temporal == every
    assert not spatial & temporal
    assert "down_blocks.0.temp_convs.0.conv1.2" in temporal
    assert "transformer_in.proj_in" in temporal
    assert "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k" in spatial & linear
    assert "conv_in" in spatial - linear
    with pytest.raises(InputError, match="no temporal layers of kind linear"):
        target_layers(torch.nn.Conv2d(1, 1, 1), LoRASettings(rank=2, layers="temporal", kinds="linear"))


def test_adapters_on_every_layer_change_the_output_and_merge_into_it(tmp_path: Path) -> None:
    """Also those on convolutions over time, which do not call their layer as others do."""
    model, start = unet(), output(unet())
    layers = target_layers(model, LoRASettings(rank=2))
    add_lora(model, LoRASettings(rank=2, alpha=4))
    torch.testing.assert_close(output(model), start)
    output(model).square().mean().backward()
    for layer in layers:
        assert model.get_submodule(layer).lora_B["default"].weight.grad.abs().max() > 0, layer  # type: ignore[union-attr,index]
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert all(".lora_A." in name or ".lora_B." in name for name in trained)
    for name, parameter in model.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(parameter, std=0.05)
    changed = output(model)
    assert (changed - start).abs().max() > 1e-2
    save_lora(model, tmp_path)
    # peft's own loader reads the files.
    loaded = peft.PeftModel.from_pretrained(unet(), tmp_path)
    torch.testing.assert_close(output(loaded), changed, rtol=1e-4, atol=1e-5)
    merge_lora(model)
    assert not has_lora(model)
    assert model.state_dict().keys() == unet().state_dict().keys()
    torch.testing.assert_close(output(model), changed, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kinds", ["all", "linear", "convolution"])
def test_adapters_are_counted_before_they_are_there(kinds: Any) -> None:
    settings = LoRASettings(rank=3, kinds=kinds)
    model, counted = unet(), adapter_parameters(unet(), settings)
    add_lora(model, settings)
    assert counted == sum(p.numel() for p in model.parameters() if p.requires_grad)


def test_new_layers_are_trained_in_full() -> None:
    model = unet()
    add_lora(model, LoRASettings(rank=2), fresh=("time_embedding.cond_proj",))
    assert model.time_embedding.cond_proj.weight.requires_grad  # type: ignore[union-attr]
    assert not hasattr(model.time_embedding.cond_proj, "lora_A")


def test_the_average_shares_what_is_not_trained() -> None:
    model = unet()
    add_lora(model, LoRASettings(rank=2))
    average = EMA(model, 0.9)
    pairs = list(zip(model.parameters(), average.module.parameters(), strict=True))
    assert all((ours is theirs) == (not ours.requires_grad) for ours, theirs in pairs)
    frozen = {name: p.clone() for name, p in model.named_parameters() if not p.requires_grad}
    with torch.no_grad():
        for ours, _ in pairs:
            if ours.requires_grad:
                ours += 1.0
    average.update(model)
    for name, parameter in average.module.named_parameters():
        expected = frozen[name] if name in frozen else dict(model.named_parameters())[name]
        torch.testing.assert_close(parameter, expected)


def test_a_run_with_adapters_goes_on_exactly_and_leaves_them_merged(
    make_job: Callable[..., TrainingJob], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lora = LoRASettings(rank=4, layers="temporal")
    whole = dataclasses.replace(
        make_job(engine="process", steps=4, checkpoint_every=2), folder=tmp_path / "whole", lora=lora
    )
    train(whole, RaySettings())
    cut = dataclasses.replace(whole, folder=tmp_path / "cut")
    from hummingbird.training import trainer

    save, saved = trainer.save_state, []

    def stopping(folder: Path, state: TrainingState, **more: Any) -> None:
        if saved:
            raise KeyboardInterrupt
        saved.append(folder)
        save(folder, state, **more)

    with monkeypatch.context() as patched:
        patched.setattr(trainer, "save_state", stopping)
        with pytest.raises(KeyboardInterrupt):
            train(cut, RaySettings())
    train(cut, RaySettings())
    lines = [[line["total"] for line in read_losses(job.folder)] for job in (whole, cut)]
    assert lines[0] == lines[1]
    weights = [load_file(job.folder / "unet" / "diffusion_pytorch_model.safetensors") for job in (whole, cut)]
    start = whole.build(torch.device("cpu")).networks["student"].module.state_dict()
    assert weights[0].keys() == start.keys()
    changed = {name for name, tensor in weights[0].items() if not torch.equal(tensor, start[name])}
    assert changed
    assert all("temp" in name or "transformer_in" in name for name in changed)
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], rtol=0, atol=0)
    config = json.loads((whole.folder / "adapter" / "adapter_config.json").read_text())
    assert (config["r"], config["peft_type"]) == (4, "LORA")
