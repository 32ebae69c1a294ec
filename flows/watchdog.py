"""The watchdog: ends runs that no process works on, records those that could not, looks for drift, sends alerts.

Deployed as `watchdog/every-5-minutes`, without a limit on its runs, so that none of them can block the next. It uses
the project's own config and takes no other, because section `alerts` may name a command.
"""

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from artdetect import alerts
from artdetect import config as configs
from artdetect.artifacts import run_ledger
from artdetect.core.errors import ArtdetectError
from artdetect.formatting import markdown
from artdetect.formatting.text import printable
from artdetect.usage import drift as usage
from artdetect.usage.drift import Drift
from tasks.engine import events, logging_setup, orphaned_runs, unrecorded_runs
from tasks.engine.run_record import HOOKS, recorded

logging_setup.install()


@flow(name="watchdog", flow_run_name="watchdog", persist_result=False, **HOOKS)
def watchdog() -> list[str]:
    """Look once, and return what was done and found, a sentence each."""
    with recorded() as run:
        lines = orphaned_runs.end().lines() + unrecorded_runs.record()
        config = configs.chosen(None)
        ledger = run_ledger.read()
        told = alerts.of_runs(ledger)
        if problem := run_ledger.clock_problem(ledger):
            get_run_logger().warning("watchdog: %s", printable(problem))
        try:
            if found := usage.drift(config.usage):
                lines += _began(found)
                run.facts["drift"] = found.as_dict()
                told += alerts.of_drift(found.model, found.drifted, found.sentences())
        except ArtdetectError as error:  # there is no model yet, or its log cannot be read
            get_run_logger().warning("watchdog: %s", printable(str(error)))
        finally:  # also if something unexpected ends this run, as the next one would end in the same way
            problems = alerts.send(config.alerts, told)
        run.record.idle = not lines
        lines += problems
        for line in lines:
            get_run_logger().warning("watchdog: %s", printable(line))
    return lines


def _began(found: Drift) -> list[str]:
    """Show and announce drift that the run before this one had not found; returns what to say of it."""
    before = run_ledger.latest(run_ledger.read()).get("watchdog")
    if not found.drifted or (before and before.facts.get("drift", {}).get("drifted")):
        return []
    said = found.sentences()
    page = "\n\n".join(markdown.escape(printable(sentence)) for sentence in said)
    create_markdown_artifact(page, key="drift", description="Use has drifted away from training")
    problem = events.emit(alerts.DRIFT, f"artdetect.model.{found.model}", printable(said[1]), found.as_dict())
    return [*said, *([problem] if problem else [])]
