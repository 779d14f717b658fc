"""One run of one part: by the compiled twin where it can, else by the bot itself."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from alpha_pulse.backtest.record import RunRecord
from alpha_pulse.backtest.replay import replay, without_advice
from alpha_pulse.backtest.search.market_data import MarketData, Part, PartFeed
from alpha_pulse.errors import ConfigError
from alpha_pulse.settings import Settings

if TYPE_CHECKING:
    from alpha_pulse.backtest.compiled.market import Market

EngineChoice = Literal["auto", "compiled", "replay"]
ENGINE_CHOICES: Final[tuple[EngineChoice, ...]] = ("auto", "compiled", "replay")
_KEPT: Final = 6  # compiled markets: two parts of three folds, or an anchor's average at a few speeds


@dataclass(frozen=True, slots=True)
class EngineRun:
    """A run, what made it, and in a sentence why the twin did not."""

    record: RunRecord
    engine: Literal["compiled", "replay"]
    note: str = ""


class Engine:
    """Runs settings on parts of one market; what the compiled twin needs of a part is made once and kept."""

    def __init__(self, data: MarketData, choice: EngineChoice = "auto") -> None:
        self._data = data
        self._choice = choice
        self._markets: OrderedDict[tuple[Part, float], Market] = OrderedDict()

    def run(self, settings: Settings, part: Part) -> EngineRun:
        """Run the settings on a part.

        Raises:
            ConfigError: they cannot be run on it, or the compiled twin was asked for and refuses.
        """
        note = ""
        if self._choice != "replay":
            try:
                return EngineRun(self._compiled(settings, part), "compiled")
            except ConfigError as error:
                if self._choice == "compiled":
                    raise
                note = f"Run by the replay, not the compiled twin: {error}"
        return EngineRun(asyncio.run(replay(without_advice(settings), feed=PartFeed(self._data, part))), "replay", note)

    def _compiled(self, settings: Settings, part: Part) -> RunRecord:
        """The one place that knows the compiled twin."""
        try:
            from alpha_pulse.backtest.compiled.record import record_of  # noqa: PLC0415 - an optional part of the software
            from alpha_pulse.backtest.compiled.support import supported  # noqa: PLC0415 - as above
            from alpha_pulse.backtest.compiled.twin import run_twin  # noqa: PLC0415 - as above
        except ImportError as error:
            raise ConfigError(
                "this build has no compiled engine.", field="--engine", value="compiled", fix="use --engine replay"
            ) from error
        supported(settings)
        market = self._market(part, settings.grid.anchor_ema_hours)
        return record_of(settings, market, run_twin(settings, market))

    def _market(self, part: Part, anchor_ema_hours: float) -> Market:
        from alpha_pulse.backtest.compiled.market import market_of  # noqa: PLC0415 - an optional part of the software

        key = part, anchor_ema_hours
        if key not in self._markets:
            data = self._data
            reading: Any = market_of(
                PartFeed(data, part), data.symbol, anchor_ema_hours=anchor_ema_hours, source=data.source, simulated=data.simulated
            )
            self._markets[key] = asyncio.run(reading)
            while len(self._markets) > _KEPT:
                self._markets.popitem(last=False)
        self._markets.move_to_end(key)
        return self._markets[key]
