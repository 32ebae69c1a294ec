"""How many processors this process may use."""

import os

VARIABLE = "ARTDETECT_PROCESSORS"  # environment variable: how many processors a process may use


def processors() -> int:
    """The number of processors that this process may use."""
    given = os.environ.get(VARIABLE, "")
    if given.isdecimal() and int(given):
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
