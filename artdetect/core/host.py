"""This machine, as records name it: two machines may differ in an output's last bits."""

import os
import platform
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
