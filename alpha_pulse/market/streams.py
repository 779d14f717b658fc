"""What the replayed feeds share: streams of prebuilt updates, found by any spelling of their pair."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from typing import Final, Generic, TypeVar

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.domain.market import Bar, MarketUpdate
from alpha_pulse.errors import ConfigError

# Rows become named tuples inside the interpreter's own loop, which costs half of calling the class for each.
make_bar: Final[Callable[..., Bar]] = partial(tuple.__new__, Bar)
make_update: Final[Callable[..., MarketUpdate]] = partial(tuple.__new__, MarketUpdate)


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
