"""The watchdog: ends runs that no process works on any more, records crashes, and keeps the metrics fresh.

Deployed as `watchdog/every-5-minutes`, without a limit on its runs, so that none of them can block the next.
"""

from prefect import flow
from prefect.logging import get_run_logger

from tasks.engine import logging_setup, orphaned_runs
from tasks.engine.run_record import HOOKS, recorded

logging_setup.install()


@flow(name="watchdog", flow_run_name="watchdog", persist_result=False, **HOOKS)
def watchdog() -> list[str]:
    """Look once, and return what was done, a sentence each."""
    with recorded() as run:
        lines = orphaned_runs.end().lines()
        for line in lines:
            get_run_logger().warning("watchdog: %s", line)
        run.record.idle = not lines
    return lines
