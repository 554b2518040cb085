"""From frames to pixels and to mp4 files, and back. Untrusted video is decoded elsewhere, in a child process."""

import tempfile
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def to_uint8(frames: Tensor) -> NDArray[np.uint8]:
    """Frames (..., H, W, 3) uint8 of frames (..., 3, H, W) in 0..1, as a pipeline returns them as tensors."""
    pixels = (frames * 255).round().clamp(0, 255).to(torch.uint8)
    array: NDArray[np.uint8] = pixels.movedim(-3, -1).contiguous().cpu().numpy()
    return array


def seeded_generators(seeds: Iterable[int]) -> list[torch.Generator]:
    """One generator a video, on the CPU, so that a video is the same on every device and in every batch."""
    return [torch.Generator().manual_seed(int(seed)) for seed in seeds]


def write_mp4(
    frames: NDArray[np.uint8], fps: float, target: Path | BinaryIO, *, crf: int = 16, preset: str = "veryfast"
) -> None:
    """Write frames (T, H, W, 3) uint8 RGB as H.264 in an mp4; height and width must be even.

    Raises:
        ValueError: the frames are not of that shape and type.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise ValueError(f"frames must be uint8 (T, H, W, 3), not {frames.dtype} {frames.shape}")
    if frames.shape[1] % 2 or frames.shape[2] % 2 or not len(frames):
        raise ValueError(f"H.264 needs frames of even height and width, at least one, not {frames.shape}")
    if not isinstance(target, Path):
        # The index goes before the pictures in a second pass over the file, so there must be one.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "video.mp4"
            write_mp4(frames, fps, path, crf=crf, preset=preset)
            target.write(path.read_bytes())
        return
    with av.open(str(target), "w", format="mp4", options={"movflags": "faststart"}) as container:
        rate = Fraction(fps).limit_denominator(1001)
        # One thread and no macroblock tree: the same frames give the same bytes.
        options = {"crf": str(crf), "preset": preset, "threads": "1", "x264-params": "mbtree=0"}
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            # With more threads each frame starts its own, which takes longer than the work.
            container.mux(stream.encode(picture.reformat(format="yuv420p", threads=1)))
        container.mux(stream.encode())


def read_mp4(source: Path | BinaryIO) -> tuple[NDArray[np.uint8], float]:
    """All frames (T, H, W, 3) uint8 RGB and the average rate of a file that this project wrote."""
    with av.open(str(source) if isinstance(source, Path) else source) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        frames = [frame.to_ndarray(format="rgb24", threads=1) for frame in container.decode(stream)]
        rate = stream.average_rate
    if not frames or rate is None:
        raise ValueError(f"no video frames in {source}")
    return np.stack(frames), float(rate)
