"""What a run came to: every figure, computed once, for the console, the report and ``result.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

from alpha_pulse.backtest.activity import Activity, activity
from alpha_pulse.backtest.assumptions import assumptions, seed, taker_fee
from alpha_pulse.backtest.attribution import Attribution, attribute
from alpha_pulse.backtest.bars import Bars
from alpha_pulse.backtest.fill_rules import RuleFigures
from alpha_pulse.backtest.markouts import Markout, markouts
from alpha_pulse.backtest.metrics import (
    Delta,
    Effectiveness,
    Equity,
    Figure,
    Paths,
    Trading,
    delta,
    effectiveness,
    equity,
    equity_paths,
    trading,
)
from alpha_pulse.backtest.monte_carlo_result import MonteCarlo
from alpha_pulse.backtest.protection import ProtectionFigures, protection_figures
from alpha_pulse.backtest.record import RunRecord, TargetMove
from alpha_pulse.backtest.returns import Drawdown, PathFigures, path_figures
from alpha_pulse.backtest.static_benchmark import StaticBenchmark
from alpha_pulse.domain.instrument import ZERO

SCHEMA = 1
DECIMALS = 8


@dataclass(frozen=True, slots=True)
class RunResult:
    """Figures of one run. Money in quote units, quantities in base units, ratios and rates as fractions, times in ms UTC."""

    pair: str
    base: str
    quote: str
    simulated: bool
    source: str
    seed: int | None  # of the simulated market; None on recorded data
    first_ms: int  # the first bar's close
    last_ms: int
    days: float
    bars: int
    inventory: float
    initial_wallet: float
    spot_first: float
    spot_last: float
    mark_last: float
    perp_position: float
    target_position: float | None
    floor: float | None
    cash: float  # the wallet: deposits + realised PnL + funding − fees
    unrealized: float
    fees: float  # paid > 0
    funding: float  # received > 0
    attribution: Attribution
    effectiveness: Effectiveness
    hedged: Equity
    unhedged: Equity
    static: Equity
    delta: Delta
    trading: Trading
    protection: ProtectionFigures
    markouts: tuple[Markout, ...]
    account: Mapping[str, PathFigures]  # by path: hedged, unhedged, static
    activity: Activity
    assumptions: Mapping[str, str]
    notes: tuple[tuple[int, str], ...]
    settings: Mapping[str, Any]
    moves: tuple[TargetMove, ...] = ()
    fill_rules: Mapping[str, RuleFigures] = field(default_factory=dict)  # the same run under each rule, where that was run
    benchmark: StaticBenchmark | None = None  # where that was tested
    monte_carlo: MonteCarlo | None = None  # the run on resampled markets, where that was asked for

    @property
    def hedge_ratio(self) -> float | None:
        """−F/S at the end; None without inventory."""
        return None if self.inventory == 0 else -self.perp_position / self.inventory + 0.0

    @property
    def target_ratio(self) -> float | None:
        """−T/S at the end; None without inventory or target."""
        return None if self.inventory == 0 or self.target_position is None else -self.target_position / self.inventory + 0.0

    def to_json(self) -> str:
        """The text of ``result.json``.

        Every figure is a plain JSON number: attribution in whole cents that add up exactly, everything else rounded to 8 decimals.
        A figure that this run cannot carry is null, and ``unavailable`` says why. Keys keep their order, so equal results are equal bytes.
        """
        unavailable: dict[str, str] = {}
        body = _plain(self._body(), "", unavailable)
        body["unavailable"] = unavailable
        return json.dumps(body, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def _body(self) -> dict[str, Any]:
        e, t, d = self.effectiveness, self.trading, self.delta
        return {
            "schema": SCHEMA,
            "pair": self.pair,
            "base": self.base,
            "quote": self.quote,
            "simulated": self.simulated,
            "source": self.source,
            "seed": self.seed,
            "first_time": iso_utc(self.first_ms),
            "last_time": iso_utc(self.last_ms),
            "days": self.days,
            "bars": self.bars,
            "inventory": self.inventory,
            "initial_wallet": self.initial_wallet,
            "spot_first": self.spot_first,
            "spot_last": self.spot_last,
            "mark_last": self.mark_last,
            "perp_position": self.perp_position,
            "target_position": self.target_position,
            "hedge_ratio": self.hedge_ratio,
            "target_ratio": self.target_ratio,
            "floor": self.floor,
            "cash": self.cash,
            "unrealized_pnl": self.unrealized,
            "fees": self.fees,
            "funding": self.funding,
            "funding_annualised": t.funding_annualised,
            "hedge_pnl": self.attribution.hedge_pnl,
            "cost_per_coin_month": t.cost_per_coin_month,
            "cost_per_month_fraction": t.cost_per_month,
            "hedge_effectiveness": {
                "1h": e.hour,
                "1d": e.day,
                "ceiling": e.ceiling,
                "static_1h": e.static_hour,
                "static_1d": e.static_day,
                "average_ratio": e.average_ratio,
            },
            "attribution": {name: float(value) for name, value in self.attribution.cents().items()},
            "equity": {name: _equity(path) for name, path in self.paths().items()},
            "residual_delta": {"end": d.end, "average": d.average, "average_absolute": d.average_absolute},
            "tracking_error_rms": d.tracking_rms,
            "trading": {
                "fills": t.maker_fills + t.taker_fills,
                "buys": t.buys,
                "sells": t.sells,
                "maker_fills": t.maker_fills,
                "taker_fills": t.taker_fills,
                "stop_fills": t.stop_fills,
                "maker_share": t.maker_share,
                "turnover": t.turnover,
                "turnover_base": t.turnover_base,
            },
            "protection": _protection(self.protection),
            "markouts_bps": {
                f"{m.bars} bars": {"fills": m.fills, "all": m.every, "maker": m.maker, "taker": m.taker} for m in self.markouts
            },
            "account": dict(self.account),
            "activity": self.activity,
            "fill_rules": dict(self.fill_rules),
            "static_benchmark": {} if self.benchmark is None else self.benchmark.to_json(),
            "monte_carlo": {} if self.monte_carlo is None else self.monte_carlo.to_json(),
            "assumptions": dict(self.assumptions),
            "notes": [{"time": iso_utc(ts), "text": text} for ts, text in self.notes],
            "settings": self.settings,
        }

    def paths(self) -> dict[str, Equity]:
        """The three equity paths in figures, by name."""
        return {"hedged": self.hedged, "unhedged": self.unhedged, "static": self.static}


def _protection(found: ProtectionFigures) -> dict[str, Any]:
    return {
        "downside_semivariance": {"1h": found.downside_hour, "1d": found.downside_day},
        "worst_decile_30d": found.worst_decile,
        "capture": found.capture,
    }


def _equity(path: Equity) -> dict[str, Any]:
    return {
        "first": path.first,
        "last": path.last,
        "pnl": path.pnl,
        "max_drawdown": path.max_drawdown,
        "max_drawdown_quote": path.max_drawdown_quote,
    }


def summarise(record: RunRecord, bars: Bars | None = None, paths: Paths | None = None) -> RunResult:
    """Measure a run. ``bars`` and ``paths`` may be given by a caller that has them already.

    Raises:
        ConfigError: the run holds no bar.
        Fatal: the record contradicts itself (see ``attribute``).
    """
    bars = bars or Bars.of(record)
    paths = paths or paths_of(record, bars)
    attribution = attribute(record, bars)
    inventory = float(record.inventory)
    return RunResult(
        pair=record.pair.name,
        base=record.pair.base,
        quote=record.pair.quote,
        simulated=record.simulated,
        source=record.source,
        seed=seed(record),
        first_ms=int(bars.ts_ms[0]),
        last_ms=int(bars.ts_ms[-1]),
        days=bars.days,
        bars=len(bars.ts_ms),
        inventory=inventory,
        initial_wallet=float(record.initial_wallet),
        spot_first=float(bars.spot[0]),
        spot_last=float(bars.spot[-1]),
        mark_last=float(bars.mark[-1]),
        perp_position=float(sum((f.side.sign * f.quantity for f in record.fills), ZERO)),
        target_position=_finite(bars.target[-1]),
        floor=_finite(bars.floor[-1]),
        cash=float(bars.wallet[-1]),
        unrealized=float(bars.unrealized[-1]),
        fees=attribution.fees,
        funding=attribution.funding,
        attribution=attribution,
        effectiveness=effectiveness(bars, paths, inventory),
        hedged=equity(paths.hedged, paths.start),
        unhedged=equity(paths.unhedged, paths.start),
        static=equity(paths.static, paths.start),
        delta=delta(bars, inventory),
        trading=trading(record, bars, attribution),
        protection=protection_figures(bars, paths, inventory),
        markouts=markouts(record, bars),
        account={
            name: path_figures(path, paths.start, bars)
            for name, path in (("hedged", paths.hedged), ("unhedged", paths.unhedged), ("static", paths.static))
        },
        activity=activity(record, bars, paths, attribution),
        assumptions=assumptions(record),
        notes=tuple(record.notes),
        settings=record.settings,
        moves=tuple(record.moves),
    )


def paths_of(record: RunRecord, bars: Bars) -> Paths:
    """The run's three equity paths, with the taker fee that it ran on."""
    return equity_paths(record, bars, taker_fee(record))


