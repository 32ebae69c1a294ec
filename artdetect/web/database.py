"""Prefect's database, a file of SQLite with the dashboard's past and nothing else: whether a server can use it."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from artdetect.core.errors import ServerError
from artdetect.web import access

ELSEWHERE = ("PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_DATABASE_CONNECTION_URL")
BUSY = ("locked", "busy")  # in the errors of a sound file that someone else writes to


def file() -> Path:
    """The file, which Prefect makes at its first start."""
    return Path(os.environ.get("PREFECT_HOME") or access.state()) / "prefect.db"


def check() -> None:
    """Raise a ServerError that says what to do if a server could not use the file. That there is none is no error."""
    database = file()
    if any(os.environ.get(name) for name in ELSEWHERE) or not (database.exists() or database.is_symlink()):
        return
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=rw", uri=True)) as connection:
            connection.execute("BEGIN IMMEDIATE")  # reads the header, and needs the right to write
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        if any(word in str(error) for word in BUSY):
            return
        raise ServerError(
            f"Prefect cannot use its database {database} ({error}). It has the dashboard's past alone: make it "
            "writable or move it away, and do the same again. Artifacts, champion and run ledger are untouched"
        ) from error
