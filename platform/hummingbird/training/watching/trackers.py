"""Where the figures and videos of a run are shown: TensorBoard, W&B, MLflow. Their libraries are imported where used.

A run that goes on is the same run there: its id is the run folder's, or is kept in ``trackers.json`` beside the losses.
"""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hummingbird.config.watching import WatchingSettings
from hummingbird.core.errors import InputError

IDS = "trackers.json"
TENSORBOARD = "tensorboard"


class Tracker(Protocol):
    """Shows figures and videos by step."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None: ...

    def video(self, step: int, name: str, frames: NDArray[np.uint8], fps: float, file: Path) -> None:
        """``frames`` (T, H, W, 3), which ``file`` holds as mp4."""

    def close(self) -> None: ...


def open_trackers(settings: WatchingSettings, folder: Path, name: str, step: int) -> list[Tracker]:
    """The trackers of a run.

    Args:
        folder: the run's.
        name: shown there.
        step: from which the run goes on; what was shown of later ones, by a run that was cut off, goes.

    Raises:
        InputError: a tracker's library is not installed.
    """
    kinds: dict[str, type[Any]] = {
        "tensorboard": TensorBoardTracker,
        "wandb": WandbTracker,
        "mlflow": MlflowTracker,
    }
    trackers: list[Tracker] = []
    for kind in settings.trackers:
        try:
            trackers.append(kinds[kind](settings, folder, name, step))
        except ModuleNotFoundError as error:
            raise InputError(
                f"training.watching.trackers: {kind} needs the module {error.name}, which is not installed"
            ) from error
    return trackers


class TensorBoardTracker:
    """Event files in ``tensorboard`` in the run's folder; videos as moving pictures among the images."""

    def __init__(self, settings: WatchingSettings, folder: Path, name: str, step: int) -> None:
        from tensorboardX import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder / TENSORBOARD), purge_step=step + 1 if step else None)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def video(self, step: int, name: str, frames: NDArray[np.uint8], fps: float, file: Path) -> None:
        from tensorboardX.proto.summary_pb2 import Summary

        height, width = frames.shape[1:3]
        picture = Summary.Image(
            height=height, width=width, colorspace=3, encoded_image_string=gif(frames, fps)
        )
        self._writer.file_writer.add_summary(Summary(value=[Summary.Value(tag=name, image=picture)]), step)

    def close(self) -> None:
        self._writer.close()


class WandbTracker:
    """A run of W&B whose id is the run folder's; ``WANDB_MODE=offline`` keeps it in the folder."""

    def __init__(self, settings: WatchingSettings, folder: Path, name: str, step: int) -> None:
        import wandb

        self._wandb: Any = wandb
        self._run: Any = wandb.init(
            project=settings.project, id=_run_id(folder), name=name, dir=str(folder), resume="allow"
        )
        # Steps of its own are not used: a run that goes on may show a step again.
        self._run.define_metric("*", step_metric="step")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log({**values, "step": step})

    def video(self, step: int, name: str, frames: NDArray[np.uint8], fps: float, file: Path) -> None:
        self._run.log({name: self._wandb.Video(str(file), format="mp4"), "step": step})

    def close(self) -> None:
        self._run.finish()


class MlflowTracker:
    """A run of MLflow; where the server is, ``MLFLOW_TRACKING_URI`` says, else a folder beside the losses."""

    def __init__(self, settings: WatchingSettings, folder: Path, name: str, step: int) -> None:
        import os

        from mlflow.tracking import MlflowClient

        self._client: Any = MlflowClient(
            os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder / 'mlflow.db'}"
        )
        known = _read_ids(folder).get("mlflow")
        if known is None:
            found = self._client.get_experiment_by_name(settings.project)
            place = found.experiment_id if found else self._client.create_experiment(settings.project)
            known = self._client.create_run(place, run_name=name).info.run_id
            _keep_id(folder, "mlflow", known)
        else:
            self._client.update_run(known, status="RUNNING")
        self._id = known

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._client.log_metric(self._id, name, value, step=step)

    def video(self, step: int, name: str, frames: NDArray[np.uint8], fps: float, file: Path) -> None:
        self._client.log_artifact(self._id, str(file), f"step_{step:08d}")

    def close(self) -> None:
        self._client.set_terminated(self._id)


def gif(frames: NDArray[np.uint8], fps: float) -> bytes:
    """A moving picture of frames (T, H, W, 3) that goes on for ever."""
    first, *others = (Image.fromarray(frame) for frame in frames)
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=others, duration=round(1000 / fps), loop=0)
    return file.getvalue()


def close_all(trackers: Sequence[Tracker]) -> None:
    """Closes every one of them."""
    for tracker in trackers:
        tracker.close()


def _run_id(folder: Path) -> str:
    return f"{folder.parent.name}-{folder.name}"


def _read_ids(folder: Path) -> dict[str, str]:
    file = folder / IDS
    ids: dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return ids


def _keep_id(folder: Path, tracker: str, run: str) -> None:
    (folder / IDS).write_text(json.dumps({**_read_ids(folder), tracker: run}), encoding="utf-8")
