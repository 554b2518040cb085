"""What every Ray worker of a local instance does first. Imports nothing that a worker has not."""

import logging
from pathlib import Path

import ray

LEVELS = {
    # It asks the dashboard whether Ray Train's controller is alive, and without one complains every second.
    "ray.train.v2._internal.execution.controller.placement_group_cleaner": logging.ERROR,
    # It tells every checkpoint of every worker, in the middle of the progress bar; Ray names it by its file.
    str(Path(ray.__file__).parent / "train/v2/_internal/execution/context.py"): logging.WARNING,
}


def quiet_worker() -> None:
    """Keeps out of the terminal what Ray Train says again and again."""
    for name, level in LEVELS.items():
        logging.getLogger(name).setLevel(level)
