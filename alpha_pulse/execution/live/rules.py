"""Trading rules change while a bot runs: read again, compared, and said in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from alpha_pulse.domain.instrument import HedgePair, Instrument
from alpha_pulse.execution.live.connection import Connection
from alpha_pulse.market.ccxt_mapping import instrument_of

_RULES: Final = {
    "tick_size": "tick",
    "lot_size": "lot",
    "min_quantity": "least order",
    "min_notional": "least notional",
    "contract_size": "contract size",
}


async def rules_now(connection: Connection, pair: HedgePair, known: Instrument, *, price: float, after: float) -> Instrument:
    """The pair's rules as the venue lists them now; fees and margin brackets, which it does not list there, as they were known.

    Args:
        connection: to the venue; its markets are read again, unless that was done ``after`` (the loop's time) or later.
        pair: what is traded.
        known: the rules so far.
        price: about where it trades [quote units]: some venues count the digits of a price.
        after: see above.

    Raises:
        ConfigError: the contract is not traded any more, or its rules are unusable.
        Transient, Fatal: the venue did not answer, or refuses us.
    """
    await connection.reload(after=after)
    found = instrument_of(pair, connection.rest.markets[pair.perpetual], connection.rest.precisionMode, price)
    return replace(known, **{name: getattr(found, name) for name in _RULES})


def changes(known: Instrument, found: Instrument) -> str:
    """What differs, e.g. "tick 0.1 → 1"; "" for nothing."""
    pairs = ((words, getattr(known, name), getattr(found, name)) for name, words in _RULES.items())
    return ", ".join(f"{words} {before} → {now}" for words, before, now in pairs if before != now)
