"""The runs in progress: one locked file each, so that whoever comes next can record a run that was killed.

A run holds an flock(2) on `artifacts/runs/<id>.active`, which the kernel frees when its process dies. So a file whose
lock is free belongs to a run that ended without recording it, and its content says what the run had used by then.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from artdetect.artifacts import run_ledger
from artdetect.artifacts.run_ledger import Run, StageRecord, State

SUFFIX = ".active"
CANCELLED = "cancelled\n"  # a line of the file


class ActiveRun:
    """A run in progress. It is on record as such until `end`, or until its process dies.

    Args:
        run_id: The run's id in the ledger.
        flow: The flow's name.
        name: The run's name.
    """

    def __init__(self, run_id: str, flow: str, name: str) -> None:
        self.facts: dict[str, Any] = {}  # further facts for the ledger
        self.idle = False  # whether there was nothing to do
        self.name = name
        self.state: State | None = None  # how it ended
        now = run_ledger.now()
        self._run = Run(id=run_id, flow=flow, name=name, began=now, ended=now, state="crashed", stages=[])
        self._path = _file(run_id)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unseen = self._path.with_name(f".{self._path.name}.tmp")  # until it is locked
        self._descriptor = os.open(unseen, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        self._append(self._run.model_dump_json())
        unseen.replace(self._path)

    def used(self, use: StageRecord) -> None:
        """Record that the run used an artifact."""
        self._run.stages.append(use)
        self._append(use.model_dump_json())

    def note_cancelled(self) -> None:
        """Record that a person has just cancelled the run, whatever becomes of its process."""
        os.write(self._descriptor, CANCELLED.encode())

    def end(self, state: State, error: str | None = None) -> None:
        """Write the run to the ledger. It is no longer in progress.

        Args:
            state: How it ended.
            error: Why, if it did not succeed.
        """
        self.state = state
        try:
            changes = {"ended": run_ledger.now(), "name": self.name, "state": state, "error": error}
            run_ledger.write(self._run.model_copy(update=changes | {"facts": self.facts, "idle": self.idle}))
            self._path.unlink(missing_ok=True)
        finally:
            os.close(self._descriptor)

    def _append(self, line: str) -> None:
        os.write(self._descriptor, f"{line}\n".encode())


def running() -> list[Run]:
    """The runs in progress, with what they have used so far; `ended` has no meaning."""
    return [run for path, run in _read_all() if _is_locked(path)]


def is_running(run_id: str) -> bool:
    """Whether the run with this id is in progress."""
    return _is_locked(_file(run_id))


def record_crashed(was_cancelled: Callable[[str], bool] = lambda _: False) -> list[Run]:
    """Write the runs whose process died to the ledger, as crashed or cancelled; returns those that nobody had recorded.

    Args:
        was_cancelled: Whether a person had cancelled the run with this id.
    """
    crashed = []
    for path, run in _read_all():
        with suppress(OSError):  # its run ended, or someone else is recording it
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not os.fstat(descriptor).st_nlink:
                    continue
                if not run_ledger.has(run.id):
                    seen = run_ledger.moment(path.stat().st_mtime)
                    end = {"error": f"its process was killed, or the machine stopped; it was last heard of at {seen}"}
                    if run.state == "cancelled" or was_cancelled(run.id):
                        end = {"state": "cancelled", "error": run_ledger.CANCELLED}
                    crashed.append(run.model_copy(update={"ended": run_ledger.now()} | end))
                    run_ledger.write(crashed[-1])
                path.unlink(missing_ok=True)
            finally:
                os.close(descriptor)
    return crashed


def _file(run_id: str) -> Path:
    return run_ledger.folder() / f"{run_id}{SUFFIX}"


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _read_all() -> Iterator[tuple[Path, Run]]:
    """The files of runs in progress or killed, and what they say; a last line that was cut off is left out."""
    for path in sorted(run_ledger.folder().glob(f"[!.]*{SUFFIX}")):
        with suppress(OSError, ValueError):
            first, *others = path.read_text(encoding="utf-8").splitlines(keepends=True)
            run = Run.model_validate_json(first)
            if CANCELLED in others:
                run = run.model_copy(update={"state": "cancelled"})
                others = [line for line in others if line != CANCELLED]
            run.stages.extend(StageRecord.model_validate_json(line) for line in others if line.endswith("\n"))
            yield path, run
