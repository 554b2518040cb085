"""Which type a model computes in, where the settings leave it to the device."""

import torch


def resolve_precision(device: torch.device, precision: str) -> str:
    """``bf16`` or ``fp32``; for ``auto`` bf16 where the device multiplies it in hardware."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return "bf16" if fast else "fp32"
