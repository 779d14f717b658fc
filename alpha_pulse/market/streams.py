"""What the replayed feeds share: streams of prebuilt updates, found by any spelling of their pair."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Generic, TypeVar

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.domain.market import MarketUpdate
from alpha_pulse.errors import ConfigError
from alpha_pulse.market.columns import UpdateColumns, as_updates


class Stream:
    """Updates of one pair, taken chunk by chunk from ``chunks`` as they are needed."""

    __slots__ = ("latest", "updates")

    def __init__(self, chunks: Iterable[list[MarketUpdate]]) -> None:
        self.updates: Iterator[MarketUpdate] = chain.from_iterable(chunks)
        self.latest: MarketUpdate | None = None

    def take(self) -> MarketUpdate | None:
        """The next update, or None at the end."""
        update = next(self.updates, None)
        if update is not None:
            self.latest = update
        return update


_S = TypeVar("_S")


class ByPair(Generic[_S]):
    """One thing per open pair, looked up by any spelling."""

    def __init__(self) -> None:
        self._found: dict[str, _S] = {}

    def put(self, perpetual: str, thing: _S) -> None:
        """Open or reopen a pair."""
        self._found = {name: kept for name, kept in self._found.items() if hedge_pair(name).perpetual != perpetual}
        self._found[perpetual] = thing

    def get(self, symbol: str) -> _S:
        """What was put for this pair.

        Raises:
            ConfigError: the symbol is no pair, or the pair is not open.
        """
        try:
            return self._found[symbol]
        except KeyError:
            perpetual = hedge_pair(symbol).perpetual
        if perpetual not in self._found:
            known = ", ".join(sorted(self._found)) or "none"
            raise ConfigError(
                f"this feed was not opened for it; open pairs: {known}.", field="symbol", value=symbol, fix="open the pair first"
            )
        thing = self._found[symbol] = self._found[perpetual]
        return thing

    def __contains__(self, perpetual: str) -> bool:
        return perpetual in self._found

    def clear(self) -> None:
        """Close every pair."""
        self._found = {}


class ReplayedFeed(ABC):
    """What feeds share that have their market as columns: the open pairs' updates, made of columns as they are asked for."""

    def __init__(self) -> None:
        self._streams: ByPair[Stream] = ByPair()

    def _deliver(self, perpetual: str, chunks: Iterable[UpdateColumns]) -> None:
        """Open or reopen a pair: ``next`` goes through these."""
        self._streams.put(perpetual, Stream(map(as_updates, chunks)))

    @abstractmethod
    def past_columns(self, symbol: str) -> Iterable[UpdateColumns]:
        """See ``ColumnFeed``."""

    async def next(self, symbol: str) -> MarketUpdate | None:
        """The next bar; None after the last."""
        return self._streams.get(symbol).take()

    def latest(self, symbol: str) -> MarketUpdate | None:
        """The last bar delivered."""
        return self._streams.get(symbol).latest

    def history(self, symbol: str) -> Iterable[MarketUpdate]:
        """Every bar before the first that ``next`` delivers."""
        for chunk in self.past_columns(symbol):
            yield from as_updates(chunk)
