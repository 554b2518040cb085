"""Which type a model computes in, where the settings leave it to the device."""

from pathlib import Path

import torch

CPUINFO = Path("/proc/cpuinfo")


def resolve_precision(device: torch.device, precision: str) -> str:
    """``bf16`` or ``fp32``; for ``auto`` bf16 where the device multiplies it faster."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = torch.cpu._is_amx_tile_supported() or _fast_avx512()
    return "bf16" if fast else "fp32"


def _fast_avx512() -> bool:
    """Whether AVX-512 multiplies bfloat16 faster than float32: AMD's does, a training step 1.7 times; an Intel Xeon's
    was at half the speed of float32 (79 and 167 GFLOP/s on one core, products of 2048)."""
    return (
        torch.cpu._is_avx512_bf16_supported()
        and CPUINFO.is_file()
        and "AuthenticAMD" in CPUINFO.read_text(encoding="utf-8")
    )
