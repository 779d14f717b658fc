"""How a decision lies in a file, so that whatever a crash left of the last write is recognised.

A segment is a header and frames. A header is a magic number and the position of the segment's first frame, with their CRC-32; a frame is
the payload's length, a CRC-32 over position, length and payload, and the payload. Positions count 1, 2, 3 … through all segments; they are
not stored in each frame, but a frame at another position than its own fails its checksum. All integers are little-endian.
"""

from __future__ import annotations

from struct import Struct
from typing import BinaryIO, Final
from zlib import crc32

MAX_PAYLOAD: Final = 2**24
"""The longest payload, bytes: a damaged length is not taken for a huge one."""

_MAGIC: Final = b"APDECLG1"
_HEADER: Final = Struct("<8sQI")
_PREFIX: Final = Struct("<II")
_PLACE: Final = Struct("<QI")

HEADER_BYTES: Final = _HEADER.size
FRAME_BYTES: Final = _PREFIX.size
"""What a frame takes besides its payload."""


class DamagedError(ValueError):
    """What is here is no whole frame, or no header."""


def header(first: int) -> bytes:
    """The header of a segment whose first frame has the position ``first``."""
    return _HEADER.pack(_MAGIC, first, crc32(_MAGIC + first.to_bytes(8, "little")))


def read_header(stream: BinaryIO) -> int:
    """The position of the first frame. Raises ``DamagedError``."""
    data = stream.read(HEADER_BYTES)
    if len(data) < HEADER_BYTES or data != header(_HEADER.unpack(data)[1]):
        raise DamagedError("no header")
    return int(_HEADER.unpack(data)[1])


def frame(position: int, payload: bytes) -> bytes:
    """One frame. ``payload`` has 1 to ``MAX_PAYLOAD`` bytes."""
    return _PREFIX.pack(len(payload), _checksum(position, payload)) + payload


def read_frame(stream: BinaryIO, position: int) -> bytes | None:
    """The payload of the next frame, which must have this position; None at the end of the stream.

    Raises:
        DamagedError: something is there, but no whole frame. The stream has moved all the same.
    """
    prefix = stream.read(FRAME_BYTES)
    if not prefix:
        return None
    if len(prefix) < FRAME_BYTES:
        raise DamagedError("cut inside a length")
    length, checksum = _PREFIX.unpack(prefix)
    if not 0 < length <= MAX_PAYLOAD:
        raise DamagedError(f"no length: {length}")
    payload = stream.read(length)
    if len(payload) < length:
        raise DamagedError("cut inside a payload")
    if checksum != _checksum(position, payload):
        raise DamagedError("the checksum does not match")
    return payload


def whole_frames(stream: BinaryIO, first: int) -> tuple[int, int]:
    """How many whole frames follow from here, and how many bytes they take. What comes after them is torn."""
    count = size = 0
    while True:
        try:
            payload = read_frame(stream, first + count)
        except DamagedError:
            return count, size
        if payload is None:
            return count, size
        count += 1
        size += FRAME_BYTES + len(payload)


def frames_behind(data: bytes, first: int) -> tuple[list[bytes], int]:
    """The payloads of whole frames behind damage, and the position after the last of them. Nothing is known of what lies between.

    Only payloads that begin with { and end with }, as every decision does, are looked for.

    Args:
        data: what cannot be read frame by frame.
        first: the position of the frame that begins it.
    """
    found: list[bytes] = []
    end, position = 0, first
    start = data.find(b"{", FRAME_BYTES)
    while start >= 0:
        length, checksum = _PREFIX.unpack_from(data, start - FRAME_BYTES)
        payload = data[start : start + length] if length <= MAX_PAYLOAD else b""
        if payload.endswith(b"}") and len(payload) == length:
            most = (start - FRAME_BYTES - end) // (FRAME_BYTES + 1)  # so many frames at most lie between
            here = next((each for each in range(position, position + most + 1) if checksum == _checksum(each, payload)), None)
            if here is not None:
                found.append(payload)
                end, position = start + length, here + 1
        start = data.find(b"{", max(end + FRAME_BYTES, start + 1))
    return found, position


def _checksum(position: int, payload: bytes) -> int:
    return crc32(payload, crc32(_PLACE.pack(position, len(payload))))
