"""Small files that are there as a whole or not at all, and on the disk before anything relies on them."""

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path

_NEED_NOT = (errno.EBADF, errno.EINVAL, errno.ENOTSUP)  # of file systems that cannot sync a folder, and then need not


def write(path: Path, content: bytes | str) -> None:
    """Write a file, text as UTF-8, or leave the old one; others may read it. Its folders are made.

    It and its name are on the disk when this returns. A kill leaves `.<name>-….tmp` beside it at most, which
    `artdetect ingest` and `artdetect gc` clear below incoming pictures and artifacts.
    """
    made = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, 0o644)  # mkstemp's are private
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(handle)
        os.replace(temporary, path)  # noqa: PTH105  a str
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)  # noqa: PTH108
        raise
    for folder in (path.parent, *(new.parent for new in made)):
        sync(folder)


def sync(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NEED_NOT:
            raise
    finally:
        os.close(descriptor)
