"""Unpacks a zip archive that nobody vouches for.

Everything its directory says is checked before the first byte is written, and what cannot be known before (sizes,
checksums) while writing. Only stored and deflated members are read, since the other methods cannot be unpacked in
bounded memory; pictures gain nothing from them.
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
from artdetect.download.source import Progress, no_progress

MAX_MEMBERS = 5_000_000
MAX_DIRECTORY = 256 << 20  # bytes of the archive's own list, which zipfile reads in one go; 46 and more a member
MAX_RATIO = 200  # unpacked : packed, over the whole archive; pictures stay below 2, deflate reaches 1032
RATIO_SLACK = 1 << 20  # bytes: small archives of small files may have any ratio
_CHUNK = 1 << 20  # bytes


class LimitError(DownloadError):
    """An archive is in order but larger than download.max_gb allows: worth keeping until the limit is raised."""


def extract(
    archive: Path, folder: Path, max_bytes: float, progress: Progress = no_progress, where: str = ""
) -> tuple[int, int]:
    """Unpacks `archive` into `folder`, which must exist and be empty.

    What macOS adds (`__MACOSX/`, `.DS_Store`, `._*`) is left out: its `._a.jpg` are no pictures. Permissions, owners
    and times in the archive are ignored. After an error `folder` holds whatever was unpacked until then.

    Args:
        max_bytes: Limit on the unpacked size.
        where: What to call the archive in messages; its path where empty.

    Returns:
        The number of files written, and of bytes.

    Raises:
        DownloadError: Not a zip archive, a damaged or an unsafe one; its subclass LimitError: more than `max_bytes`.
        StorageError: The disk has too little room.
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
            done, made = 0, {folder}
            for parts, info in members.items():
                target = folder.joinpath(*parts)
                if target.parent not in made:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    made.add(target.parent)
                for written in _write(opened, info, target, where):
                    done += written
                    _check_size(done, packed, max_bytes, where)
                    progress(done, total, "unpacking")
    return len(members), done


def safe_parts(name: str) -> tuple[str, ...]:
    """The folders and the file that a member's name spells, relative to where the archive is unpacked.

    Raises:
        ValueError: The reason why it must not be unpacked: it could land elsewhere, or on no file system.
    """
    if name.startswith("/"):
        raise ValueError("has an absolute path")
    if "\\" in name:
        raise ValueError("has a backslash in its name")  # a folder on Windows, a character elsewhere
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
    """The files to unpack by their path; also rejects two members that want the same path."""
    if len(opened.infolist()) > MAX_MEMBERS:
        raise DownloadError(f"{where}: the archive has {len(opened.infolist()):,} members, more than {MAX_MEMBERS:,}")
    files: dict[tuple[str, ...], zipfile.ZipInfo] = {}
    seen: set[tuple[str, ...]] = set()
    folders: set[tuple[str, ...]] = set()
    for info in opened.infolist():
        try:
            parts = safe_parts(info.orig_filename)  # zipfile cuts `filename` at a NUL
        except ValueError as error:
            raise DownloadError(_unsafe(where, info, str(error))) from error
        if reason := _special(info):
            raise DownloadError(_unsafe(where, info, reason))
        folder = parts if info.is_dir() else parts[:-1]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder[:-1]
        if info.is_dir():
            continue
        if parts in seen:
            raise DownloadError(_unsafe(where, info, "is in it twice"))
        seen.add(parts)
        if not ("__MACOSX" in parts or parts[-1] == ".DS_Store" or parts[-1].startswith("._")):
            files[parts] = info
    if clash := seen & folders:
        raise DownloadError(f"{where}: {'/'.join(clash.pop())!r} is both a file and a folder; nothing was unpacked")
    if not files:
        raise DownloadError(f"{where}: the archive holds no files: check download.url")
    return files


def _special(info: zipfile.ZipInfo) -> str | None:
    """Why a member is not a plain file or folder that this module reads, or None."""
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive was not made on Unix
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
            f"{where}: {_gb(packed)} that unpack to {_gb(unpacked)} or more, over {MAX_RATIO}:1, are no archive of "
            "pictures but a zip bomb; if you trust it, unpack it by hand and set download.url to the folder"
        )
    if unpacked > max_bytes:
        raise LimitError(
            f"{where}: it unpacks to {_gb(unpacked)} or more; raise download.max_gb, now {max_bytes / 1e9:g}"
        )


def _write(opened: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, where: str) -> Iterator[int]:
    """Writes one member, yielding the bytes of every piece."""
    try:
        output = target.open("xb")
    except FileExistsError as error:  # not in the list, hence a file system that ignores case or accents
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
    """A file that refuses to hand out an archive's directory of unreasonable length."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MAX_DIRECTORY:
            raise zipfile.BadZipFile(f"its list of members is {_gb(size)} long")
        return super().read(size)


@contextmanager
def _reading(where: str, info: zipfile.ZipInfo | None = None) -> Iterator[None]:
    """Turns all that zipfile raises on damaged input into a DownloadError; only reading happens inside.

    An OSError passes where the disk is to blame, and not an offset from the archive that points nowhere.
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
