"""TAESD in both namings becomes a small decoder that computes what was published, alone or in a pipeline."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderTiny
from drawn_weights import drawn_weight
from hummingbird.config.settings import Settings
from hummingbird.core.errors import InputError
from hummingbird.importing.import_checkpoint import import_checkpoint
from hummingbird.models.pipeline import load_pipeline
from torch import Tensor, nn

pytestmark = pytest.mark.usefixtures("unpickled_here")
WIDTH = 8


class Clamp(nn.Module):
    """Softly to -3..3."""

    def forward(self, x: Tensor) -> Tensor:
        return (x / 3).tanh() * 3


class Residual(nn.Module):
    """Three convolutions beside what comes in."""

    def __init__(self) -> None:
        super().__init__()
        convs = [nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for _ in range(3)]
        self.conv = nn.Sequential(convs[0], nn.ReLU(), convs[1], nn.ReLU(), convs[2])

    def forward(self, x: Tensor) -> Tensor:
        return (self.conv(x) + x).relu()


def published_decoder() -> nn.Sequential:
    """The published sequence, from latents to pixels in 0..1."""
    layers: list[nn.Module] = [Clamp(), nn.Conv2d(4, WIDTH, 3, padding=1), nn.ReLU()]
    for _ in range(3):
        layers += [Residual() for _ in range(3)]
        layers += [nn.Upsample(scale_factor=2), nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False)]
    return nn.Sequential(*layers, Residual(), nn.Conv2d(WIDTH, 3, 3, padding=1))


def published_encoder() -> nn.Sequential:
    """The published sequence, from pixels in 0..1 to latents."""
    layers: list[nn.Module] = [nn.Conv2d(3, WIDTH, 3, padding=1), Residual()]
    for _ in range(3):
        layers += [nn.Conv2d(WIDTH, WIDTH, 3, padding=1, stride=2, bias=False)]
        layers += [Residual() for _ in range(3)]
    return nn.Sequential(*layers, nn.Conv2d(WIDTH, 4, 3, padding=1))


@pytest.fixture
def published(tmp_path: Path) -> tuple[nn.Sequential, nn.Sequential]:
    """Encoder and decoder with drawn weights, whose files lie in the folder."""
    parts = published_encoder(), published_decoder()
    for name, module in zip(("encoder", "decoder"), parts, strict=True):
        state = {key: drawn_weight(name + key, value.shape) for key, value in module.state_dict().items()}
        module.load_state_dict(state)
        torch.save(state, tmp_path / f"taesd_{name}.pth")
    return parts


def run(tmp_path: Path, **section: object) -> dict[str, Any]:
    terms = {"format": "taesd", "licence": "mit", "source": "a test"}
    settings = Settings(storage=tmp_path / "runs", import_checkpoint={**terms, **section})  # type: ignore[arg-type]
    return json.loads(import_checkpoint(settings).read_text())["outputs"]


@torch.no_grad()
def test_both_namings_compute_what_was_published(
    tmp_path: Path, published: tuple[nn.Sequential, nn.Sequential]
) -> None:
    encoder, decoder = published
    folder = Path(run(tmp_path, checkpoint=tmp_path / "taesd_decoder.pth")["decoder"])
    again = Path(run(tmp_path, checkpoint=folder)["decoder"])
    latents, pixels = 2 * torch.randn(2, 4, 4, 6), torch.rand(2, 3, 32, 48)
    for place in (folder, again):
        model = AutoencoderTiny.from_pretrained(place).eval()
        torch.testing.assert_close(model.decode(latents).sample / 2 + 0.5, decoder(latents))
        torch.testing.assert_close(model.encode(pixels * 2 - 1).latents, encoder(pixels))
    assert 'license: "mit"' in (folder / "README.md").read_text()


def test_an_imported_pipeline_gets_its_small_decoder(
    tmp_path: Path,
    published: tuple[nn.Sequential, nn.Sequential],
    checkpoint: Path,
    reference: Path,
    vocabulary: Path,
) -> None:
    section = {"format": "videocrafter2", "checkpoint": checkpoint, "reference": reference}
    outputs = run(tmp_path, **section, tokenizer=vocabulary, decoder=tmp_path / "taesd_decoder.pth")
    small = load_pipeline(outputs["pipeline"]).decoder
    weight = torch.load(tmp_path / "taesd_decoder.pth")["19.weight"]
    assert torch.equal(small.state_dict()["decoder.layers.18.weight"], weight)


def test_what_does_not_fit_is_named(tmp_path: Path, published: tuple[nn.Sequential, nn.Sequential]) -> None:
    file, encoder = tmp_path / "taesd_decoder.pth", tmp_path / "taesd_encoder.pth"
    state = torch.load(file)
    with pytest.raises(InputError, match=r"give taesd_decoder\.pth"):
        run(tmp_path, checkpoint=encoder)
    kept = encoder.read_bytes()
    encoder.unlink()
    with pytest.raises(InputError, match=r"there is no .*taesd_encoder\.pth"):
        run(tmp_path, checkpoint=file)
    encoder.write_bytes(kept)
    torch.save({name: tensor for name, tensor in state.items() if name != "19.bias"}, file)
    with pytest.raises(InputError, match=r"small decoder are missing: 19\.bias"):
        run(tmp_path, checkpoint=file)
    torch.save({**state, "19.bias": torch.zeros(4)}, file)
    with pytest.raises(InputError, match=r"19\.bias is 4, 3 is needed"):
        run(tmp_path, checkpoint=file)
    torch.save({**state, "20.bias": torch.zeros(4)}, file)
    with pytest.raises(InputError, match=r"do not belong to the small decoder: 20\.bias"):
        run(tmp_path, checkpoint=file)
    with pytest.raises(InputError, match=r"lacks diffusion_pytorch_model\.safetensors"):
        run(tmp_path, checkpoint=tmp_path)
    with pytest.raises(InputError, match=r"no 'tasd'; there are clip \("):
        run(tmp_path, format="tasd", checkpoint=file)
