"""From a source file to clips: the child process's work, and its clips stored as media objects."""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import ClassVar

from hummingbird.core.errors import InputError
from hummingbird.core.files import as_path
from hummingbird.core.shared_folder import SharedFolder
from hummingbird.lake.media import store_media

from hummingbird_data.reading.child import ChildProcess
from hummingbird_data.reading.clips import ClipSettings
from hummingbird_data.reading.probe import Limits
from hummingbird_data.reading.scratch import scratch_folder, sweep
from hummingbird_data.reading.shots import ShotSettings
from hummingbird_data.runtime.metrics import decoding
from hummingbird_data.sources.remote import local_file
from hummingbird_data.stage import Row, Stage, StageError

# The server of child processes imports what the engine needs, once.
_EXTRACT = {
    "scenedetect": "hummingbird_data.reading.extract:extract",
    "transnet": "hummingbird_data.reading.extract_transnet:extract",
}

# Seconds of processor time that a megapixel of a source's pictures is allowed, beside what each source is. Decoding
# twice and coding the clips anew take about a quarter of that.
_PER_MEGAPIXEL = 0.1


@dataclass
class ReadStage(Stage):
    """One source in, one row a clip out, in order of time."""

    name: ClassVar[str] = "read"
    inputs: ClassVar[tuple[str, ...]] = ("source_uri", "storage")
    outputs: ClassVar[tuple[str, ...]] = (
        "clip_id", "shot_index", "start_seconds", "end_seconds", "width", "height", "fps", "num_frames",
        "content_hash", "media_path",
    )  # fmt: skip
    limits: Limits = field(default_factory=Limits)
    shots: ShotSettings = field(default_factory=ShotSettings)
    clips: ClipSettings = field(default_factory=ClipSettings)
    seconds: float = 300.0  # of processor time, and more by what the file holds
    megabytes: int = 2048
    shared: SharedFolder | None = None  # the storage, where it is a folder that nodes must share

    def setup(self) -> None:
        if self.shared is not None:
            self.shared.check()
        sweep()
        _child(_EXTRACT[self.shots.engine], self.seconds, self.megabytes).start()

    def process(self, row: Row) -> Iterable[Row]:
        with scratch_folder() as folder:
            with local_file(row["source_uri"], folder, self.limits.megabytes) as path:
                job = {"path": str(path), "limits": asdict(replace(self.limits, hold=self.clips.max_seconds))}
                child = _child(_EXTRACT[self.shots.engine], self.seconds, self.megabytes)
                work = child.run(job, "hummingbird_data.reading.extract:workload")
                job |= {"folder": str(folder), "shots": asdict(self.shots), "clips": asdict(self.clips)}
                result = child.run(job, seconds=self.seconds + _PER_MEGAPIXEL * work["megapixels"])
            decoding.seconds += result["decoding"]
            made = []
            for clip in result["clips"]:
                media = store_media(as_path(row["storage"]), (folder / clip.pop("file")).read_bytes())
                made.append(
                    {
                        **clip,
                        "clip_id": clip_id(row["source_uri"], clip["start_seconds"], clip["end_seconds"]),
                        "fps": result["fps"],
                        "content_hash": media.content_hash,
                        "media_path": media.media_path,
                    }
                )
        return made


def clip_id(source_uri: str, start: float, end: float) -> str:
    """The clip's key: the same for the same range of the same source, whatever its content."""
    return hashlib.sha256(f"{source_uri}\n{start:.4f}\n{end:.4f}".encode()).hexdigest()[:32]


def shot_weights_hash(given: Path | None) -> str:
    """The hash of TransNetV2's weights. Raises InputError where there are none, or others, before a file is read."""
    from hummingbird_data.reading.transnet import (  # PyTorch takes seconds to import
        weights_file,
        weights_hash,
    )

    path = weights_file(given)
    child = ChildProcess("hummingbird_data.reading.transnet:check", seconds=60, megabytes=2048)
    try:
        child.run({"weights": str(path)})
    except StageError as error:
        raise InputError(str(error)) from error
    finally:
        child.close()
    return weights_hash(path)


@cache
def _child(function: str, seconds: float, megabytes: int) -> ChildProcess:
    """One server of child processes for each process of Ray; it ends when its caller does."""
    return ChildProcess(function, seconds, megabytes)
