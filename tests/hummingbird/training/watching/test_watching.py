"""What is shown of a run: figures and videos in trackers, also of one that was cut off; and that a collapse ends it."""

import dataclasses
import json
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hummingbird.config.cluster import RaySettings
from hummingbird.config.loading import load_settings
from hummingbird.config.settings import Settings
from hummingbird.config.watching import WatchingSettings
from hummingbird.core.errors import InputError
from hummingbird.models.video import write_mp4
from hummingbird.pruning.prune import prune
from hummingbird.training.distill import distill
from hummingbird.training.event import Event
from hummingbird.training.log import read_losses
from hummingbird.training.loop import TrainingJob, TrainingStopped
from hummingbird.training.trainer import train
from hummingbird.training.watching.speed import Speedometer
from hummingbird.training.watching.trackers import Tracker, open_trackers
from PIL import Image
from tensorboardX.proto.event_pb2 import Event as Record

FRAMES = np.random.default_rng(0).integers(0, 255, (4, 16, 24, 3), np.uint8)


def records(folder: Path) -> list[Any]:
    """What the event files of a run hold, in their order."""
    found = []
    for file in sorted((folder / "tensorboard").glob("events*")):
        data = file.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            found.append(Record.FromString(data[12 : 12 + length]))
            data = data[16 + length :]
    return found


def shown(folder: Path) -> dict[str, list[int]]:
    """Steps by tag."""
    steps: dict[str, list[int]] = {}
    for record in records(folder):
        for value in record.summary.value:
            steps.setdefault(value.tag, []).append(record.step)
    return steps


def test_losses_and_speed_are_in_tensorboard_also_of_a_run_that_goes_on(
    make_job: Callable[..., TrainingJob],
) -> None:
    """What was shown after the last checkpoint of a run that was cut off, goes."""
    job = make_job(engine="process", steps=5, checkpoint_every=3, watching=WatchingSettings(sample_every=2))
    with pytest.raises(TrainingStopped):  # at step 4
        train(dataclasses.replace(job, samples=Collapsing()), RaySettings())  # type: ignore[arg-type]
    assert shown(job.folder)["total"] == [1, 2, 3, 4]
    train(job, RaySettings())
    steps = shown(job.folder)
    assert steps["total"] == steps["output"] == steps["speed/samples_per_second"] == [1, 2, 3, 4, 4, 5]
    assert steps["speed/tflops"] == steps["total"]
    assert {"learning_rate", "gradient_norm", "speed/memory_gb"} <= set(steps)
    assert [record.step for record in records(job.folder) if record.HasField("session_log")] == [4]


def test_videos_are_moving_pictures_in_tensorboard(tmp_path: Path) -> None:
    (tracker,) = open_trackers(WatchingSettings(), tmp_path, "test", 0)
    tracker.video(7, "samples/0", FRAMES, 8.0, tmp_path / "0.mp4")
    tracker.close()
    (image,) = [(r.step, v.image) for r in records(tmp_path) for v in r.summary.value]
    assert image[0] == 7
    (tmp_path / "shown.gif").write_bytes(image[1].encoded_image_string)
    with Image.open(tmp_path / "shown.gif") as picture:
        assert (picture.size, picture.n_frames) == ((24, 16), 4)  # type: ignore[attr-defined]


def test_wandb_keeps_its_run_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    ids = []
    for step in (0, 2):
        (tracker,) = open_trackers(
            WatchingSettings(trackers=["wandb"]), tmp_path / "feedback" / "abc", "test", step
        )
        tracker.scalars(step + 1, {"total": 0.5})
        ids.append(tracker._run.id)  # type: ignore[attr-defined]
        tracker.close()
    assert ids == ["feedback-abc"] * 2
    assert (
        len(list((tmp_path / "feedback" / "abc" / "wandb").glob("offline-run-*/run-feedback-abc.wandb"))) >= 1
    )


