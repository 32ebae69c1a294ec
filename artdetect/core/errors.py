"""Every error that a person can cause. Its message says what was received, where, and what to do next.

The command line prints the message as one line and exits with code 2; users never see a traceback of these errors.

    ArtdetectError
    ├── ConfigError       a config file, section, key or value cannot be used
    ├── DownloadError     an address or an archive could not become a folder of pictures
    ├── DataError         the pictures do not make a data set (none, one class only, changed while in use)
    ├── AuditFailed       the audit found something at which section `audit` says to stop
    ├── PictureError      one picture cannot be read
    ├── ModelError        there is no model, or the file is not a model of this project
    ├── ServerError       the Prefect server does not answer
    ├── ArtifactError     an artifact is missing or does not match its record
    ├── ComputeError      a worker process died, or a cluster is not available
    ├── MissingExtra      a package of an extra is not installed
    └── StorageError      the disk is full, or a folder cannot be read or written
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager


class ArtdetectError(Exception):
    """Base of all errors that a person can cause."""


class ConfigError(ArtdetectError):
    """A config file, section, key or value cannot be used."""


class DownloadError(ArtdetectError):
    """An address or an archive could not become a folder of pictures."""


class DataError(ArtdetectError):
    """The pictures do not make a data set."""


class AuditFailed(ArtdetectError):  # noqa: N818  the audit itself did not fail
    """The audit found something at which section `audit` says to stop."""


class PictureError(ArtdetectError):
    """One picture cannot be read; the others are processed."""


class ModelError(ArtdetectError):
    """There is no model, or the file is not a model of this project."""


class ServerError(ArtdetectError):
    """The Prefect server does not answer."""


class ArtifactError(ArtdetectError):
    """An artifact is missing or does not match its record."""


class ComputeError(ArtdetectError):
    """A worker process died, or a cluster is not available."""


class MissingExtra(ArtdetectError):  # noqa: N818  nothing went wrong but for the set-up
    """A package of an extra is not installed."""


class StorageError(ArtdetectError):
    """The disk is full, or a folder cannot be read or written."""


_ADVICE = {
    errno.ENOSPC: "the disk is full: free some space (data/cache may be deleted at any time) and run again",
    errno.EDQUOT: "the disk quota is used up: free some space and run again",
    errno.EACCES: "permission denied: check who owns it",
    errno.EPERM: "permission denied: check who owns it",
    errno.EROFS: "the file system is read-only",
    errno.EFBIG: "the file grew beyond what the file system or `ulimit -f` allows",
    errno.EIO: "the disk reports an input/output error",
    errno.ENOTDIR: "a file stands where a folder is expected",
    errno.EEXIST: "a file stands where a folder is expected",
    errno.EISDIR: "a folder stands where a file is expected",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "a link leads back to itself",
}


def storage_error(error: OSError) -> StorageError | None:
    """The StorageError that says in one line what an OSError means; None if it is not about storage."""
    advice = _ADVICE.get(error.errno or 0)
    if advice is None:
        return None
    where = os.fspath(error.filename) if error.filename else "writing"
    return StorageError(f"{where}: {advice}")


# The extra of pyproject.toml that brings each module which the base install lacks. `pipeline` brings `explain` and
# `export`, too.
EXTRAS = {
    "pipeline": (
        *("httpx", "keras", "matplotlib", "pandas", "prefect", "pyarrow", "scipy", "sklearn", "sqlalchemy"),
        *("supervisor", "tensorflow", "threadpoolctl"),
    ),
    "explain": ("numba", "saliency", "skimage"),
    "export": ("onnx", "tf2onnx"),
    "tune": ("optuna",),
    "cluster": ("dask", "distributed", "prefect_dask"),
    "credentials": ("c2pa",),
    "hub": ("keras_hub",),
}


def missing_extra(error: ModuleNotFoundError) -> MissingExtra | None:
    """The MissingExtra that says in one line how to install the missing module; None if no extra brings it."""
    from artdetect.core import installing

    for extra, modules in EXTRAS.items():
        if error.name in modules:
            return MissingExtra(f"this needs {error.name} of the extra `{extra}`: {installing.extra(extra)}")
    return None


@contextmanager
def named_extras() -> Iterator[None]:
    """Within it, a missing module that an extra brings is a MissingExtra."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise missing_extra(error) or error from None
