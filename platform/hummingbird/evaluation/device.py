"""The device in words, as it stands beside every time that is reported."""

from pathlib import Path


def device_name() -> str:
    """Processor, threads and torch, and the GPU where torch sees one."""
    import torch

    parts = [_processor(), f"{torch.get_num_threads()} threads", f"torch {torch.__version__}"]
    if torch.cuda.is_available():
        parts.insert(0, torch.cuda.get_device_name())
    return ", ".join(parts)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return "unknown processor"
