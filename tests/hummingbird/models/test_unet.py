"""The video U-Net: diffusers' arithmetic on diffusers' weights, published counts, conditions and pruned shapes."""

from typing import Any

import pytest
import torch
from diffusers import UNet3DConditionModel
from hummingbird.models.architectures import unet_config, videocrafter2_config
from hummingbird.models.layers import GroupNorm
from hummingbird.models.unet import VideoUNet


def small(**others: Any) -> VideoUNet:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"in_channels": 4, "head_size": 8, "text_width": 48, "first_temporal_heads": 8}
    unet = VideoUNet(**unet_config((32, 64), **{**sizes, **others})).eval()
    for parameter in unet.parameters():  # a fresh U-Net's branches end in zeros and would hide what they do
        parameter.data += 0.02 * torch.randn_like(parameter)
    return unet


def inputs(batch: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    sample = torch.randn(batch, 4, 5, 8, 8, generator=generator)
    return sample, torch.tensor([3, 700])[:batch], torch.randn(batch, 7, 48, generator=generator)


@pytest.fixture(scope="module")
def diffusers_unet() -> UNet3DConditionModel:
    torch.manual_seed(0)
    model = UNet3DConditionModel(
        in_channels=4,
        out_channels=4,
        block_out_channels=(32, 64),
        down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
        layers_per_block=2,
        cross_attention_dim=48,
        attention_head_dim=8,
    )
    for parameter in model.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    return model.eval()


@pytest.mark.parametrize("gradients", [False, True], ids=["inference", "training"])
def test_equals_diffusers_on_the_same_weights(diffusers_unet: UNet3DConditionModel, gradients: bool) -> None:
    unet = small(embed_fps=False)
    unet.load_state_dict(diffusers_unet.state_dict())
    with torch.set_grad_enabled(gradients):
        predicted, expected = unet(*inputs()), diffusers_unet(*inputs()).sample
    torch.testing.assert_close(predicted, expected, atol=1e-5, rtol=0)


def test_videocrafter2_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        unet = VideoUNet(**videocrafter2_config())
    assert sum(p.numel() for p in unet.parameters()) == 1_413_284_420


def test_a_saved_model_computes_the_same(tmp_path: Any) -> None:
    unet = small(guidance_size=16)
    unet.save_pretrained(tmp_path)
    again = VideoUNet.from_pretrained(tmp_path)
    arguments = (*inputs(), torch.tensor([8.0, 8.0]), torch.tensor([5.0, 7.0]))
    with torch.no_grad():
        torch.testing.assert_close(again(*arguments), unet(*arguments))


def test_gradient_checkpointing_changes_no_gradient() -> None:
    gradients = []
    for on in (False, True):
        unet = small(embed_fps=False)
        unet.gradient_checkpointing = on
        unet(*inputs()).square().mean().backward()
        gradients.append(unet.conv_in.weight.grad)
    torch.testing.assert_close(gradients[1], gradients[0])


def test_each_condition_changes_the_output_and_must_be_given() -> None:
    unet = small(guidance_size=16)
    fps, guidance = torch.tensor([8.0, 8.0]), torch.tensor([5.0, 5.0])
    with torch.no_grad():
        first = unet(*inputs(), fps, guidance)
        assert not torch.allclose(first, unet(*inputs(), fps * 2, guidance))
        assert not torch.allclose(first, unet(*inputs(), fps, guidance * 2))
    with pytest.raises(ValueError, match="frame rate"):
        unet(*inputs(), None, guidance)
    with pytest.raises(ValueError, match="guidance"):
        unet(*inputs(), fps, None)


def test_a_sample_does_not_depend_on_its_batch() -> None:
    unet = small(embed_fps=False)
    sample, t, text = inputs()
    with torch.no_grad():
        both, alone = unet(sample, t, text), unet(sample[1:], t[1:], text[1:])
    torch.testing.assert_close(both[1:], alone, atol=1e-5, rtol=1e-4)


def test_features_are_one_a_stage_down_middle_up() -> None:
    _, features = small(embed_fps=False)(*inputs(), return_features=True)
    assert [tuple(f.shape) for f in features] == [
        (2, 5, 8, 8, 32), (2, 5, 4, 4, 64), (2, 5, 4, 4, 64), (2, 5, 4, 4, 64), (2, 5, 8, 8, 32),
    ]  # fmt: skip


def test_a_layer_may_lack_its_skip_and_its_attention() -> None:
    config = unet_config(
        (32, 64), in_channels=4, head_size=8, text_width=48, first_temporal_heads=8, embed_fps=False
    )
    bare = {"attention": False, "temporal_attention": False, "temporal_conv": False, "skip": None}
    config["up_stages"][1]["layers"][1] = bare
    unet = VideoUNet(**config)
    assert unet.up_blocks[1].resnets[1].conv1.in_channels == 32
    assert "1" not in unet.up_blocks[1].attentions
    assert unet(*inputs()).shape == (2, 4, 5, 8, 8)


@pytest.mark.parametrize("skip", ["down.7.0", "down.1.0"], ids=["unknown", "another resolution"])
def test_a_skip_that_does_not_fit_is_named(skip: str) -> None:
    config = unet_config((32, 64), in_channels=4, head_size=8, text_width=48)
    config["up_stages"][1]["layers"][2]["skip"] = skip
    with pytest.raises(ValueError, match=f"up stage 1, layer 2.*{skip}"):
        VideoUNet(**config)


@pytest.mark.parametrize("autocast", [False, True])
def test_a_norm_by_moments_keeps_no_copy_and_gives_the_gradients(autocast: bool) -> None:
    norm = GroupNorm(8, 16, 1e-5, silu=True)
    torch.nn.init.normal_(norm.weight)
    values = torch.randn(2, 30, 16).bfloat16().requires_grad_(True)
    kept: list[torch.Tensor] = []
    hooks = torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t)  # type: ignore[func-returns-value]
    with hooks, torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        predicted = norm._by_moments(values)
    assert predicted.dtype == torch.bfloat16
    assert all(t.dtype == torch.bfloat16 for t in kept if t.numel() == values.numel())
    exact = values.detach().float().requires_grad_(True)
    expected = norm(exact)
    torch.testing.assert_close(predicted.float(), expected, atol=0.02, rtol=0.02)
    for output, source in ((predicted, values), (expected, exact)):
        output.float().square().sum().backward()
        assert source.grad is not None
    assert values.grad is not None
    assert exact.grad is not None
    torch.testing.assert_close(values.grad.float(), exact.grad, atol=0.1, rtol=0.05)


