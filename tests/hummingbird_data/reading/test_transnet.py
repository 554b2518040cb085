"""TransNetV2 by the published names, on drawn weights: what it gives is what the published code gives."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_weights import drawn_state
from hummingbird.core.errors import InputError
from hummingbird_data.reading import transnet
from hummingbird_data.reading.shots import ShotSettings, find_shots

REFERENCE = json.loads(Path(__file__).with_name("transnet_reference.json").read_text())


def drawn_frames() -> np.ndarray:
    """Three scenes of 40, 40 and 20 frames, with noise: (100, 27, 48, 3)."""
    draw = np.random.default_rng(0)
    scenes = draw.integers(0, 256, (3, 9, 16, 3)).repeat(3, 1).repeat(3, 2)
    frames = np.stack([scenes[index // 40] for index in range(100)])
    return np.clip(frames + draw.integers(-12, 12, frames.shape), 0, 255).astype(np.uint8)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    shapes = REFERENCE["shapes"]
    state = drawn_state({name: shape for name, shape in shapes.items() if shape})
    for name, tensor in state.items():
        if name.endswith("running_var"):
            state[name] = tensor.abs() + 0.5
    counts = {name: torch.tensor(0) for name, shape in shapes.items() if not shape}
    torch.save({**state, **counts}, tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


def test_it_gives_what_the_published_code_gives(weights: Path) -> None:
    network = transnet.load_network(weights)
    with torch.no_grad():
        probabilities = network(torch.from_numpy(drawn_frames())[None])[0]
    expected = torch.tensor(REFERENCE["probabilities"])
    torch.testing.assert_close(probabilities, expected, atol=1e-5, rtol=0)


def test_it_is_chosen_by_a_setting(weights: Path) -> None:
    pictures = ((number / 25, frame) for number, frame in enumerate(drawn_frames()))
    shots = find_shots(pictures, ShotSettings(engine="transnet", weights=str(weights)))
    assert shots[0][0] == 0
    assert shots[-1][1] == 100


def test_other_weights_and_none_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"fc1.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="does not hold TransNetV2's weights"):
        transnet.load_network(tmp_path / "other.pth")
    monkeypatch.setattr(transnet, "PACKAGE", "no_such_package")
    with pytest.raises(InputError, match="install the extra 'shots'"):
        transnet.weights_file(None)
    with pytest.raises(InputError, match="there is no file"):
        transnet.weights_file(tmp_path / "none.pth")
