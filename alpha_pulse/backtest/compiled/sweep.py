"""Many sets of settings over one market: a row of figures for each, on several threads, in memory that does not grow with the sets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice

import numpy as np

from alpha_pulse.backtest.bars import Bars, FloatArray
from alpha_pulse.backtest.compiled.build import compiled
from alpha_pulse.backtest.compiled.market import Market
from alpha_pulse.backtest.compiled.twin import Bench, prepare
from alpha_pulse.backtest.metrics import DAY_MS, MIN_RETURNS, window_rows
from alpha_pulse.backtest.returns import annual_volatility, sharpe, sortino
from alpha_pulse.errors import ConfigError
from alpha_pulse.settings import Settings


@dataclass(frozen=True, slots=True)
class SweepRow:
    """The figures of one set. Money in quote units; rates as in ``backtest.returns``, None where they carry no figure."""

    number: int  # which set, from 0
    error: str  # not empty: it was not run, and why
    start: float = 0.0  # net worth before the first bar: wallet and coins
    end: float = 0.0
    hedge_pnl: float = 0.0  # what the perpetual earned, fees and funding included
    unhedged_end: float = 0.0
    max_drawdown: float = 0.0  # fraction of the peak
    max_drawdown_quote: float = 0.0
    volatility: float | None = None  # per year, of daily returns
    sharpe: float | None = None
    sortino: float | None = None
    fills: int = 0
    maker_fills: int = 0
    turnover: float = 0.0
    fees: float = 0.0
    funding: float = 0.0
    realized: float = 0.0
    position: float = 0.0  # F at the end, base units
    stops_fired: int = 0
    drawdowns_latched: int = 0
    liquidations: int = 0
    recentres: int = 0


def sweep(
    sets: Iterable[Settings], market: Market, *, workers: int = 1, progress: Callable[[int], None] | None = None
) -> Iterator[SweepRow]:
    """Run every set; a row for each as it is done, in no order (``number`` tells which).

    A set that cannot be run gives a row with its error. At most two sets a worker wait at a time, so ``sets`` may be a generator.

    Args:
        sets: what to run.
        market: what to run it on.
        workers: threads; the kernels release Python's lock.
        progress: called with the number of sets done.

    Raises:
        ConfigError: fewer than one worker, or numba is not installed.
    """
    if workers < 1:
        raise ConfigError("must be at least 1.", field="workers", value=workers, fix="give the number of cores")
    compiled()  # once, before any thread asks
    runner = _Runner(market)
    waiting = enumerate(sets)
    done = 0
    with ThreadPoolExecutor(workers) as pool:
        running: set[Future[SweepRow]] = {pool.submit(runner.run, *one) for one in islice(waiting, 2 * workers)}
        while running:
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            running |= {pool.submit(runner.run, *one) for one in islice(waiting, len(finished))}
            for future in finished:
                done += 1
                if progress is not None:
                    progress(done)
                yield future.result()


class _Runner:
    """Runs a set on buffers of the thread's own."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._own = threading.local()
        self._first, self._last = window_rows(_times_of(market), DAY_MS)

    def run(self, number: int, settings: Settings) -> SweepRow:
        """The row of one set."""
        try:
            ready = prepare(settings, self._market)
        except ConfigError as error:
            return SweepRow(number, str(error))
        bench: Bench | None = getattr(self._own, "bench", None)
        if bench is None:
            bench = self._own.bench = Bench(self._market)
        params = ready.params
        s, path = bench.run(ready)
        coins = params.inventory * float(self._market.columns.reference[-1])
        end, start, wallet = float(s.nav), float(s.nav_start), float(s.wallet_start)
        returns = self._returns(path, start)
        enough = len(returns) >= MIN_RETURNS
        return SweepRow(
            number=number,
            error="",
            start=start,
            end=end,
            hedge_pnl=end - coins - wallet,
            unhedged_end=wallet + coins,
            max_drawdown=float(s.max_drawdown),
            max_drawdown_quote=float(s.max_drawdown_quote),
            volatility=annual_volatility(returns) if enough else None,
            sharpe=sharpe(returns) if enough else None,
            sortino=sortino(returns) if enough else None,
            fills=int(s.fills),
            maker_fills=int(s.maker_fills),
            turnover=float(s.turnover),
            fees=float(s.fees),
            funding=float(s.funding),
            realized=float(s.realized),
            position=int(s.lots) * params.lot_num / params.lot_den,
            stops_fired=int(s.stops_fired),
            drawdowns_latched=int(s.drawdowns_latched),
            liquidations=int(s.liquidations),
            recentres=int(s.recentres),
        )

    def _returns(self, path: FloatArray, start: float) -> FloatArray:
        """As ``returns.daily_returns``, with the windows found once for all sets."""
        worth = path[self._last]
        begun = np.where(self._first == 0, start, path[self._first])
        if not len(worth) or min(float(worth.min()), float(begun.min())) <= 0.0:
            return np.zeros(0)
        result: FloatArray = worth / begun - 1
        return result


def _times_of(market: Market) -> Bars:
    """The market's times as ``window_rows`` reads them; no other column is looked at."""
    columns = market.columns
    same = columns.mark
    return Bars(columns.bars["close_ms"].copy(), columns.reference, *[same] * 10)