def iso_utc(ts_ms: int) -> str:
    """Milliseconds since the epoch as ISO 8601, UTC, to the millisecond: ``2025-05-20T00:01:00.000Z``."""
    return datetime.fromtimestamp(ts_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{ts_ms % 1000:03d}Z"


def _finite(value: float) -> float | None:
    number = float(value)
    return number if abs(number) < float("inf") else None  # NaN compares false: it is None too


def _plain(value: Any, path: str, unavailable: dict[str, str]) -> Any:
    """JSON values: figures unwrapped (their reasons collected), floats rounded, negative zero made zero, what is not finite made null."""
    if isinstance(value, Drawdown):
        ended = None if value.recovered_ms is None else iso_utc(value.recovered_ms)
        value = {
            "peak": iso_utc(value.peak_ms),
            "trough": iso_utc(value.trough_ms),
            "recovered": ended,
            "depth": value.depth,
            "days": value.days,
        }
    if isinstance(value, Figure):
        if value.value is None:
            unavailable[path] = value.reason
        value = value.value
    elif is_dataclass(value) and not isinstance(value, type):
        value = {part.name: getattr(value, part.name) for part in fields(value)}
    if isinstance(value, float):
        finite = _finite(value)
        return None if finite is None else round(finite, DECIMALS) + 0.0
    if isinstance(value, Mapping):
        return {str(k): _plain(v, f"{path}.{k}" if path else str(k), unavailable) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v, path, unavailable) for v in value]
    return value
