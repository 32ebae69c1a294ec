"""How many processors this process may use."""

import os

VARIABLE = "ARTDETECT_PROCESSORS"  # of the environment: how many processors a process may take as its own


def processors() -> int:
    """Processors that this process may use."""
    given = os.environ.get(VARIABLE, "")
    if given.isdecimal() and int(given):
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
