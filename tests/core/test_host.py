import os
import subprocess
import sys

import numpy as np
import pytest

from artdetect.core import host
from tests import PROJECT


def test_a_record_names_the_instruction_sets_and_the_cap_on_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    found = host.description()
    assert found["cpus"] >= 1
    assert found["simd"]
    assert set(found["simd"]) <= {name for name, there in np._core._multiarray_umath.__cpu_features__.items() if there}
    assert found["onednn_max_cpu_isa"] is None
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert host.description()["onednn_max_cpu_isa"] == "AVX2"


def test_the_peak_is_that_of_the_process_and_not_of_the_one_that_started_it():
    program = "from artdetect.core.host import peak_memory; print(peak_memory())"
    ballast = bytearray(os.urandom(1)) * (300 * 2**20)
    assert host.peak_memory() > 300
    started = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=PROJECT)
    assert float(started.stdout) < 200 < len(ballast) / 2**20