def test_mlflow_goes_on_with_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    tracking = pytest.importorskip("mlflow.tracking")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file://{tmp_path / 'mlruns'}")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    write_mp4(FRAMES, 8.0, tmp_path / "0.mp4")
    for step in (0, 2):
        (tracker,) = open_trackers(WatchingSettings(trackers=["mlflow"]), tmp_path, "test", step)
        tracker.scalars(step + 1, {"total": 0.5})
        tracker.video(step + 1, "samples/0", FRAMES, 8.0, tmp_path / "0.mp4")
        tracker.close()
    client = tracking.MlflowClient(f"file://{tmp_path / 'mlruns'}")
    run = json.loads((tmp_path / "trackers.json").read_text())["mlflow"]
    assert [point.step for point in client.get_metric_history(run, "total")] == [1, 3]
    assert [file.path for file in client.list_artifacts(run)] == ["step_00000001", "step_00000003"]


def test_a_tracker_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(InputError, match="wandb needs the module wandb, which is not installed"):
        open_trackers(WatchingSettings(trackers=["wandb"]), tmp_path, "test", 0)


@pytest.mark.slow  # the teacher samples in a hundred passes
def test_videos_of_fixed_prompts_come_step_0_first(tiny: Settings) -> None:
    watching = load_settings(overrides=["training.watching={sample_every: 2, videos: 2}"]).training.watching
    training = tiny.training.model_copy(update={"watching": watching})
    tiny = tiny.model_copy(update={"training": training})
    prune(tiny)
    result = json.loads(distill(tiny).read_text())
    folder = Path(result["outputs"]["losses"]).parent
    made = {path.relative_to(folder / "samples").as_posix() for path in (folder / "samples").glob("*/*.mp4")}
    assert made == {
        f"{place}/{n}.mp4" for place in ("step_00000000", "step_00000002", "teacher") for n in (0, 1)
    }
    assert shown(folder)["samples/0"] == [0, 2]
    assert json.loads((folder / "samples" / "step_00000000" / "prompts.json").read_text()) == [
        "clip 0",
        "clip 2",
    ]
    assert [json.loads(line)["step"] for line in (folder / "samples" / "looks.jsonl").open()] == [0, 2]


@dataclasses.dataclass(frozen=True)
class Collapsing:
    """In place of a source of videos: those of step 4 are grey."""

    def open(self, folder: Path, device: torch.device) -> "Collapsing":
        return self

    def look(self, step: int, progress: float, network: Any, trackers: Sequence[Tracker]) -> list[Event]:
        return [Event("the videos are grey: contrast 0.01", True)] if step == 4 else []


def test_a_collapse_ends_the_run_and_the_last_good_checkpoint_stays(
    make_job: Callable[..., TrainingJob],
) -> None:
    job = make_job(engine="process", steps=8, checkpoint_every=3, watching=WatchingSettings(sample_every=2))
    job = dataclasses.replace(job, samples=Collapsing())  # type: ignore[arg-type]
    with pytest.raises(
        TrainingStopped, match=r"step 4: the videos are grey.* the checkpoint of step 3 stays"
    ):
        train(job, RaySettings())
    assert read_losses(job.folder)[-1]["step"] == 4
    assert [path.name for path in (job.folder / "checkpoint").glob("step_*")] == ["step_00000003"]
    assert "the videos are grey" in (job.folder / "events.jsonl").read_text()


def test_speed_counts_what_a_step_multiplies(tmp_path: Path) -> None:
    speed = Speedometer(tmp_path, torch.device("cpu"), 4, 0)
    counter = speed.counter()
    assert counter is not None
    with counter:
        torch.ones(8, 16) @ torch.ones(16, 32)
    speed.count(counter)
    assert speed.counter() is None
    again = Speedometer(tmp_path, torch.device("cpu"), 4, 3)
    assert again.counter() is None
    assert again.figures(0.5, workers=2)["tflops"] == speed.figures(0.5, workers=2)["tflops"]
    figures = speed.figures(0.5, workers=2)
    assert figures["samples_per_second"] == 16
    assert figures["tflops"] == pytest.approx(2 * 8 * 16 * 32 / 0.5 / 1e12)
    assert "mfu" not in figures
