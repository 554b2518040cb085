"""Whole checkpoints: every part is taken, what is left is reported, and nothing is made up."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from accelerate import init_empty_weights
from diffusers import AutoencoderKL
from drawn_weights import drawn
from hummingbird.core.errors import InputError
from hummingbird.core.hashes import count_parameters
from hummingbird.importing import autoencoder, unet
from hummingbird.importing.lora import GUIDANCE
from hummingbird.importing.parts import read_reference
from hummingbird.importing.published.t2v_turbo import read_t2v_turbo
from hummingbird.importing.published.videocrafter2 import read_videocrafter2
from hummingbird.models.unet import VideoUNet
from safetensors.torch import save_file
from torch import Tensor

pytestmark = pytest.mark.usefixtures("unpickled_here")


def test_every_part_of_a_videocrafter2_file_is_taken_and_the_rest_reported(
    checkpoint: Path, reference: Path, vocabulary: Path, unet_weights: dict[str, Tensor]
) -> None:
    parts = read_videocrafter2(checkpoint, reference, vocabulary)
    imported = parts.unet.state_dict()["down_blocks.0.resnets.0.conv1.weight"]
    assert torch.equal(imported, unet_weights["input_blocks.1.0.in_layers.2.weight"])
    assert not any(
        p.is_meta for m in (parts.unet, parts.vae, parts.text_encoder) for p in m.state_dict().values()
    )
    assert {"betas", "scale_arr", "cond_stage_model.model.logit_scale"} <= set(parts.unused)
    assert "cond_stage_model.model.transformer.resblocks.1.ln_1.weight" in parts.unused
    assert parts.scheduler.config.x0_scale == 0.7


def test_safetensors_are_taken_as_pickles_are(
    tmp_path: Path, checkpoint_weights: dict[str, Tensor], checkpoint: Path, reference: Path, vocabulary: Path
) -> None:
    path = tmp_path / "model.safetensors"
    save_file(checkpoint_weights, path)
    one, other = (
        read_videocrafter2(file, reference, vocabulary).unet.state_dict() for file in (path, checkpoint)
    )
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model.diffusion_model.out.2.bias": None}, "missing: model.diffusion_model.out.2.bias"),
        ({"first_stage_model.quant_conv.bias": None}, "missing: first_stage_model.quant_conv.bias"),
        ({"model.diffusion_model.out.2.bias": torch.zeros(5)}, r"out\.2\.bias is 5, 4 is needed"),
        ({"model.diffusion_model.out.9.bias": torch.zeros(4)}, r"do not belong.*out\.9\.bias"),
        ({"model_ema.decay": torch.zeros(1)}, r"do not belong.*model_ema\.decay"),
        ({"cond_stage_model.model.ln_final.bias": torch.full((16,), torch.nan)}, r"NaN.*ln_final\.bias"),
        ({"first_stage_model.quant_conv.bias": torch.full((8,), torch.inf)}, r"infinity.*quant_conv\.bias"),
        (
            {"model.diffusion_model.out.2.bias": torch.zeros(4, dtype=torch.int64)},
            r"out\.2\.bias \(torch\.int64",
        ),
    ],
)
def test_entries_that_do_not_fit_end_the_import_with_their_names(
    change: dict[str, Tensor | None],
    message: str,
    tmp_path: Path,
    checkpoint_weights: dict[str, Tensor],
    reference: Path,
    vocabulary: Path,
) -> None:
    tensors = {n: t for n, t in {**checkpoint_weights, **change}.items() if t is not None}
    save_file(tensors, tmp_path / "changed.safetensors")
    with pytest.raises(InputError, match=message):
        read_videocrafter2(tmp_path / "changed.safetensors", reference, vocabulary)


def factors(weights: dict[str, Tensor], config: dict[str, object], rank: int = 4) -> list[Tensor]:
    """Up and down of every linear layer and 2D or 3D convolution, in the published order."""
    factor_tensors = []
    for entry in unet.published_table(config):
        weight = weights.get(entry.source, torch.zeros(32, 256))
        if not entry.source.endswith("weight") or weight.dim() not in (2, 4, 5):
            continue
        r = min(rank, *weight.shape[:2])
        factor_tensors.append(drawn(f"up {entry.source}", (weight.shape[0], r, *(1,) * (weight.dim() - 2))))
        factor_tensors.append(drawn(f"down {entry.source}", (r, *weight.shape[1:])))
    return factor_tensors


def test_a_lora_is_merged_as_up_times_down_and_the_guidance_is_its_product_alone(
    tmp_path: Path, checkpoint: Path, reference: Path, vocabulary: Path, unet_weights: dict[str, Tensor]
) -> None:
    config = unet.our_config({**json.loads(reference.read_text())["unet"], "time_cond_proj_dim": 256})
    pairs = factors(unet_weights, config)
    torch.save(pairs, tmp_path / "unet_lora.pt")
    parts = read_t2v_turbo(checkpoint, reference, vocabulary, None, tmp_path / "unet_lora.pt")
    state = parts.unet.state_dict()
    place = "input_blocks.1.0.in_layers.2.weight"
    up, down = (drawn(f"{kind} {place}", s) for kind, s in (("up", (32, 4, 1, 1)), ("down", (4, 32, 3, 3))))
    expected = unet_weights[place] + torch.einsum("or,rikl->oikl", up[..., 0, 0], down)
    torch.testing.assert_close(state["down_blocks.0.resnets.0.conv1.weight"], expected)
    up, down = drawn(f"up {GUIDANCE}", (32, 4)), drawn(f"down {GUIDANCE}", (4, 256))
    torch.testing.assert_close(state["time_embedding.cond_proj.weight"], up @ down)
    assert any(GUIDANCE in note for note in parts.notes)
    assert parts.scheduler.config.x0_scale == 1.0


def test_a_merged_unet_takes_the_place_of_the_base(
    tmp_path: Path, checkpoint: Path, reference: Path, vocabulary: Path, unet_weights: dict[str, Tensor]
) -> None:
    own = {**unet_weights, GUIDANCE: torch.ones(32, 256), "out.2.bias": torch.full((4,), 7.0)}
    for name, tensors in (("bare", own), ("prefixed", {unet.PREFIX + n: t for n, t in own.items()})):
        torch.save(tensors, tmp_path / f"{name}.pt")
        parts = read_t2v_turbo(checkpoint, reference, vocabulary, tmp_path / f"{name}.pt", None)
        assert parts.unet.conv_out.bias.tolist() == [7.0] * 4
        assert parts.unet.config.guidance_size == 256


def test_a_lora_of_another_structure_is_refused(
    tmp_path: Path, checkpoint: Path, reference: Path, vocabulary: Path, unet_weights: dict[str, Tensor]
) -> None:
    config = unet.our_config({**json.loads(reference.read_text())["unet"], "time_cond_proj_dim": 256})
    pairs = factors(unet_weights, config)
    path = tmp_path / "lora.pt"
    for spoiled, message in (
        (pairs[:-1], "odd number"),
        (pairs[:-2], "pairs of factors"),
        ([*pairs[2:4], *pairs[:2], *pairs[4:]], "pair 0, of time_embed.0.weight"),
        ([pairs[0] * np.nan, *pairs[1:]], "NaN or infinity in pair 0"),
    ):
        torch.save(spoiled, path)
        with pytest.raises(InputError, match=message):
            read_t2v_turbo(checkpoint, reference, vocabulary, None, path)


def test_t2v_turbo_needs_a_unet_or_a_lora(checkpoint: Path, reference: Path, vocabulary: Path) -> None:
    with pytest.raises(InputError, match="one of two"):
        read_t2v_turbo(checkpoint, reference, vocabulary, None, None)


def test_the_published_structures_have_the_published_sizes() -> None:
    with init_empty_weights():
        teacher = VideoUNet(**unet.our_config(unet.PUBLISHED))
        student = VideoUNet(**unet.our_config({**unet.PUBLISHED, "num_res_blocks": 1}))
        vae = AutoencoderKL(**autoencoder.our_config(autoencoder.PUBLISHED))
    counts = [count_parameters(model) for model in (teacher, student, vae)]
    assert counts == [1_413_284_420, 945_127_300, 83_653_863]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channel_mult": [1, 2, 4], "attention_resolutions": [8]}, None),
        ({"model_channels": None}, "lacks model_channels"),
        ({"sparse": True}, "unknown keys: sparse"),
        ({"use_relative_position": True}, "use_relative_position=True"),
        ({"transformer_depth": 2}, "transformer_depth=2"),
        ({"num_head_channels": 24}, "multiples of num_head_channels"),
        ({"num_head_channels": -1, "num_heads": 8}, "num_head_channels is needed"),
    ],
)
def test_a_reference_configuration_is_understood_or_refused(
    change: dict[str, object], message: str | None
) -> None:
    reference = {**unet.PUBLISHED, **change}
    if message is None:
        assert [len(stage["layers"]) for stage in unet.our_config(reference)["up_stages"]] == [3, 3, 3]
        return
    with pytest.raises(InputError, match=message):
        unet.our_config(reference)


def test_the_published_training_configuration_is_read(tmp_path: Path) -> None:
    path = tmp_path / "inference.yaml"
    params = {
        "scale_factor": 0.5,
        "unet_config": {"params": {**unet.PUBLISHED, "model_channels": 64}},
        "first_stage_config": {"params": {**autoencoder.PUBLISHED, "lossconfig": {}, "monitor": "x"}},
        "cond_stage_config": {"params": {"freeze": True, "layer": "last"}},
    }
    path.write_text(yaml.safe_dump({"model": {"target": "a.b.C", "params": params}}))
    sections = read_reference(path)
    assert sections["unet"]["model_channels"] == 64
    assert sections["vae"]["scale_factor"] == 0.5
    assert sections["text"]["layer"] == "last"
    path.write_text("unets: {}")
    with pytest.raises(InputError, match="has the sections unet, vae, text"):
        read_reference(path)
