"""Client order ids: a function of (bot, purpose, side, node, generation), alphanumeric, 18 characters, and readable back.

A retry carries the same id, so a venue takes it once; a restart recognises its own orders; nobody else's look like ours.
Layout: ``ap`` · bot tag (5) · purpose (1) · side (1) · node + 648 in base 36 (2) · generation in base 36 (7).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from alpha_pulse.domain.orders import Purpose, Side

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_PURPOSE = {Purpose.GRID: "g", Purpose.REBALANCE: "r", Purpose.FLOOR: "f", Purpose.STOP: "s"}
_PURPOSE_OF = {letter: purpose for purpose, letter in _PURPOSE.items()}
_SIDE = {Side.BUY: "b", Side.SELL: "s"}
_SIDE_OF = {letter: side for side, letter in _SIDE.items()}
_NODE_OFFSET = 648  # half of 36²: two digits hold nodes −648 … 647
_LENGTH = 18
MOST_NODES = _NODE_OFFSET - 1  # a node's index fits up to this on either side


@dataclass(frozen=True, slots=True)
class OrderName:
    """What an id says."""

    purpose: Purpose
    side: Side
    node: int
    generation: int


def bot_tag(account: str, symbol: str) -> str:
    """Seven characters that stand for one bot: ``ap`` and a digest of its account and perpetual."""
    number = int.from_bytes(hashlib.sha256(f"{account}\n{symbol}".encode()).digest()[:8], "big")
    return "ap" + _base36(number % 36**5, 5)


def order_id(tag: str, name: OrderName) -> str:
    """The id of one order of the bot with this tag.

    Raises:
        ValueError: the node or the generation does not fit.
        KeyError: ``Purpose.EXTERNAL``: the bot places no such order.
    """
    node = _base36(name.node + _NODE_OFFSET, 2)
    return f"{tag}{_PURPOSE[name.purpose]}{_SIDE[name.side]}{node}{_base36(name.generation, 7)}"


def read_order_id(tag: str, client_order_id: str) -> OrderName | None:
    """What an id of the bot with this tag says, or None if it is not ours."""
    if len(client_order_id) != _LENGTH or not client_order_id.startswith(tag):
        return None
    body = client_order_id[len(tag) :]
    purpose, side = _PURPOSE_OF.get(body[0]), _SIDE_OF.get(body[1])
    if purpose is None or side is None or any(c not in _DIGITS for c in body[2:]):
        return None
    return OrderName(purpose, side, int(body[2:4], 36) - _NODE_OFFSET, int(body[4:], 36))


def _base36(number: int, width: int) -> str:
    if not 0 <= number < 36**width:
        msg = f"{number} does not fit into {width} base-36 digits"
        raise ValueError(msg)
    text = ""
    for _ in range(width):
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text
