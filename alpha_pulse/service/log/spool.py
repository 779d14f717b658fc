"""The durable spool on this machine: concurrent records share one write and one sync, and what was delivered is removed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final, TypeVar

from alpha_pulse.errors import Fatal
from alpha_pulse.service.log.folder import SpoolFolder, sync
from alpha_pulse.service.log.segments import Batch, Cursor, SegmentReader, SegmentWriter

T = TypeVar("T")
_Waiting = tuple[bytes, asyncio.Future[None]]

SEGMENT_BYTES: Final = 2**23
"""A segment is removed as a whole, so this is about what a spool takes on the disk with everything delivered."""

_ROOM: Final = 2**16  # bytes: some decisions


class Spool:
    """Opened by ``open``. All methods belong to one event loop; files are touched in threads of its own, one for each direction.

    ``arrived`` is set whenever something was written; whoever waits for it clears it. ``damage`` says what a start found that a person has
    to look at; "" if there is nothing.
    """

    def __init__(self, folder: SpoolFolder, writer: SegmentWriter, reader: SegmentReader) -> None:
        self.id = folder.id
        self.arrived = asyncio.Event()
        self.damage = _damage(folder)
        self._folder = folder
        self._writer = writer
        self._reader = reader
        self._last = writer.next - 1
        self._delivered = min(_delivered(folder), self._last)
        self._pending: list[_Waiting] = []
        self._idle = asyncio.Event()  # set while nothing is being written
        self._idle.set()
        self._closed = False
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="spool-writer")
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="spool-reader")

    @classmethod
    async def open(
        cls, path: Path, *, segment_bytes: int = SEGMENT_BYTES, sync_file: Callable[[int], None] = sync, field: str = "folder"
    ) -> Spool:
        """Hold the folder, cut what a crash left half-written, and go on behind it. ``sync_file`` makes a descriptor's file durable.

        Raises:
            ConfigError: the folder cannot be used, or another process uses it.
            Fatal: a file in it cannot be read.
        """

        def run() -> Spool:
            with ExitStack() as undo:
                folder = SpoolFolder.open(path, field=field)
                undo.callback(folder.close)
                try:
                    spool = cls(folder, SegmentWriter(folder, segment_bytes=segment_bytes, sync_file=sync_file), SegmentReader(folder))
                except OSError as error:
                    raise _unreadable(path, error) from error
                undo.pop_all()
            return spool

        return await asyncio.to_thread(run)

    @property
    def depth(self) -> int:
        """How many records wait for delivery."""
        return self._last - self._delivered

    async def append(self, payload: bytes) -> None:
        """Return when it is durable. Whoever calls while another write is under way shares the next one.

        Raises:
            Fatal: it is not kept, and nothing of it.
        """
        if self._closed:
            raise Fatal(f"the spool {self._folder.path} is closed: nothing more is kept")
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._pending.append((payload, waiter))
        if self._idle.is_set():
            self._idle.clear()
            loop.call_soon(self._write, loop)  # not at once: all that this round of the loop brings shares it
        await waiter

    async def check(self) -> None:
        """Return if a record could become durable now: the segment is usable, and the disk has room. Raises ``Fatal`` if not."""

        def run() -> None:
            self._writer.write([])
            room = self._folder.path / "room"
            try:
                with room.open("wb") as stream:
                    stream.write(bytes(_ROOM))
                    stream.flush()
                    sync(stream.fileno())
            finally:
                room.unlink(missing_ok=True)

        if self._closed:
            raise Fatal(f"the spool {self._folder.path} is closed: nothing more is kept")
        try:
            await asyncio.get_running_loop().run_in_executor(self._writing, run)
        except OSError as error:
            raise self._failure(error) from error

    async def read(self, limit: int) -> Batch:
        """The next records that were not delivered, at most ``limit``; again the same until ``release``. Raises ``Fatal``."""
        return await self._read(self._reader.read, self._last, limit)

    async def find(self, needle: bytes, is_it: Callable[[bytes], bool]) -> bytes | None:
        """A record that was not delivered, contains ``needle`` and is accepted by ``is_it``; None if there is none. Raises ``Fatal``."""
        return await self._read(self._reader.find, needle, is_it, self._last) if self.depth else None

    async def release(self, end: Cursor) -> None:
        """What lies before ``end`` was delivered: segments that hold nothing else are removed. Raises ``Fatal``."""

        def run() -> None:
            self._folder.mark_delivered(end.position - 1)
            self._reader.move(end)
            for first in self._folder.segments():
                if first < end.segment:
                    self._folder.segment(first).unlink(missing_ok=True)

        await self._read(run)
        self._delivered = end.position - 1

    async def set_aside(self, records: list[bytes]) -> Path:
        """Keep records that the database will never get in a file beside the segments; the file is returned. Raises ``Fatal``."""
        return await self._read(self._folder.set_aside, records)

    async def close(self) -> None:
        """Finish what is being written, and let go of the folder. Idempotent."""
        if self._closed:
            return
        self._closed = True
        await self._idle.wait()
        self._writing.shutdown()
        self._reading.shutdown()
        self._writer.close()
        self._folder.close()

    def _write(self, loop: asyncio.AbstractEventLoop) -> None:
        """Write what waits, in the writer's thread, which says when it is done."""
        group, self._pending = self._pending, []
        if group:
            writing = self._writing.submit(self._writer.write, [payload for payload, _ in group])
            writing.add_done_callback(lambda done: loop.call_soon_threadsafe(self._written, loop, group, done.exception()))
        else:
            self._idle.set()

    def _written(self, loop: asyncio.AbstractEventLoop, group: list[_Waiting], error: BaseException | None) -> None:
        failure = None if error is None else self._failure(error)
        if failure is None:
            self._last += len(group)
            self.arrived.set()
        for _, waiter in group:
            if waiter.done():  # its caller is gone
                continue
            if failure is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(failure)
        self._write(loop)

    def _failure(self, error: BaseException) -> Fatal:
        reason = error.strerror if isinstance(error, OSError) else repr(error)
        failure = Fatal(f"the decision cannot be kept in {self._folder.path}: {reason}. Fix: free space, or mend the disk")
        failure.__cause__ = error
        return failure

    async def _read(self, work: Callable[..., T], *arguments: object) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._reading, work, *arguments)
        except OSError as error:
            raise _unreadable(self._folder.path, error) from error


def _delivered(folder: SpoolFolder) -> int:
    """The last position that need not be delivered: what the mark says, or what lies before the first segment there is."""
    segments = folder.segments()
    return max(folder.delivered(), segments[0] - 1 if segments else 0)


def _damage(folder: SpoolFolder) -> str:
    paths = ", ".join(str(path) for path in folder.damaged())
    return f"decisions were damaged on the disk, what was found is in {paths}. Fix: look at it, move it away, restart" if paths else ""


def _unreadable(path: Path, error: OSError) -> Fatal:
    return Fatal(f"the spool {path} cannot be used: {error.filename or ''} {error.strerror}")
