"""The spool: group commit, crashes, full disks and damaged files."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from alpha_pulse.errors import Fatal
from alpha_pulse.service.log.frames import FRAME_BYTES, HEADER_BYTES
from alpha_pulse.service.log.spool import Spool


class Disk:
    """Counts syncs. It can be slow, and it can fail: ``failures`` are the codes of the next ones, 0 for one that works."""

    def __init__(self) -> None:
        self.syncs = 0
        self.failures: list[int] = []
        self.free = threading.Event()
        self.free.set()

    def __call__(self, descriptor: int) -> None:
        self.free.wait(5.0)
        self.syncs += 1
        code = self.failures.pop(0) if self.failures else 0
        if code:
            raise OSError(code, os.strerror(code))


async def opened(folder: Path, **options: Any) -> Spool:
    return await Spool.open(folder, **{"sync_file": Disk()} | options)


async def everything(spool: Spool, limit: int = 1000) -> list[bytes]:
    found: list[bytes] = []
    while spool.depth:
        batch = await spool.read(limit)
        found += batch.payloads
        await spool.release(batch.end)
    return found


def segments(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.seg"))


async def test_what_is_written_while_the_disk_is_busy_shares_one_sync(tmp_path):
    disk = Disk()
    spool = await Spool.open(tmp_path, sync_file=disk)
    await spool.append(b"first")
    before = disk.syncs
    disk.free.clear()
    writers = [asyncio.create_task(spool.append(b"%d" % number)) for number in range(200)]
    await asyncio.sleep(0)
    disk.free.set()
    await asyncio.gather(*writers)
    assert disk.syncs - before <= 2, "the first of them, and all that came meanwhile"
    assert await everything(spool) == [b"first", *(b"%d" % number for number in range(200))]
    await spool.close()


async def test_nobody_is_answered_before_the_disk_has_it(tmp_path):
    disk = Disk()
    spool = await Spool.open(tmp_path, sync_file=disk)
    disk.free.clear()
    writer = asyncio.create_task(spool.append(b"x"))
    await asyncio.wait([writer], timeout=0.05)
    assert not writer.done()
    assert spool.depth == 0, "and it is not delivered either"
    disk.free.set()
    await writer
    assert spool.depth == 1
    await spool.close()


async def test_a_caller_that_is_gone_does_not_keep_the_others_waiting(tmp_path):
    spool = await opened(tmp_path)
    tasks = [asyncio.create_task(spool.append(b"%d" % number)) for number in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.wait(tasks)
    assert tasks[0].exception() is None
    assert tasks[2].exception() is None
    assert tasks[1].cancelled()
    await spool.close()


async def test_a_restart_goes_on_where_it_was(tmp_path):
    spool = await opened(tmp_path, segment_bytes=60)
    for number in range(10):
        await spool.append(b"%d" % number)
    batch = await spool.read(4)
    await spool.release(batch.end)
    await spool.close()

    spool = await opened(tmp_path, segment_bytes=60)
    assert spool.depth == 6
    await spool.append(b"10")
    assert await everything(spool, 3) == [b"%d" % number for number in range(4, 11)]
    await spool.close()


async def test_the_same_is_read_until_it_is_released_and_then_its_files_are_removed(tmp_path):
    spool = await opened(tmp_path, segment_bytes=60)
    for number in range(9):
        await spool.append(b"%d" % number)
    files = segments(tmp_path)
    assert len(files) > 2
    batch = await spool.read(9)
    assert await spool.read(9) == batch
    assert segments(tmp_path) == files
    await spool.release(batch.end)
    assert segments(tmp_path) == files[-1:]
    await spool.close()

    spool = await opened(tmp_path)
    assert spool.depth == 0
    assert (await spool.read(9)).payloads == []
    await spool.close()


async def test_without_the_mark_all_that_is_there_is_delivered_again(tmp_path):
    spool = await opened(tmp_path, segment_bytes=60)
    for number in range(9):
        await spool.append(b"%d" % number)
    batch = await spool.read(7)
    await spool.release(batch.end)
    await spool.close()
    (tmp_path / "delivered").unlink()

    spool = await opened(tmp_path)
    left = await everything(spool)
    assert left[-2:] == [b"7", b"8"]
    assert len(left) < 9, "segments that were delivered are gone"
    await spool.close()


async def test_a_torn_tail_is_cut_and_kept_beside(tmp_path):
    spool = await opened(tmp_path)
    for payload in (b"one", b"two", b"three"):
        await spool.append(payload)
    await spool.close()
    path = tmp_path / segments(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:-2])

    spool = await opened(tmp_path)
    assert spool.depth == 2
    await spool.append(b"four")
    assert await everything(spool) == [b"one", b"two", b"four"]
    (aside,) = tmp_path.glob("*.torn-*")
    assert aside.read_bytes().endswith(b"thr")
    await spool.close()


@pytest.mark.parametrize(
    ("at", "left"),
    [(HEADER_BYTES + 3 * (FRAME_BYTES + 8) + 10, [0, 1, 2, 5, 6, 7, 8, 9]), (3, list(range(10)))],
    ids=["records", "header"],
)
async def test_what_lies_whole_behind_damage_is_kept_and_a_person_is_told(tmp_path, at, left):
    said: list[str] = []
    told = logger.add(said.append, level="ERROR", format="{message}")
    records = [b'{"n": %d}' % number for number in range(10)]
    spool = await opened(tmp_path)
    await asyncio.gather(*(spool.append(record) for record in records))
    await spool.close()
    path = tmp_path / segments(tmp_path)[0]
    content = path.read_bytes()
    path.write_bytes(content[:at] + bytes(9) + content[at + 9 :])

    for _ in range(2):
        spool = await opened(tmp_path)
        assert spool.damage.startswith("decisions were damaged on the disk")
        assert (await spool.read(100)).payloads == [records[number] for number in left]
        await spool.close()
    (aside,) = tmp_path.glob("*.damaged-*")
    assert (content[:at] + bytes(9) + content[at + 9 :]).endswith(aside.read_bytes())
    logger.remove(told)
    assert len(said) == 1
    assert f"{10 - len(left)} decisions cannot be read" in said[0]
    aside.unlink()
    spool = await opened(tmp_path)
    assert (spool.damage, spool.depth) == ("", len(left))
    await spool.close()


async def test_zeros_that_a_power_cut_left_are_cut_and_not_kept(tmp_path):
    spool = await opened(tmp_path)
    await spool.append(b"one")
    await spool.close()
    path = tmp_path / segments(tmp_path)[0]
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + bytes(4096))
    spool = await opened(tmp_path)
    assert (spool.depth, path.stat().st_size) == (1, size)
    assert list(tmp_path.glob("*.torn-*")) == []
    await spool.close()


@pytest.mark.parametrize("left", [b"", b"APDEC"])
async def test_a_segment_that_was_only_begun_is_begun_again(tmp_path, left):
    spool = await opened(tmp_path)
    await spool.append(b"one")
    await spool.close()
    (tmp_path / f"{2:020d}.seg").write_bytes(left)
    spool = await opened(tmp_path)
    await spool.append(b"two")
    assert await everything(spool) == [b"one", b"two"]
    await spool.close()


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """A real disk limit: a write stops in the middle when the file has this size, and the next one fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_what_was_half_written_when_the_disk_was_full_does_not_count(tmp_path):
    spool = await opened(tmp_path)
    await spool.append(b"kept")
    size = HEADER_BYTES + FRAME_BYTES + 4
    with files_limited_to(size + 30):
        answers = await asyncio.gather(*(spool.append(b"x" * 20) for _ in range(3)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [Fatal] * 3
        assert "cannot be kept" in str(answers[0])
        assert "Fix: free space" in str(answers[0])
    assert (tmp_path / segments(tmp_path)[0]).stat().st_size == size
    await spool.append(b"after space was freed")
    assert await everything(spool) == [b"kept", b"after space was freed"]
    await spool.close()


async def test_a_segment_grows_ahead_of_what_is_written_and_ends_with_its_last_record(tmp_path):
    spool = await opened(tmp_path, segment_bytes=100)
    await spool.append(b"x" * 20)
    first = tmp_path / segments(tmp_path)[0]
    assert first.stat().st_size == 100
    assert first.read_bytes().endswith(b"x" + bytes(100 - HEADER_BYTES - FRAME_BYTES - 20))
    for _ in range(3):
        await spool.append(b"y" * 20)
    assert first.read_bytes().endswith(b"y"), "before there is a second one"
    assert await everything(spool) == [b"x" * 20, *[b"y" * 20] * 3]
    await spool.close()
    assert (tmp_path / segments(tmp_path)[-1]).read_bytes().endswith(b"y")


async def test_a_segment_ends_with_its_last_record_before_there_is_a_next_one(tmp_path):
    ends: list[bytes] = []

    def look(_: int) -> None:
        first, *others = segments(tmp_path)
        if others:
            ends.append((tmp_path / first).read_bytes()[-1:])

    spool = await opened(tmp_path, segment_bytes=100, sync_file=look)
    for _ in range(3):
        await spool.append(b"y" * 20)
    assert set(ends) == {b"y"}, "a crash at any of those moments leaves nothing that delivery could take for damage"
    await spool.close()


async def test_after_a_crash_the_zeros_ahead_are_cut(tmp_path):
    spool = await opened(tmp_path, segment_bytes=100)
    await spool.append(b"x" * 20)
    first = tmp_path / segments(tmp_path)[0]
    left = first.read_bytes()
    await spool.close()
    first.write_bytes(left)
    spool = await opened(tmp_path, segment_bytes=50)
    await spool.append(b"y" * 20)
    assert await everything(spool) == [b"x" * 20, b"y" * 20]
    assert list(tmp_path.glob("*.torn-*")) == []
    await spool.close()


async def test_a_disk_with_room_for_the_record_but_not_for_the_zeros_ahead_keeps_it(tmp_path):
    spool = await opened(tmp_path, segment_bytes=100)
    with files_limited_to(90):
        await spool.append(b"x" * 20)
        await spool.append(b"y" * 10)
    assert (tmp_path / segments(tmp_path)[0]).stat().st_size == 90
    await spool.append(b"z" * 50)
    assert len(segments(tmp_path)) == 2
    assert await everything(spool) == [b"x" * 20, b"y" * 10, b"z" * 50]
    await spool.close()


async def test_a_sync_that_fails_is_taken_back(tmp_path):
    disk = Disk()
    spool = await Spool.open(tmp_path, sync_file=disk)
    await spool.append(b"kept")
    disk.failures = [errno.EIO]
    with pytest.raises(Fatal, match="Input/output error"):
        await spool.append(b"lost")
    await spool.append(b"next")
    await spool.close()
    spool = await opened(tmp_path)
    assert await everything(spool) == [b"kept", b"next"]
    await spool.close()


async def test_a_disk_that_cannot_even_take_back_refuses_all_until_a_restart(tmp_path):
    disk = Disk()
    spool = await Spool.open(tmp_path, sync_file=disk)
    await spool.append(b"kept")
    disk.failures = [errno.EIO, errno.EIO]
    for _ in range(2):
        with pytest.raises(Fatal):
            await spool.append(b"lost")
    await spool.close()
    spool = await opened(tmp_path)
    await spool.append(b"next")
    assert await everything(spool) == [b"kept", b"next"]
    await spool.close()


@pytest.mark.parametrize(
    "failures", [[errno.ENOSPC], [0, errno.ENOSPC]], ids=["the last one cannot be ended", "the next one cannot be begun"]
)
async def test_a_new_segment_that_cannot_be_made_leaves_no_trace(tmp_path, failures):
    disk = Disk()
    spool = await Spool.open(tmp_path, sync_file=disk, segment_bytes=40)
    await spool.append(b"kept")
    disk.failures = failures
    with pytest.raises(Fatal, match="No space left"):
        await spool.append(b"x" * 30)
    assert len(segments(tmp_path)) == 1
    await spool.append(b"next")
    assert await everything(spool) == [b"kept", b"next"]
    await spool.close()


async def test_a_folder_that_is_gone_is_said_before_anything_more_is_promised(tmp_path):
    spool = await opened(tmp_path / "spool")
    await spool.append(b"kept")
    shutil.rmtree(tmp_path / "spool")
    for _ in range(2):
        with pytest.raises(Fatal, match="the file that it is written to was removed; only a restart"):
            await spool.append(b"x")
    with pytest.raises(Fatal, match="cannot be used"):
        await spool.read(1)
    await spool.close()


async def test_a_folder_that_went_before_the_first_record_is_said(tmp_path):
    spool = await opened(tmp_path / "spool")
    shutil.rmtree(tmp_path / "spool")
    with pytest.raises(Fatal, match="No such file or directory"):
        await spool.append(b"x")
    await spool.close()


async def test_a_closed_spool_keeps_nothing_more(tmp_path):
    spool = await opened(tmp_path)
    last = asyncio.create_task(spool.append(b"last"))
    await asyncio.sleep(0)
    await spool.close()
    await spool.close()
    assert last.done()
    with pytest.raises(Fatal, match="is closed"):
        await spool.append(b"x")


async def test_damage_before_the_last_segment_stops_the_delivery_and_says_where(tmp_path):
    spool = await opened(tmp_path, segment_bytes=60)
    for number in range(9):
        await spool.append(b"%d" % number)
    await spool.close()
    path = tmp_path / segments(tmp_path)[1]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    spool = await opened(tmp_path)
    assert spool.depth == 9
    batch = await spool.read(9)
    assert batch.payloads[0] == b"0", "what lies before it can be delivered"
    await spool.release(batch.end)
    with pytest.raises(Fatal, match=r"is damaged at byte \d+, decision \d \(the checksum does not match\).*Fix: restore the file"):
        await spool.read(9)
    await spool.append(b"9")  # which keeps nobody from recording
    await spool.close()

    path.unlink()
    spool = await opened(tmp_path)
    left = await everything(spool)
    assert left[0] > batch.payloads[-1]
    assert left[-1] == b"9"
    await spool.close()


async def test_a_last_file_that_was_cut_while_it_was_read_is_said(tmp_path):
    spool = await opened(tmp_path)
    await spool.append(b"0")
    await spool.append(b"1")
    path = tmp_path / segments(tmp_path)[0]
    path.write_bytes(path.read_bytes().rstrip(b"\0")[: -FRAME_BYTES - 1])
    batch = await spool.read(9)
    assert batch.payloads == [b"0"]
    await spool.release(batch.end)
    with pytest.raises(Fatal, match="ends before decision 2, which was written"):
        await spool.read(9)
    await spool.close()


async def test_what_waits_can_be_found_by_what_it_contains(tmp_path):
    spool = await opened(tmp_path, segment_bytes=60)

    async def found(needle: bytes) -> bytes | None:
        return await spool.find(needle, lambda payload: payload.startswith(b"<"))

    assert await found(b"<1>") is None
    for number in range(12):
        await spool.append(b"about <%d>" % number)
        await spool.append(b"<%d>" % number)
    batch = await spool.read(4)
    await spool.release(batch.end)
    assert await found(b"<11>") == b"<11>"
    assert await found(b"<5>") == b"<5>"
    assert await found(b"<1>") is None, "it was delivered"
    assert await found(b"<12>") is None
    await spool.close()


async def test_refused_records_are_kept_line_by_line(tmp_path):
    spool = await opened(tmp_path)
    path = await spool.set_aside([b"{1}", b"{2}"])
    await spool.set_aside([b"{3}"])
    assert path.read_bytes() == b"{1}\n{2}\n{3}\n"
    await spool.close()


async def test_a_check_says_whether_a_record_could_be_kept_and_keeps_nothing(tmp_path):
    spool = await opened(tmp_path)
    await spool.append(b"kept")
    before = sorted(tmp_path.iterdir())
    with files_limited_to(2**12), pytest.raises(Fatal, match="cannot be kept"):
        await spool.check()
    await spool.check()
    assert sorted(tmp_path.iterdir()) == before
    await spool.append(b"after")
    assert await everything(spool) == [b"kept", b"after"]
    await spool.close()
    with pytest.raises(Fatal, match="closed"):
        await spool.check()


async def test_a_check_of_a_disk_that_fails_says_so(tmp_path):
    disk = Disk()
    spool = await Spool.open(tmp_path, sync_file=disk)
    await spool.append(b"kept")
    disk.failures = [errno.EIO]
    with pytest.raises(Fatal, match="cannot be kept"):
        await spool.check()
    await spool.check()
    await spool.close()
