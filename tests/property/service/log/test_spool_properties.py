"""Whatever a crash does to the end of a file, only the end is lost; and a spool gives back what was put into it."""

from __future__ import annotations

import tempfile
from contextlib import closing
from io import BytesIO
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from alpha_pulse.service.log.folder import SpoolFolder
from alpha_pulse.service.log.frames import FRAME_BYTES, HEADER_BYTES, frame, frames_behind, header, read_frame, whole_frames
from alpha_pulse.service.log.segments import SegmentReader, SegmentWriter

payload_lists = st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=8)
firsts = st.integers(1, 2**60)


def not_synced(_: int) -> None:
    """Tests need no power cut."""


def framed(payloads: list[bytes], first: int) -> tuple[bytes, list[int]]:
    """The frames one behind the other, and where each of them ends."""
    data, ends = b"", [0]
    for number, payload in enumerate(payloads):
        data += frame(first + number, payload)
        ends.append(len(data))
    return data, ends


def whole_before(ends: list[int], cut: int) -> int:
    return sum(end <= cut for end in ends) - 1


@given(payload_lists, firsts, st.data())
def test_a_cut_anywhere_loses_only_the_frames_that_it_touches(payloads, first, data):
    content, ends = framed(payloads, first)
    cut = data.draw(st.integers(0, len(content)))
    count, size = whole_frames(BytesIO(content[:cut]), first)
    assert count == whole_before(ends, cut)
    assert size == ends[count]


@given(payload_lists, firsts, st.data(), st.binary(max_size=60))
def test_any_bytes_in_place_of_the_tail_leave_what_lies_before_it(payloads, first, data, garbage):
    content, ends = framed(payloads, first)
    cut = data.draw(st.integers(0, len(content)))
    torn = content[:cut] + garbage
    count, size = whole_frames(BytesIO(torn), first)
    assert count >= whole_before(ends, cut)
    stream = BytesIO(torn)
    found = [read_frame(stream, first + number) for number in range(count)]
    kept = whole_before(ends, cut)
    assert found[:kept] == payloads[:kept]
    assert stream.tell() == size


@given(payload_lists, firsts, st.data())
def test_a_flipped_bit_is_noticed_in_the_frame_that_holds_it(payloads, first, data):
    content, ends = framed(payloads, first)
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    assert whole_frames(BytesIO(bytes(changed)), first)[0] == whole_before(ends, bit // 8)


@given(st.lists(st.binary(max_size=40), min_size=2, max_size=8), firsts, st.data())
def test_every_whole_frame_behind_damage_is_found(bodies, first, data):
    payloads = [b"{" + body + b"}" for body in bodies]
    content, ends = framed(payloads, first)
    damaged = data.draw(st.integers(0, len(payloads) - 1))
    overwritten = bytes(ends[damaged + 1] - ends[damaged])
    found, behind = frames_behind(overwritten + content[ends[damaged + 1] :], first + damaged)
    assert found == payloads[damaged + 1 :]
    assert behind == (first + len(payloads) if found else first + damaged)


@given(payload_lists, st.integers(10, 2**60), st.integers(-5, 5).filter(bool))
def test_frames_at_other_positions_than_their_own_do_not_count(payloads, first, shift):
    content, _ = framed(payloads, first)
    assert whole_frames(BytesIO(content), first + shift) == (0, 0)


def written(folder: SpoolFolder, groups: list[list[bytes]], segment_bytes: int) -> None:
    with closing(SegmentWriter(folder, segment_bytes=segment_bytes, sync_file=not_synced)) as writer:
        for group in groups:
            writer.write(group)


def everything(folder: SpoolFolder, upto: int, limit: int) -> list[bytes]:
    reader, found = SegmentReader(folder), list[bytes]()
    while len(found) < upto:
        batch = reader.read(upto, limit)
        assert 0 < len(batch.payloads) <= limit
        assert batch.first == len(found) + 1
        found += batch.payloads
        reader.move(batch.end)
    return found


@settings(deadline=None, max_examples=60)
@given(st.lists(payload_lists, min_size=1, max_size=6), st.integers(50, 300), st.integers(1, 10))
def test_what_was_written_in_any_groups_is_read_in_order_in_any_batches(groups, segment_bytes, limit):
    with tempfile.TemporaryDirectory() as path, closing(SpoolFolder.open(Path(path))) as folder:
        written(folder, groups, segment_bytes)
        flat = [payload for group in groups for payload in group]
        assert everything(folder, len(flat), limit) == flat


@settings(deadline=None, max_examples=60)
@given(st.lists(payload_lists, min_size=1, max_size=6), st.integers(50, 300), st.data())
def test_a_start_after_a_torn_write_goes_on_behind_the_last_whole_record(groups, segment_bytes, data):
    flat = [payload for group in groups for payload in group]
    with tempfile.TemporaryDirectory() as path, closing(SpoolFolder.open(Path(path))) as folder:
        written(folder, groups, segment_bytes)
        first = folder.segments()[-1]
        last = folder.segment(first)
        cut = data.draw(st.integers(0, last.stat().st_size))
        last.write_bytes(last.read_bytes()[:cut])
        _, ends = framed(flat[first - 1 :], first)
        kept = first - 1 + (whole_before(ends, cut - HEADER_BYTES) if cut >= HEADER_BYTES else 0)

        written(folder, [[b"after the crash"]], segment_bytes)
        assert everything(folder, kept + 1, 4) == [*flat[:kept], b"after the crash"]


def test_a_frame_and_a_header_are_as_long_as_they_say():
    assert len(frame(7, b"x")) == FRAME_BYTES + 1
    assert len(header(7)) == HEADER_BYTES