@pytest.mark.parametrize("shape", [(3, 5, 16), (2, 4, 3, 6, 16), (4, 1, 3, 16)])
def test_both_ways_of_group_normalization_agree(shape: tuple[int, ...]) -> None:
    norm = GroupNorm(8, 16, 1e-5)
    torch.nn.init.normal_(norm.weight)
    values = torch.randn(shape)
    expected = torch.nn.functional.group_norm(
        values.reshape(shape[0], -1, 16).transpose(1, 2), 8, norm.weight, norm.bias, 1e-5
    )
    for way in (norm._fused, norm._by_moments):
        predicted = way(values).reshape(shape[0], -1, 16).transpose(1, 2)
        torch.testing.assert_close(predicted, expected, atol=1e-4, rtol=1e-4)


def test_a_frozen_norm_hands_gradients_on() -> None:
    norm = GroupNorm(8, 16, 1e-5)
    values = torch.randn(2, 3, 4, 4, 16, requires_grad=True)
    (trained,) = torch.autograd.grad(norm(values).square().sum(), values)
    norm.requires_grad_(False)
    (frozen,) = torch.autograd.grad(norm(values).square().sum(), values)
    torch.testing.assert_close(frozen, trained, rtol=1e-3, atol=1e-4)


def test_frames_are_told_their_places_in_order_unless_said_otherwise() -> None:
    unet = small(embed_fps=False, embed_places=True)
    order = torch.arange(5)[None].expand(2, -1)
    with torch.no_grad():
        predicted = unet(*inputs())
        torch.testing.assert_close(unet(*inputs(), places=order), predicted)
        assert not torch.allclose(unet(*inputs(), places=order.flip(1)), predicted, atol=1e-3)
