"""Prefect's database, a file of SQLite with the dashboard's past and nothing else: whether a server can use it."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from artdetect.core.errors import ServerError

ELSEWHERE = ("PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_DATABASE_CONNECTION_URL")
SOUND = ("locked", "busy")  # in SQLite's words about a file that someone else writes to


def check(home: Path) -> bool:
    """Whether there is a database with tables; if not, a server makes one when it starts.

    Args:
        home: The folder of Prefect's state.

    Raises:
        ServerError: No server can use it; what to do.
    """
    file = home / "prefect.db"
    if any(os.environ.get(name) for name in ELSEWHERE):
        return True
    if not os.path.lexists(file):
        return False
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            connection.execute("PRAGMA user_version = 1")  # needs the right to write
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        if any(word in str(error) for word in SOUND):
            return True
        raise ServerError(
            f"Prefect cannot use its database {file} ({error}). It has the dashboard's past alone: make it writable, "
            "or move it away for a new one, and do the same again. Models, results and the run ledger are untouched"
        ) from error
    return bool(tables)
