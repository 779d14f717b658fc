"""The spool's files: one writer appends whole groups, a reader follows, and a start cuts what a crash left behind. All of it blocks."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing, suppress
from typing import BinaryIO, Final, NamedTuple

from loguru import logger

from alpha_pulse.errors import Fatal
from alpha_pulse.service.log.folder import SpoolFolder, sync, write_all
from alpha_pulse.service.log.frames import (
    FRAME_BYTES,
    HEADER_BYTES,
    DamagedError,
    frame,
    frames_behind,
    header,
    read_frame,
    read_header,
    whole_frames,
)

MOST_BYTES: Final = 2**22
"""A batch that was read ends with the record that passes this."""

_BUFFER: Final = 2**18
_STEP: Final = 2**18
"""A segment grows by so many zero bytes at a time, to be written over: when a file grows with each write, each sync waits for the file
system's journal as well, which takes about as long again."""
_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


class Cursor(NamedTuple):
    """A place between two frames: the next one has ``position`` and lies at byte ``offset`` of the segment that starts at ``segment``."""

    segment: int
    offset: int
    position: int


class Batch(NamedTuple):
    """Payloads with positions from ``first`` on, and the place behind them."""

    first: int
    payloads: list[bytes]
    end: Cursor


class SegmentWriter:
    """Appends to the last segment, and begins a new one when it would grow over ``segment_bytes``.

    ``next`` is the position that the next payload gets.
    """

    def __init__(self, folder: SpoolFolder, *, segment_bytes: int, sync_file: Callable[[int], None] = sync) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._sync = sync_file
        self._descriptor: int | None = None
        self._end = 0
        self._size = 0  # of the file at most: zeros follow the end
        self._unusable = ""
        self.next, behind_damage = self._recover()
        if behind_damage:
            self.write(behind_damage)

    def write(self, payloads: Sequence[bytes]) -> None:
        """Return when all of them are durable.

        Raises:
            OSError: none of them is kept: what was written of them is taken back.
        """
        if self._descriptor is not None and os.fstat(self._descriptor).st_nlink == 0:
            self._unusable = "the file that it is written to was removed; only a restart makes the spool usable again"
        if self._unusable:
            raise OSError(0, self._unusable)
        data = b"".join(frame(position, payload) for position, payload in enumerate(payloads, self.next))
        descriptor = self._segment_for(len(data))
        try:
            write_all(descriptor, data, self._end)
            self._grow(descriptor, self._end + len(data))
            self._sync(descriptor)
        except OSError:
            self._take_back(descriptor)
            raise
        self._end += len(data)
        self.next += len(payloads)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            with suppress(OSError):  # zeros that stay are cut at the next start
                self._finish(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _grow(self, descriptor: int, end: int) -> None:
        """Have zeros follow, as far as the segment may go. Where there is no room for them, it works without."""
        if end > self._size:
            self._size = max(end, min(self._segment_bytes, end + _STEP))
            with suppress(OSError):
                write_all(descriptor, bytes(self._size - end), end)

    def _finish(self, descriptor: int) -> None:
        """Cut the zeros, durably: readers take the end of the file for the end of its frames."""
        if self._size > self._end:
            os.ftruncate(descriptor, self._end)
            self._sync(descriptor)
            self._size = self._end

    def _segment_for(self, size: int) -> int:
        if self._descriptor is not None:
            if self._end == HEADER_BYTES or self._end + size <= self._segment_bytes:
                return self._descriptor
            self._finish(self._descriptor)  # before there is a next one: after a crash only the last segment is looked at
        path = self._folder.segment(self.next)  # nothing in a file of that name can have been promised: it is begun anew
        with ExitStack() as undo:
            descriptor = os.open(path, _NEW, 0o600)
            undo.callback(path.unlink, missing_ok=True)
            undo.callback(os.close, descriptor)
            write_all(descriptor, header(self.next), 0)
            self._sync(descriptor)
            self._folder.make_durable()
            undo.pop_all()
        self.close()
        self._descriptor, self._end, self._size = descriptor, HEADER_BYTES, HEADER_BYTES
        return descriptor

    def _take_back(self, descriptor: int) -> None:
        try:
            os.ftruncate(descriptor, self._end)
            self._size = self._end
            self._sync(descriptor)
        except OSError as error:
            self._unusable = f"{error.strerror}; what was written could not be taken back either, so only a restart makes it usable again"

    def _recover(self) -> tuple[int, list[bytes]]:
        """Open the last segment behind its last whole frame, and cut what follows: a torn write, which was promised to nobody.

        Returns the next position, and the payloads of whole frames that were cut with damage before them: they have to be written again.
        """
        segments = self._folder.segments()
        delivered = self._folder.delivered()
        if not segments:
            return delivered + 1, []
        first = segments[-1]
        path = self._folder.segment(first)
        with path.open("rb") as stream:
            try:
                intact = read_header(stream) == first
            except DamagedError:
                intact = False
            count, size = whole_frames(stream, first) if intact else (0, 0)
        end = HEADER_BYTES + size if intact else 0
        position = first + count
        behind_damage = _cut(self._folder, first, end, position)
        if intact and position > delivered:
            self._descriptor, self._end, self._size = os.open(path, os.O_RDWR | os.O_CLOEXEC), end, end
        return max(position, delivered + 1), behind_damage


class SegmentReader:
    """Reads what was written, from the first position that was not delivered."""

    def __init__(self, folder: SpoolFolder) -> None:
        self._folder = folder
        self._cursor: Cursor | None = None  # looked for at the first use: a damaged file must not keep the service from starting

    def read(self, upto: int, limit: int) -> Batch:
        """The next payloads with positions up to ``upto``, at most ``limit`` of them and without holes. The place stays where it is.

        Raises:
            Fatal: a file is damaged or missing before that.
            OSError: a file cannot be read.
        """
        cursor = self._place()
        first, size, payloads = cursor.position, 0, list[bytes]()
        with closing(self._walk(cursor, upto)) as frames:
            try:
                for payload, end in frames:
                    if not payloads:
                        first = end.position - 1
                    elif end.position - 1 != first + len(payloads):
                        break
                    payloads.append(payload)
                    cursor, size = end, size + len(payload)
                    if len(payloads) >= limit or size >= MOST_BYTES:
                        break
            except Fatal:
                if not payloads:
                    raise  # else what lies before the damage goes first
        return Batch(first, payloads, cursor)

    def move(self, cursor: Cursor) -> None:
        """Read from here on."""
        self._cursor = cursor

    def find(self, needle: bytes, is_it: Callable[[bytes], bool], upto: int) -> bytes | None:
        """The payload that contains ``needle`` and that ``is_it`` accepts, among those that were not delivered.

        Raises what ``read`` raises.
        """
        cursor = self._place()
        while cursor.position <= upto:
            content = self._folder.segment(cursor.segment).read_bytes()
            later = [first for first in self._folder.segments() if first > cursor.segment]
            if needle in content:  # fast: whole files are searched before a single frame is looked at
                with closing(self._walk(cursor, min(upto, later[0] - 1 if later else upto))) as frames:
                    found = next((payload for payload, _ in frames if needle in payload and is_it(payload)), None)
                if found is not None:
                    return found
            if not later:
                return None
            cursor = Cursor(later[0], HEADER_BYTES, later[0])
        return None

    def _walk(self, cursor: Cursor, upto: int) -> Generator[tuple[bytes, Cursor], None, None]:
        """Each payload from here on, and the place behind it."""
        while cursor.position <= upto:
            path = self._folder.segment(cursor.segment)
            with path.open("rb", buffering=_BUFFER) as stream:
                stream.seek(cursor.offset)
                while cursor.position <= upto:
                    payload = _read(stream, cursor, str(path))
                    if payload is None:
                        break
                    cursor = Cursor(cursor.segment, cursor.offset + FRAME_BYTES + len(payload), cursor.position + 1)
                    yield payload, cursor
            if cursor.position <= upto:
                cursor = self._after(cursor)

    def _after(self, cursor: Cursor) -> Cursor:
        later = [first for first in self._folder.segments() if first > cursor.segment]
        if not later:
            raise Fatal(f"the spool {self._folder.path} ends before decision {cursor.position}, which was written: a file was changed")
        if later[0] != cursor.position:
            logger.error("spool {}: decisions {} to {} are missing, a file was removed", self._folder.path, cursor.position, later[0] - 1)
        return Cursor(later[0], HEADER_BYTES, later[0])

    def _place(self) -> Cursor:
        if self._cursor is None:
            self._cursor = self._find_place(self._folder.delivered() + 1)
        return self._cursor

    def _find_place(self, position: int) -> Cursor:
        segments = self._folder.segments()
        containing = [first for first in segments if first <= position]
        if not containing:
            first = segments[0] if segments else position
            return Cursor(first, HEADER_BYTES, first)
        cursor = Cursor(containing[-1], HEADER_BYTES, containing[-1])
        path = self._folder.segment(cursor.segment)
        with path.open("rb", buffering=_BUFFER) as stream:
            stream.seek(cursor.offset)
            while cursor.position < position:
                payload = _read(stream, cursor, str(path))
                if payload is None:
                    return Cursor(position, HEADER_BYTES, position)  # a new segment begins here
                cursor = Cursor(cursor.segment, cursor.offset + FRAME_BYTES + len(payload), cursor.position + 1)
        return cursor


def _read(stream: BinaryIO, place: Cursor, path: str) -> bytes | None:
    try:
        return read_frame(stream, place.position)
    except DamagedError as error:
        raise Fatal(
            f"{path} is damaged at byte {place.offset}, decision {place.position} ({error}): nothing from there on is delivered."
            " Fix: restore the file, or stop the service and move it away, which gives up what it holds from there on"
        ) from error


def _cut(folder: SpoolFolder, first: int, end: int, position: int) -> list[bytes]:
    """Cut the segment at ``end``, where ``position`` begins, or remove it if ``end`` is 0; what is cut stays beside it, unless it is all
    zeros. Returns the payloads of whole frames that were cut with it.
    """
    path = folder.segment(first)
    with path.open("r+b") as stream:
        stream.seek(end)
        torn = stream.read()
        behind_damage, last = frames_behind(torn, position)
        if torn.strip(b"\0"):
            aside = folder.keep_beside(path, f"{'damaged' if behind_damage else 'torn'}-{end}", torn)
            if behind_damage:
                logger.error(
                    "spool: {} is damaged at byte {}: {} decisions cannot be read, {} behind them can and are kept; all of it is in {}",
                    *(path, end, last - position - len(behind_damage), len(behind_damage), aside),
                )
            else:
                logger.warning("spool: {} bytes after byte {} of {} were torn by a crash; they are kept in {}", len(torn), end, path, aside)
        if torn:
            stream.truncate(end)
            stream.flush()
            sync(stream.fileno())
    if not end:
        path.unlink()
    return behind_damage
