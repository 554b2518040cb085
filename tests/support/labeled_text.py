"""Clips with overlaid text, with text of the scene, and with none, from real footage: what the text score is judged by.

Run as a program it writes the clips and prints precision and recall:

    python tests/support/labeled_text.py ../shared/videos FOLDER [setting|judging]

Settings of the score were chosen on the sources ``setting``; ``judging`` holds other footage. Text is drawn by Pillow
in the fonts that lie there, in Chinese by OpenCV. Text of the scene is real (the letters of a keyboard under a camera
that is moved over its picture), or painted on a board or a body that moves as things in a scene do: with the camera,
past it, or by itself, blurred, shaded and with the noise of a sensor.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
from drawn_text import OVERLAYS, overlaid
from hummingbird.config.curate import CurateSettings
from hummingbird_data.filters.text import TextStage, text_share
from scene_text import RATE, SCENES, filmed

Picture = np.ndarray
Frames = np.ndarray
LIMIT = CurateSettings().max_text

SOURCES = {
    "setting": [
        ("bbb_800x640_768kbps_30fps_avc_2b_firstpts_10_sec.mp4", 0.3, 3.8),
        ("landscape.mp4", 0.2, 3.0),
        ("landscape.mp4", 4.0, 7.0),
    ],
    "judging": [
        ("sintel_10s.mp4", 0.3, 4.1),
        ("sintel_10s.mp4", 7.2, 8.85),
        ("flipping_a_pancake.mkv", 0.5, 3.5),
        ("flipping_a_pancake.mkv", 5.0, 8.0),
        ("pixel-motion-photo-2-hevc-tracks.mp4", 0.0, 2.1),
        ("sample_missing_stsd.mp4", 0.0, 1.0),
    ],
}
"""Footage without text of its own: file, first and last second."""
STILLS = {"setting": ["video_0.mov"], "judging": ["video_180.mov", "video_90.mov", "video_270.mov"]}
"""Pictures with real text in the scene: keyboards."""


@dataclass(frozen=True)
class Labeled:
    """A clip: ``overlaid`` says whether text was drawn over it, ``kind`` how; ``make`` its pictures."""

    name: str
    kind: str
    overlaid: bool
    make: Callable[[], Iterator[Picture]]


def labeled(videos: Path, split: str) -> list[Labeled]:
    """The clips of ``split``."""
    clips = []
    sources = SOURCES[split]
    for number, source in enumerate(sources):

        def base(source=source) -> list[Picture]:
            return footage(videos, *source)

        clips.append(Labeled(f"none_{number}", "none", False, lambda base=base: iter(base())))
        for offset, (kind, draw) in enumerate(OVERLAYS.items()):
            # Of many sources each gets some of the kinds, so that each kind is there twice or more.
            if len(sources) > 3 and (offset + number) % 3:
                continue
            seed = 100 * number + offset
            clips.append(
                Labeled(f"{kind}_{number}", kind, True, lambda b=base, d=draw, s=seed: overlaid(b(), d, s))
            )
        for offset, (kind, paint) in enumerate(SCENES.items()):
            if len(sources) > 3 and (offset + number) % 2:
                continue
            seed = 100 * number + offset
            clips.append(Labeled(f"{kind}_{number}", kind, False, lambda b=base, p=paint, s=seed: p(b(), s)))
    for number, name in enumerate(STILLS[split]):
        for seed in range(4):
            clips.append(
                Labeled(
                    f"keyboard_{number}_{seed}", "keyboard", False,
                    lambda n=name, s=seed: filmed(footage(videos, n, 0, 9)[0], s),
                )
            )  # fmt: skip
    if split == "judging":
        clips.append(
            Labeled("title", "title", True, lambda: iter(footage(videos, "sintel_10s.mp4", 4.4, 6.9)))
        )
    return clips


@cache
def _decoded(path: Path, first: float, last: float) -> list[Picture]:
    pictures: list[Picture] = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        begin = None
        for frame in container.decode(stream):
            begin = frame.time if begin is None else begin
            time = frame.time - begin
            if time > last:
                break
            if time < first or round((time - first) * RATE) < len(pictures):
                continue
            rgb = frame.to_ndarray(format="rgb24")
            scale = min(1.0, 480 / min(rgb.shape[:2]))
            size = [2 * round(length * scale / 2) for length in rgb.shape[1::-1]]
            pictures.append(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
    return pictures


def footage(videos: Path, name: str, first: float, last: float) -> list[Picture]:
    """Pictures of a stretch of a file, 24 a second, the shorter side at most 480 pixels."""
    return [picture.copy() for picture in _decoded(videos / name, first, last)]


def write(path: Path, pictures: Iterator[Picture], crf: int = 23) -> None:
    """Writes pictures as H.264, 24 a second."""
    with av.open(str(path), "w") as out:
        stream = None
        for number, rgb in enumerate(pictures):
            if stream is None:
                stream = out.add_stream("libx264", rate=RATE, options={"crf": str(crf), "preset": "veryfast"})
                stream.height, stream.width = (length // 2 * 2 for length in rgb.shape[:2])
                stream.pix_fmt = "yuv420p"
            even = np.ascontiguousarray(rgb[: stream.height, : stream.width])
            frame = av.VideoFrame.from_ndarray(even, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())


def read(path: Path) -> Frames:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@dataclass(frozen=True)
class Figures:
    """What the score says of clips: how many are called overlaid, of each kind."""

    called: dict[str, list[bool]]
    drawn: set[str]

    def counts(self, overlaid: bool) -> tuple[int, int]:
        """Of the clips with overlaid text, or of those without: called overlaid, and all."""
        found = [
            hit for kind, hits in self.called.items() if (kind in self.drawn) == overlaid for hit in hits
        ]
        return sum(found), len(found)

    @property
    def recall(self) -> float:
        """Share of the clips with overlaid text that are called so."""
        hits, total = self.counts(True)
        return hits / total

    @property
    def precision(self) -> float:
        """Share of the clips called so that have overlaid text."""
        hits, wrong = self.counts(True)[0], self.counts(False)[0]
        return hits / (hits + wrong)

    def __str__(self) -> str:
        rows = [f"{'kind':20s} called overlaid"]
        for label, drawn in (("overlaid", True), ("not overlaid", False)):
            for kind, hits in self.called.items():
                if (kind in self.drawn) == drawn:
                    rows.append(f"{kind:20s} {sum(hits)} of {len(hits)}")
            rows.append(f"{label + ':':20s} {self.counts(drawn)[0]} of {self.counts(drawn)[1]}")
        return "\n".join([*rows, f"recall {self.recall:.3f}, precision {self.precision:.3f}"])


def figures(clips: list[Labeled], folder: Path) -> Figures:
    """Scores of ``clips``, which are written to ``folder`` where they do not lie there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    called: dict[str, list[bool]] = {}
    stage = TextStage()
    for clip in clips:
        path = folder / f"{clip.name}.mp4"
        if not path.exists():
            write(path, clip.make())
        share = text_share(read(path), RATE, stage.sides, stage.probability)
        called.setdefault(clip.kind, []).append(share > LIMIT)
    return Figures(called, {clip.kind for clip in clips if clip.overlaid})


if __name__ == "__main__":
    videos, folder = Path(sys.argv[1]), Path(sys.argv[2])
    for split in sys.argv[3:] or SOURCES:
        print(f"{split}\n{figures(labeled(videos, split), folder / split)}")
