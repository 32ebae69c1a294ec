"""This machine, as records name it: two machines may differ in an output's last bits."""

import os
import platform
import re
import resource
from pathlib import Path
from typing import Any


def description() -> dict[str, Any]:
    """Name, system, processors and instruction sets.

    `simd` lists the vector instruction sets in use as NumPy names them, the smallest first; `onednn_max_cpu_isa` is the
    cap that the environment puts on TensorFlow's kernels, or None.
    """
    import numpy as np

    extensions = np.show_config(mode="dicts")["SIMD Extensions"]
    return {
        "name": platform.node(),
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        "simd": [*extensions["baseline"], *extensions["found"]],
        "onednn_max_cpu_isa": os.environ.get("ONEDNN_MAX_CPU_ISA"),
    }


def peak_memory() -> float:
    """The most memory that this process ever held, with mapped files, in MiB.

    Linux says it as VmHWM; its `ru_maxrss` is inherited from the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        return int(found[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
