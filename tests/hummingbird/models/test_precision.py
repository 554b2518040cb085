import pytest
import torch
from hummingbird.models.precision import resolve_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize("instructions", ["_is_amx_tile_supported", "_is_avx512_bf16_supported"])
def test_a_cpu_computes_in_bfloat16_where_it_multiplies_it_in_hardware(
    monkeypatch: pytest.MonkeyPatch, instructions: str
) -> None:
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    assert resolve_precision(CPU, "auto") == "fp32"
    monkeypatch.setattr(torch.cpu, instructions, lambda: True)
    assert resolve_precision(CPU, "auto") == "bf16"
    assert resolve_precision(CPU, "fp32") == "fp32"
