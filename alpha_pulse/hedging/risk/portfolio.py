"""Several pairs under one roof: what each knows of the others, and what their risk together asks of each. Pure, in one process."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from alpha_pulse.hedging.common.portfolio import PairExposure, PortfolioView
from alpha_pulse.hedging.common.types import Assessment, Snapshot
from alpha_pulse.hedging.risk.covariance import EwmaCovariance, correlation, portfolio_var, with_volatilities
from alpha_pulse.hedging.risk.var import var_floor

_HOUR_MS: Final = 3_600_000
_HALF_LIFE_HOURS: Final = 240.0  # correlations of ten days
_DEEPEST: Final = 0.999  # drawdown that is remembered at most
_LEAST_HOURS: Final = 48  # before that all pairs may lose at once: the cautious guess


def portfolio_value_at_risk(view: PortfolioView, z: float, horizon_days: float) -> float:
    """VaR of all inventories together, unhedged, quote units: z·√horizon·√(v'Σv) with Σ from each pair's σ and their correlation.

    While correlations are not known, everything may lose at once: the sum of the pairs' own.
    """
    if not view.correlation:
        return z * math.sqrt(horizon_days) * math.fsum(pair.volatility_day * abs(pair.inventory_value) for pair in view.pairs)
    values = [pair.inventory_value for pair in view.pairs]
    covariance = with_volatilities(view.correlation, [pair.volatility_day for pair in view.pairs])
    return portfolio_var(values, covariance, horizon_days, z)


def portfolio_floor(view: PortfolioView, z: float, horizon_days: float, limit_pct: float) -> float:
    """The hedge ratio, the same for every pair, at which the unhedged rest of all of them meets the limit: clip(1 − limit/VaR, 0, 1).

    ``limit_pct``: of the inventories' value, their sizes added up. A hedge that is on does not lower it: it follows from what is held.
    """
    return var_floor(portfolio_value_at_risk(view, z, horizon_days), limit_pct * sum(abs(pair.inventory_value) for pair in view.pairs))


def size_share(view: PortfolioView, symbol: str) -> float:
    """What part of all that is hedged this pair is; an equal part where nothing is."""
    total = math.fsum(pair.size for pair in view.pairs)
    mine = math.fsum(pair.size for pair in view.pairs if pair.symbol == symbol)
    return mine / total if total > 0.0 else 1.0 / len(view.pairs)


class PortfolioBook:
    """What the pairs of one process told last. Bots report after each decision and read before the next.

    Correlations come from hourly returns, for hours in which every pair was seen; until there are enough of them all pairs
    may lose at once.
    """

    def __init__(self, symbols: Sequence[str]) -> None:
        self._symbols = tuple(symbols)
        self._pairs: dict[str, PairExposure] = {}
        self._held: dict[str, tuple[Decimal, Decimal]] = {}  # by symbol: inventory and deposits at the last report
        self._growth = 1.0  # of all pairs' worth together since the first report of the last of them, flows left out
        self._high = 1.0
        self._forgiven = False
        self._state = EwmaCovariance.start(len(self._symbols), half_life_days=_HALF_LIFE_HOURS)
        self._hours = 0
        self._correlation: tuple[tuple[float, ...], ...] = ()
        self._prices: dict[str, tuple[int, float]] = {}  # by symbol: hour, first price seen in it
        self._sampled: tuple[int, tuple[float, ...]] | None = None  # hour and prices of the last common sample

    def report(self, snapshot: Snapshot, assessment: Assessment, neutral_size: float = 0.0) -> None:
        """Take in what one pair is worth after its decision; ``neutral_size``: M of a pair without an inventory, base units."""
        symbol, market = snapshot.instrument.symbol, snapshot.market
        value, mark = float(snapshot.inventory) * market.reference, market.raw.mark.close
        exposure = PairExposure(
            symbol=symbol,
            inventory_value=value,
            perpetual_value=float(snapshot.account.position.quantity) * mark,
            volatility_day=market.volatility_day,
            size=abs(value) or neutral_size * mark,
            nav=assessment.nav,
        )
        if symbol not in self._pairs and not self._forgiven:  # go on from what the last run saw
            self._high = max(self._high, 1.0 / (1.0 - min(_DEEPEST, max(0.0, snapshot.state.risk.portfolio_drawdown))))
        self._grow(exposure, self._flow(snapshot))
        self._pairs[symbol] = exposure
        hour = market.now_ms // _HOUR_MS
        if self._prices.get(symbol, (-1, 0.0))[0] < hour:
            self._prices[symbol] = hour, market.raw.mark.close
            self._sample(hour)

    def view(self) -> PortfolioView | None:
        """All pairs as they last reported, or None until each has, and where there is only one."""
        if len(self._symbols) < 2 or len(self._pairs) < len(self._symbols):  # noqa: PLR2004 - one pair is no portfolio
            return None
        drawdown = max(0.0, 1.0 - self._growth / self._high) if self._high > 0.0 else 0.0
        return PortfolioView(tuple(self._pairs[symbol] for symbol in self._symbols), self._correlation, drawdown)

    def forgive(self) -> None:
        """A person has seen the drawdown and resumed: it counts from here."""
        self._high = self._growth
        self._forgiven = True  # also what pairs that have not reported yet remember

    def _flow(self, snapshot: Snapshot) -> float:
        """Coins and cash that moved since the pair's last report, quote units; coins owed are a debt, and their moves change no NAV."""
        held = snapshot.inventory, snapshot.account.deposits
        coins, deposits = self._held.get(snapshot.instrument.symbol, held)
        self._held[snapshot.instrument.symbol] = held
        moved = float(held[0] - coins) * snapshot.market.reference if held[0] >= 0 and coins >= 0 else 0.0
        return moved + float(held[1] - deposits)

    def _grow(self, exposure: PairExposure, flow: float) -> None:
        """Chain the growth of all pairs' worth over this report, as a fund's unit price is."""
        if len(self._pairs) < len(self._symbols):
            return
        before = math.fsum(pair.nav for pair in self._pairs.values())
        after = before - self._pairs[exposure.symbol].nav + exposure.nav
        if before + flow > 0.0:
            self._growth *= max(after, 0.0) / (before + flow)  # nothing left is a drawdown of everything
            self._high = max(self._high, self._growth)

    def _sample(self, hour: int) -> None:
        """When every pair has a price in this hour: one hour's returns for the covariance."""
        if len(self._prices) < len(self._symbols) or any(self._prices[symbol][0] != hour for symbol in self._symbols):
            return
        prices = tuple(self._prices[symbol][1] for symbol in self._symbols)
        before, self._sampled = self._sampled, (hour, prices)
        if before is None or before[0] != hour - 1:
            return
        self._state = self._state.update([math.log(now / then) for now, then in zip(prices, before[1], strict=True)])
        self._hours += 1
        if self._hours >= _LEAST_HOURS:
            self._correlation = tuple(tuple(row) for row in correlation(self._state.matrix()).tolist())
