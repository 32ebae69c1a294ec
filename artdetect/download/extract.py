"""Unpack a zip archive from an untrusted source.

The archive's directory is checked completely before the first byte is written. Sizes and checksums are checked while
writing. Only stored and deflated members are read: the other methods cannot be unpacked in bounded memory, and
pictures gain nothing from them.
"""

import errno
import io
import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from artdetect.core.errors import DownloadError, StorageError
from artdetect.core.progress import ByteProgress, no_progress

MAX_MEMBERS = 5_000_000
MAX_DIRECTORY = 256 << 20  # bytes of the archive's directory, which zipfile reads at once; at least 46 per member
MAX_RATIO = 200  # unpacked : packed, over the whole archive; pictures stay below 2, deflate can reach 1032
RATIO_SLACK = 1 << 20  # bytes; small archives of small files may have any ratio
_CHUNK = 1 << 20  # bytes


class LimitError(DownloadError):
    """A sound archive is larger than download.max_gb allows. It is worth keeping until the limit is raised."""


def extract(
    archive: Path, folder: Path, max_bytes: float, progress: ByteProgress = no_progress, where: str = ""
) -> tuple[int, int]:
    """Unpack `archive` into `folder`, which must exist and be empty.

    Files that macOS adds (`__MACOSX/`, `.DS_Store`, `._*`) are skipped; `._a.jpg` is not a picture. Permissions, owners
    and times in the archive are ignored. After an error `folder` holds whatever was unpacked until then.

    Args:
        archive: The zip archive.
        folder: Where to unpack it.
        max_bytes: Limit on the unpacked size.
        progress: Called for each chunk with the bytes written and the total.
        where: How messages name the archive; by its path if empty.

    Returns:
        The number of files and of bytes written.

    Raises:
        DownloadError: It is not a zip archive, or it is damaged or unsafe.
        LimitError: It unpacks to more than `max_bytes`.
        StorageError: The disk has too little space.
    """
    where = where or str(archive)
    packed = archive.stat().st_size
    with _Reader(io.FileIO(archive)) as file:
        with _reading(where):
            opened = zipfile.ZipFile(file)
        with opened:
            members = _checked_members(opened, where)
            total = sum(info.file_size for info in members.values())
            _check_size(total, packed, max_bytes, where)
            free = shutil.disk_usage(folder).free
            if total > free:
                raise StorageError(f"{folder}: {where} unpacks to {_gb(total)}, {_gb(free)} are free: free some space")
            done, created = 0, {folder}
            for parts, info in members.items():
                target = folder.joinpath(*parts)
                if target.parent not in created:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    created.add(target.parent)
                for written in _write(opened, info, target, where):
                    done += written
                    _check_size(done, packed, max_bytes, where)
                    progress(done, total, "unpacking")
    return len(members), done


def safe_parts(name: str) -> tuple[str, ...]:
    """The parts of the path of a member, relative to the folder the archive is unpacked to.

    Raises:
        ValueError: The reason why it must not be unpacked: the path leads elsewhere, or no file system accepts it.
    """
    if name.startswith("/"):
        raise ValueError("has an absolute path")
    if "\\" in name:
        raise ValueError("has a backslash in its name")  # it separates folders on Windows only
    if re.match("[A-Za-z]:", name):
        raise ValueError("names a drive")
    if any(ord(c) < 32 or 127 <= ord(c) < 160 or 0xD800 <= ord(c) < 0xE000 for c in name):
        raise ValueError("has control characters in its name")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts:
        raise ValueError("leads out of its folder with '..'")
    if not parts and name != "./":
        raise ValueError("has no name")
    if len(name.encode()) > 1024 or any(len(part.encode()) > 255 for part in parts):
        raise ValueError("has a name that is too long")
    return parts


