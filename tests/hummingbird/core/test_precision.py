from pathlib import Path

import pytest
import torch
from hummingbird.core import precision
from hummingbird.core.precision import resolve_precision

CPU = torch.device("cpu")
AMX, AVX512 = "_is_amx_tile_supported", "_is_avx512_bf16_supported"


@pytest.mark.parametrize(
    ("instructions", "vendor", "expected"),
    [
        (None, "AuthenticAMD", "fp32"),
        (AMX, "GenuineIntel", "bf16"),
        (AVX512, "AuthenticAMD", "bf16"),
        (AVX512, "GenuineIntel", "fp32"),
        (AVX512, None, "fp32"),
    ],
)
def test_a_cpu_computes_in_bfloat16_where_it_multiplies_it_faster(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    instructions: str | None,
    vendor: str | None,
    expected: str,
) -> None:
    for name in (AMX, AVX512):
        monkeypatch.setattr(torch.cpu, name, lambda has=name == instructions: has)
    monkeypatch.setattr(precision, "CPUINFO", tmp_path / "cpuinfo")
    if vendor:
        (tmp_path / "cpuinfo").write_text(f"processor : 0\nvendor_id : {vendor}\n")
    assert resolve_precision(CPU, "auto") == expected
    assert resolve_precision(CPU, "fp32") == "fp32"
