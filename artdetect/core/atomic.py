"""Write files whole or not at all. The only module that knows how to replace a file or folder safely.

`write` is for state that must survive a loss of power. `replacing` is for files that a library writes by path.
`exchange` is for folders, which no rename can replace.
"""

import ctypes
import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from platform import node

_NO_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)  # from kernels and file systems without it
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h
_CANNOT_SYNC = (errno.EBADF, errno.EINVAL, errno.ENOTSUP)  # from file systems that cannot sync folders, nor need to


def write(path: Path, content: bytes | str, mode: int = 0o644) -> None:
    """Replace a file durably: it and its name are on disk when this returns.

    Missing folders are created. If this fails, the old file stays as it was.

    Args:
        path: The file to replace.
        content: Its new content; text is encoded as UTF-8.
        mode: Who may read and write it; by default everyone may read it.
    """
    with replacing(path, durable=True, mode=mode) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(path: Path, durable: bool = False, mode: int = 0o644) -> Iterator[Path]:
    """Yield a temporary file in the folder of `path`, which takes the name of `path` if the block succeeds.

    Readers see the old file or the whole new one. A killed process leaves at most `.<host>-<process>-….tmp`, which
    `sweep` removes; `artdetect ingest` and `artdetect gc` also clear such files below incoming pictures and artifacts.

    Args:
        path: The file to replace. Missing folders are created.
        durable: Whether the file and its name must be on disk before this returns. Caches need not.
        mode: Who may read and write the file.
    """
    new_folders = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    # The host is part of the name because machines may share the folder.
    handle, name = tempfile.mkstemp(prefix=f".{node()}-{os.getpid()}-", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        os.fchmod(handle, mode)  # mkstemp creates private files
        os.close(handle)
        yield temporary
        if durable:
            sync(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        for folder in (path.parent, *(created.parent for created in new_folders)):
            sync_folder(folder)


def exchange(first: Path, second: Path) -> bool:
    """Swap the names of two files or folders in one step (Linux's renameat2).

    Returns:
        False, with nothing changed, where the system or the file system cannot do that.
    """
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0:
        return True
    error = ctypes.get_errno()
    if error in _NO_EXCHANGE:
        return False
    raise OSError(error, os.strerror(error), str(first), None, str(second))


def sync(path: Path) -> None:
    """Flush a file or folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to disk, on file systems that can do so."""
    try:
        sync(folder)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise


def sweep(folder: Path) -> None:
    """Remove the temporary files below `folder` that belong to processes of this machine that no longer run."""
    for leftover in folder.rglob(f".{node()}-*.tmp"):
        *_, process, _ = leftover.name.rsplit("-", 2)
        try:
            os.kill(int(process), 0)
        except ProcessLookupError:
            leftover.unlink(missing_ok=True)
        except (ValueError, PermissionError):  # not a file of ours, or the process of another user
            continue