def _checked_members(opened: zipfile.ZipFile, where: str) -> dict[tuple[str, ...], zipfile.ZipInfo]:
    """The files to unpack, by path. Rejects two members with the same path."""
    if len(opened.infolist()) > MAX_MEMBERS:
        raise DownloadError(f"{where}: the archive has {len(opened.infolist()):,} members, more than {MAX_MEMBERS:,}")
    files: dict[tuple[str, ...], zipfile.ZipInfo] = {}
    names: set[tuple[str, ...]] = set()
    folders: set[tuple[str, ...]] = set()
    for info in opened.infolist():
        try:
            parts = safe_parts(info.orig_filename)  # zipfile cuts `filename` at a NUL
        except ValueError as error:
            raise DownloadError(_unsafe(where, info, str(error))) from error
        if reason := _unsupported(info):
            raise DownloadError(_unsafe(where, info, reason))
        folder = parts if info.is_dir() else parts[:-1]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder[:-1]
        if info.is_dir():
            continue
        if parts in names:
            raise DownloadError(_unsafe(where, info, "is in it twice"))
        names.add(parts)
        if not ("__MACOSX" in parts or parts[-1] == ".DS_Store" or parts[-1].startswith("._")):
            files[parts] = info
    if clash := names & folders:
        raise DownloadError(f"{where}: {'/'.join(clash.pop())!r} is both a file and a folder; nothing was unpacked")
    if not files:
        raise DownloadError(f"{where}: the archive holds no files: check download.url")
    return files


def _unsupported(info: zipfile.ZipInfo) -> str | None:
    """Why a member is not a plain file or folder that this module can read; None if it is."""
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 if the archive was not made on Unix
    if kind == stat.S_IFLNK:
        return "is a symbolic link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or (kind == stat.S_IFDIR and not info.is_dir()):
        return "is neither a file nor a folder"
    if info.flag_bits & 0x1:
        return "is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        name = zipfile.compressor_names.get(info.compress_type, "unknown")  # type: ignore[attr-defined]
        return f"is compressed with method {info.compress_type} ({name}), which is not supported"
    return None


def _check_size(unpacked: int, packed: int, max_bytes: float, where: str) -> None:
    if unpacked > MAX_RATIO * packed + RATIO_SLACK:
        raise DownloadError(
            f"{where}: {_gb(packed)} that unpack to {_gb(unpacked)} or more, over {MAX_RATIO}:1, are not an archive of "
            "pictures but a zip bomb; if you trust it, unpack it by hand and set download.url to the folder"
        )
    if unpacked > max_bytes:
        raise LimitError(
            f"{where}: it unpacks to {_gb(unpacked)} or more; raise download.max_gb, now {max_bytes / 1e9:g}"
        )


def _write(opened: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, where: str) -> Iterator[int]:
    """Write one member and yield the size of every chunk written."""
    try:
        output = target.open("xb")
    except FileExistsError as error:  # names are unique, so the file system ignores case or accents
        raise DownloadError(_unsafe(where, info, "differs only in case or accents from another member")) from error
    written = 0
    with output:
        with _reading(where, info):
            member = opened.open(info)
        with member:
            while True:
                with _reading(where, info):
                    chunk = member.read(_CHUNK)
                if not chunk:
                    break
                output.write(chunk)
                written += len(chunk)
                yield len(chunk)
    if written != info.file_size:
        raise DownloadError(_damaged(where, info, f"{written} bytes instead of {info.file_size}"))
    if not written:
        yield 0


class _Reader(io.BufferedReader):
    """A file that refuses to read an archive directory of unreasonable length."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MAX_DIRECTORY:
            raise zipfile.BadZipFile(f"its directory is {_gb(size)} long")
        return super().read(size)


@contextmanager
def _reading(where: str, info: zipfile.ZipInfo | None = None) -> Iterator[None]:
    """Turn everything that zipfile raises on damaged input into a DownloadError. Only reading happens inside.

    An OSError from the disk passes through, but not one from an invalid offset in the archive.
    """
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OverflowError) as error:
        raise DownloadError(_damaged(where, info, str(error))) from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise DownloadError(_damaged(where, info, "an offset points nowhere")) from error


def _unsafe(where: str, info: zipfile.ZipInfo, reason: str) -> str:
    return (
        f"{where}: the member {info.orig_filename[:100]!r} {reason}, so nothing was unpacked; "
        "if you trust the archive, unpack it by hand and set download.url to the folder"
    )


def _damaged(where: str, info: zipfile.ZipInfo | None, reason: str) -> str:
    what = f"at the member {info.orig_filename[:100]!r} " if info else ""
    return f"{where}: the archive is damaged or not complete {what}({' '.join(reason.split())[:200]}): get it again"


def _gb(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
