"""What a command shows beside its results: notes on stderr and, where that is a terminal, progress and colours."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from artdetect.core import json_logging
from artdetect.core.progress import Count
from artdetect.formatting.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

DELAY = 1.0  # seconds of work before it is announced
COLOURS = {"AI": "magenta", "human": "green", "unsure": "yellow", "mixed": "cyan", "error": "red"}

_quiet = False


def be_quiet(quiet: bool = True) -> None:
    """From now on show nothing beside results and errors."""
    global _quiet
    _quiet = quiet


def is_quiet() -> bool:
    """Whether to show nothing beside results and errors."""
    return _quiet


def say(line: str) -> None:
    """Write a note to stderr, as text or as JSON, unless the command is quiet."""
    if _quiet:
        return
    as_json = json_logging.enabled()
    text = json_logging.format_line("INFO", "artdetect", line) if as_json else f"artdetect: {printable(line)}"
    print(text, file=sys.stderr)


def shows_progress() -> bool:
    """Whether progress is shown: on a terminal, unless the command is quiet or its log is read by a program."""
    return sys.stderr.isatty() and not _quiet and not json_logging.enabled()


@contextmanager
def activity(what: str) -> Iterator[None]:
    """Show what is going on and for how long, once it has taken `DELAY` seconds."""
    if not shows_progress():
        yield
        return
    ended = threading.Event()

    def show() -> None:
        if not ended.wait(DELAY):
            with _bar(_console(), total=False) as bar:
                bar.add_task(what, total=None)
                ended.wait()

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def counted(what: str) -> Iterator[Count]:
    """Show how far some work is; gives a callback for the numbers done and in all."""
    if not shows_progress():
        yield lambda done, total: None
        return
    with _bar(_console(), total=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class Rows:
    """Rows on stdout as they are made, in colour on a terminal, and below them how many there are.

    Args:
        what: What is counted, in the plural.
        total: How many rows there will be, if that is known.
    """

    def __init__(self, what: str, total: int | None = None):
        self._bar: Progress | None = None
        self._terminal = _console(to_stdout=True) if sys.stdout.isatty() else None
        if shows_progress():
            self._bar = _bar(self._terminal or _console(), total=total is not None)
            self._task: TaskID = self._bar.add_task(what, total=total)

    def __enter__(self) -> "Rows":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar:
            self._bar.stop()

    def write(self, *cells: str) -> None:
        """Write a row, whose second cell may begin with a word that has a colour."""
        cells = tuple(map(printable, cells))
        if self._terminal is None:
            print(*cells, sep="\t", flush=True)
            return
        from rich.text import Text

        word = cells[1].partition(":")[0] if len(cells) > 1 else ""
        line = Text("\t").join(
            Text(cell, COLOURS.get(word, "") if number == 1 else "") for number, cell in enumerate(cells)
        )
        self._terminal.print(line, soft_wrap=True)

    def advance(self) -> None:
        """Count one more."""
        if self._bar:
            self._bar.advance(self._task)


def _console(*, to_stdout: bool = False) -> "Console":
    from rich.console import Console

    return Console(stderr=not to_stdout, highlight=False)


def _bar(console: "Console", *, total: bool) -> "Progress":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    bar = [BarColumn(), MofNCompleteColumn()] if total else []
    columns = SpinnerColumn(), *bar, TextColumn("{task.description}"), TimeElapsedColumn()
    return Progress(*columns, console=console, transient=True)
