"""A run on record: in progress while it lasts, then in ledger, metrics and the page of models, however it ends."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from artdetect.artifacts.active_runs import ActiveRun
from artdetect.artifacts.run_ledger import CANCELLED, State
from artdetect.core import interrupts
from artdetect.core.errors import ArtifactError
from artdetect.monitoring import prometheus_metrics, registry_page


def state_after(error: BaseException) -> State:
    """How a run ended that raised this. Ctrl-C cancels it; what else is no Exception comes from outside, as SIGTERM."""
    if isinstance(error, KeyboardInterrupt) or interrupts.came():
        return "cancelled"
    return "failed" if isinstance(error, Exception) else "crashed"


@contextmanager
def recorded(
    run_id: str, flow: str, name: str, state_of: Callable[[BaseException], State] = state_after
) -> Iterator[ActiveRun]:
    """Record what happens in the block as a run. Whoever calls it records the runs before it that were killed.

    Args:
        run_id: The run's id in the ledger.
        flow: The flow's name.
        name: The run's name.
        state_of: How the run ended if the block raised this.
    """
    run = ActiveRun(run_id, flow, name)
    try:
        with interrupts.told(run.note_cancelled):
            yield run
    except BaseException as error:
        state = state_of(error)
        run.end(state, CANCELLED if state == "cancelled" else f"{type(error).__name__}: {error}")
        raise
    else:
        run.end("completed")
    finally:
        prometheus_metrics.write()
        if not run.idle:  # else nothing that the page shows has changed; the watchdog looks every few minutes
            with suppress(ArtifactError):  # the alias is damaged, which `artdetect models` and `status` say
                registry_page.write(registry_page.file())
