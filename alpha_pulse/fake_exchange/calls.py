"""What an endpoint is: a function of a call, with a weight and a door."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from alpha_pulse.fake_exchange.refusals import Refusal

if TYPE_CHECKING:
    from alpha_pulse.fake_exchange.account import FakeAccount
    from alpha_pulse.fake_exchange.venue import Venue

PUBLIC: Final = "public"
KEYED: Final = "keyed"  # the API key alone
SIGNED: Final = "signed"

_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Call:
    """One request on its way into an endpoint. The last three fields are faults that the endpoint itself has to commit."""

    venue: Venue
    params: Mapping[str, Any]
    caller: FakeAccount | None = None
    hide_after_ms: int | None = None  # orders younger than this moment are missing from replies
    partly: bool = False  # cancel-all cancels only half
    twice: bool = False  # an order is taken a second time under its client id

    @property
    def account(self) -> FakeAccount:
        """Who calls; the doors of ``KEYED`` and ``SIGNED`` endpoints see to it that there is someone."""
        if self.caller is None:
            raise Refusal(-2014)
        return self.caller

    def hidden(self, created_ms: int) -> bool:
        """Whether an order of this age is to be kept quiet about."""
        return self.hide_after_ms is not None and created_ms > self.hide_after_ms

    def number(self, name: str, default: int) -> int:
        """An integer parameter."""
        value = self.params.get(name)
        if value in {None, ""}:
            return default
        try:
            return int(str(value))
        except ValueError:
            raise Refusal(-1100, f"Illegal characters found in parameter '{name}'.") from None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A handler with what its use costs."""

    handle: Callable[[Call], Any]
    door: str = SIGNED
    weight: int = 1
    orders: int = 0  # that it places, for the order limit


Routes = dict[str, Endpoint]
"""By "METHOD /path"."""


@dataclass(slots=True)
class Table:
    """Collects endpoints: ``@table.add("GET /fapi/v1/ping", door=PUBLIC)``."""

    routes: Routes = field(default_factory=dict)

    def add(
        self, *names: str, door: str = SIGNED, weight: int = 1, orders: int = 0
    ) -> Callable[[Callable[[Call], Any]], Callable[[Call], Any]]:
        """Register a handler under one or several names."""

        def register(handle: Callable[[Call], Any]) -> Callable[[Call], Any]:
            for name in names:
                self.routes[name] = Endpoint(handle, door, weight, orders)
            return handle

        return register


def window(rows: list[_Row], start: int, end: int, limit: int, *, at: Callable[[_Row], int]) -> list[_Row]:
    """Rows of a time window, as Binance pages them: with a start the oldest ``limit``, without one the latest."""
    if start:
        return [row for row in rows if start <= at(row) <= end][:limit]
    return [row for row in rows if at(row) <= end][-limit:]
