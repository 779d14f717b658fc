"""Client order ids on their way to a venue and back: reversible, so that a restart recognises its own orders.

Ours are 18 lower-case letters and digits that begin with ``ap`` (see ``hedging.common.order_ids``). A stranger's id comes back
as it is, whatever it looks like.
"""

from __future__ import annotations

import re
from typing import Final

_OURS: Final = re.compile(r"ap[0-9a-z]{16}")
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_MARK: Final = "0x616c7068"  # "alph": the first 32 of 128 bits say that the other 96 are an id of ours
_CLOID: Final = re.compile(r"0x[0-9a-f]{32}")
_GATE: Final = "t-"


def is_ours(client_order_id: str) -> bool:
    """Whether an id has the form of ours (of any bot)."""
    return _OURS.fullmatch(client_order_id) is not None


def to_plain(ours: str) -> str:
    """For venues that take up to 32 letters and digits or more: the id itself.

    Raises:
        ValueError: it is not one of our ids.
    """
    if not is_ours(ours):
        raise ValueError(f"{ours!r} is no client order id of ours (ap and 16 lower-case letters or digits)")
    return ours


def from_plain(theirs: str | None) -> str:
    """What ``to_plain`` was given; "" for no id at all."""
    return theirs or ""


def to_gate(ours: str) -> str:
    """Gate marks a user's own ids by the prefix ``t-``."""
    return _GATE + to_plain(ours)


def from_gate(theirs: str | None) -> str:
    """What ``to_gate`` was given; a foreign id unchanged."""
    text = theirs or ""
    bare = text.removeprefix(_GATE)
    return bare if is_ours(bare) else text


def to_hex(ours: str) -> str:
    """128 bits in hexadecimal: a mark of 32 bits, then the id read as a number in base 36, which takes 94 of the other 96."""
    return f"{_MARK}{int(to_plain(ours), 36):024x}"


def from_hex(theirs: str | None) -> str:
    """What ``to_hex`` was given; a foreign id unchanged."""
    text = (theirs or "").lower()
    if _CLOID.fullmatch(text) and text.startswith(_MARK):
        ours = _base36(int(text.removeprefix(_MARK), 16))
        if is_ours(ours):
            return ours
    return theirs or ""


def _base36(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text
