"""The device in words, as it stands beside every time that is reported."""

import torch

from hummingbird.models.package import device_name as name_of


def device_name() -> str:
    """Processor, threads and torch, and the GPU where torch sees one."""
    threads = torch.get_num_threads()
    parts = [name_of("cpu"), f"{threads} thread{'s' * (threads > 1)}", f"torch {torch.__version__}"]
    return ", ".join([name_of("cuda"), *parts] if torch.cuda.is_available() else parts)
