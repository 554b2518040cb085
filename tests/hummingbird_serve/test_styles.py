"""Styles: what may be asked for, which adapters are offered, and what they change."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hummingbird.config.lora import LoRASettings
from hummingbird.config.serve import ServeSettings
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.models.pipeline import load_pipeline
from hummingbird.training.adapters import add_lora, save_lora
from hummingbird_serve.generator import _groups, _Ticket
from hummingbird_serve.models import offered_models
from hummingbird_serve.requests import NO_STYLE, APIError, ServedModel, VideoRequest, parse_request
from hummingbird_serve.sampler import Sampler

Parsed = Callable[..., VideoRequest]


@pytest.fixture
def parsed(models: dict[str, ServedModel]) -> Parsed:
    styled = models | {"student": replace(models["student"], styles=(NO_STYLE, "ink"))}
    return lambda **fields: parse_request({"prompt": "a red circle", **fields}, styled, 100, lambda prompt: 3)


@pytest.fixture
def adapter(tiny_pipelines: dict[str, Path], tmp_path: Path) -> Path:
    unet = copy.deepcopy(load_pipeline(tiny_pipelines["student"]).unet)
    add_lora(unet, LoRASettings(rank=2))
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    save_lora(unet, tmp_path / "ink")
    return tmp_path / "ink"


def test_a_style_is_asked_for_by_its_name_and_counts_whole_unless_said(parsed: Parsed) -> None:
    assert (parsed().style, parsed().style_scale) == (NO_STYLE, None)
    assert (parsed(style="ink").style, parsed(style="ink").style_scale) == ("ink", 1.0)
    assert parsed(style="ink", style_scale=0.25).style_scale == 0.25
    assert parsed(model="teacher").style is None


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"style": "oil"}, "style", "student takes none, ink"),
        ({"style_scale": 0.5}, "style_scale", "needs a style"),
        ({"style": "none", "style_scale": 0.5}, "style_scale", "needs a style"),
        ({"style": "ink", "style_scale": 9}, "style_scale", "2"),
        ({"model": "teacher", "style": "ink"}, "style", "offers no choice"),
    ],
)
def test_other_styles_and_scales_are_refused(
    parsed: Parsed, fields: dict[str, object], param: str, words: str
) -> None:
    with pytest.raises(APIError, match=words) as refused:
        parsed(**fields)
    assert (refused.value.status, refused.value.param) == (400, param)


def test_styles_and_scales_never_share_a_pass(parsed: Parsed) -> None:
    asked = [parsed(), parsed(style="ink"), parsed(style="ink", style_scale=0.5), parsed(style="ink")]
    tickets = [_Ticket(replace(one, seed=1)) for one in asked]
    assert list(_groups(tickets)) == [[0], [1, 3], [2]]


def test_the_student_is_offered_with_its_styles(
    tiny_pipelines: dict[str, Path], adapter: Path, tmp_path: Path
) -> None:
    def settings(styles: dict[str, str]) -> Settings:
        own = ServeSettings(model=str(tiny_pipelines["student"]), teacher=False, styles=styles)
        return Settings(storage=tmp_path / "runs", serve=own)

    [(card, generator)] = offered_models(settings({"ink": str(adapter)}), wait=False)[0].values()
    assert card.styles == (NO_STYLE, "ink")
    assert generator.styles == {"ink": adapter}
    assert generator.pipeline == tiny_pipelines["student"]
    with pytest.raises(InputError, match=r"serve\.styles\.oil: there is no adapter"):
        offered_models(settings({"oil": str(tmp_path / "oil")}), wait=False)
    with pytest.raises(InputError, match="'none' is the name for no style"):
        offered_models(settings({"none": str(adapter)}), wait=False)


def test_a_style_changes_its_own_videos_alone(
    tiny_pipelines: dict[str, Path], adapter: Path, request_: VideoRequest
) -> None:
    folder = tiny_pipelines["student"]
    sampler = Sampler(folder, folder, {"ink": adapter})

    def latents(style: str | None, scale: float | None = None) -> torch.Tensor:
        return sampler.latents([replace(request_, style=style, style_scale=scale)], lambda done: None)

    plain = latents(NO_STYLE)
    assert not torch.allclose(latents("ink", 1.0), plain)
    assert not torch.allclose(latents("ink", 0.5), latents("ink", 1.0))
    assert torch.equal(latents("ink", 0.0), plain)
    assert torch.equal(latents(NO_STYLE), plain)
