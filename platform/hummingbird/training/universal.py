"""A checkpoint of DeepSpeed's for another number of workers than wrote it, by DeepSpeed's own converter."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch.distributed as dist

from hummingbird.training.checkpoint import ENGINE_TAG


@contextmanager
def universal_copy(networks: Path, names: Sequence[str], first_of_node: bool) -> Iterator[Path]:
    """While open, a folder of this machine with the networks' universal checkpoints, beneath the same names.

    All workers call it together; the first one of each machine converts.

    Args:
        networks: what the checkpoint holds of its networks, a folder a name.

    Raises:
        RuntimeError: the converter failed.
    """
    place = hashlib.sha256(str(networks).encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"hummingbird-universal-{os.getuid()}-{place}"
    if first_of_node:
        shutil.rmtree(folder, ignore_errors=True)
        for name in names:
            _convert(networks / name / ENGINE_TAG, folder / name / ENGINE_TAG)
    dist.barrier()
    yield folder
    dist.barrier()
    if first_of_node:
        shutil.rmtree(folder, ignore_errors=True)


def _convert(source: Path, target: Path) -> None:
    """In a process of its own: the converter forks, which a worker with open connections must not."""
    command = [sys.executable, "-m", "deepspeed.checkpoint.ds_to_universal", "--input_folder", str(source)]
    command += ["--output_folder", str(target), "--num_extract_workers", "1", "--num_merge_workers", "1"]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "DS_ACCELERATOR": "cpu"}, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{source} could not be converted for another number of workers: {done.stderr}")
