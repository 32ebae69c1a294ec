import numpy as np
import pytest

from artdetect.core import host


def test_a_record_names_the_instruction_sets_and_the_cap_on_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    found = host.description()
    assert found["cpus"] >= 1
    assert found["simd"]
    assert set(found["simd"]) <= {name for name, there in np._core._multiarray_umath.__cpu_features__.items() if there}
    assert found["onednn_max_cpu_isa"] is None
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert host.description()["onednn_max_cpu_isa"] == "AVX2"
