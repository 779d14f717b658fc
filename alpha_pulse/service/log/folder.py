"""The spool's folder: who holds it, how its files are named, and how something in it becomes durable."""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from zlib import crc32

from alpha_pulse.errors import ConfigError
from alpha_pulse.runtime.ids import SystemIds

_SUFFIX: Final = ".seg"
_LOCK: Final = "lock"
_ID: Final = "spool-id"
_DELIVERED: Final = "delivered"
_REFUSED: Final = "refused.jsonl"
_PRIVATE: Final = 0o600


def sync(descriptor: int) -> None:
    """Return when the file's content would survive a power cut. Raises OSError."""
    if hasattr(fcntl, "F_FULLFSYNC"):  # macOS: fsync alone leaves it in the drive's cache
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(descriptor)


class SpoolFolder:
    """A folder that this process holds until ``close``, or until the process ends however it ends."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock
        self.id = self._read_id()
        self._delivered = os.open(path / _DELIVERED, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)

    @classmethod
    def open(cls, path: Path, *, field: str = "folder") -> SpoolFolder:
        """Make the folder if need be, and hold it.

        Raises:
            ConfigError: it cannot be made or written, or another process (or another log of this one) holds it.
        """
        try:
            _make(path)
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
            with ExitStack() as undo:
                undo.callback(os.close, lock)
                _hold(lock, path, field)
                folder = cls(path, lock)
                undo.pop_all()
        except OSError as error:
            raise ConfigError(
                f"cannot be used for the spool of decisions: {error.strerror}",
                field=field,
                value=str(path),
                fix="give a folder on a local disk that this user may write to",
            ) from error
        return folder

    def segment(self, first: int) -> Path:
        """The file of the segment whose first frame has the position ``first``."""
        return self.path / f"{first:020d}{_SUFFIX}"

    def segments(self) -> list[int]:
        """The first position of each segment there is, ascending."""
        return sorted(int(path.stem) for path in self.path.iterdir() if path.suffix == _SUFFIX and path.stem.isdecimal())

    def make_durable(self) -> None:
        """The names in it survive a power cut: a new file is not there before that."""
        _sync_names(self.path)

    def delivered(self) -> int:
        """The last position that was marked as delivered; 0 when none was, or the mark cannot be read."""
        text, _, checksum = os.pread(self._delivered, 64, 0).decode("ascii", "replace").strip().partition(" ")
        return int(text) if text.isdecimal() and checksum == _mark_checksum(text) else 0

    def mark_delivered(self, position: int) -> None:
        """Note it, without waiting for the disk: the database knows better, and after a power cut it is asked."""
        text = f"{position:020d}"
        os.pwrite(self._delivered, f"{text} {_mark_checksum(text)}\n".encode(), 0)

    def set_aside(self, records: list[bytes]) -> Path:
        """Keep records, durably, that the database will not get. The file is returned."""
        path = self.path / _REFUSED
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
        try:
            write_all(descriptor, b"".join(record + b"\n" for record in records), os.fstat(descriptor).st_size)
            sync(descriptor)
        finally:
            os.close(descriptor)
        self.make_durable()
        return path

    def keep_beside(self, segment: Path, ending: str, content: bytes) -> Path:
        """Keep, durably, what is cut from a segment, in a file beside it. The file is returned."""
        path = segment.with_name(f"{segment.name}.{ending}")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _PRIVATE)
        try:
            write_all(descriptor, content, 0)
            sync(descriptor)
        finally:
            os.close(descriptor)
        self.make_durable()
        return path

    def damaged(self) -> list[Path]:
        """What was kept beside segments that were damaged, until a person moves it away."""
        return sorted(self.path.glob(f"*{_SUFFIX}.damaged-*"))

    def close(self) -> None:
        """Let go of it."""
        os.close(self._delivered)
        os.close(self._lock)

    def _read_id(self) -> str:
        """What tells this spool from every other that delivers to the same database."""
        path = self.path / _ID
        try:
            found = path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            found = ""
        if not found:
            found = SystemIds().new_run_id()
            path.write_text(f"{found}\n", encoding="ascii")
        return found


def write_all(descriptor: int, data: bytes, offset: int) -> None:
    """Write at this place, however many calls it takes. Raises OSError; then some of it may be there."""
    done = 0
    while done < len(data):
        done += os.pwrite(descriptor, memoryview(data)[done:], offset + done)


def _make(path: Path) -> None:
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    for folder in missing:
        _sync_names(folder.parent)


def _sync_names(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mark_checksum(text: str) -> str:
    return f"{crc32(text.encode()):08x}"


def _hold(lock: int, path: Path, field: str) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
        raise ConfigError(
            f"holds the spool of decisions of another process that is running (pid {holder})",
            field=field,
            value=str(path),
            fix="stop that one, or give each process a folder of its own",
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
