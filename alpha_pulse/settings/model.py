"""The settings tree: the sections of every layer, composed."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from pydantic import Field, field_validator

from alpha_pulse.domain.catalog import builtin_instrument, hedge_pair
from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.config import ExchangeSettings, PaperSettings, TicketSettings
from alpha_pulse.execution.inventory_factory import accounts_of
from alpha_pulse.hedging.common.section import slip
from alpha_pulse.hedging.common.tree import Check, Tree
from alpha_pulse.hedging.execution.config import ExecutionSettings, InventorySettings
from alpha_pulse.hedging.grid import preflight
from alpha_pulse.hedging.grid.config import BOT_CHECKS, BotConfig, GridSettings, HedgeSettings
from alpha_pulse.hedging.risk.analyzers.config import LlmSettings
from alpha_pulse.hedging.risk.config import RiskSettings
from alpha_pulse.hedging.risk.pipeline_config import AssessorSettings, PortfolioSettings, SizerSettings
from alpha_pulse.market.config import FeedSettings
from alpha_pulse.runtime.config import LoggingSettings, StoreSettings
from alpha_pulse.runtime.notify.config import NotifySettings

Mode = Literal["paper", "recommendation", "real"]


def _pair_can_be_traded(symbol: str, feed: FeedSettings) -> Iterator[ConfigError]:
    """A pair that cannot be read, or whose trading rules nobody would know, is refused before anything starts."""
    try:
        pair = hedge_pair(symbol)
        if feed.source != "ccxt":
            builtin_instrument(pair)
    except ConfigError as error:
        yield ConfigError(f"{error.problem.rstrip('.')}.", field="symbol", value=symbol, fix=error.fix)


def _recorded_feed_has_its_files(feed: FeedSettings) -> Iterator[ConfigError]:
    """Relative paths are looked up from the working directory."""
    if feed.since is not None and feed.until is not None and feed.until <= feed.since:
        yield ConfigError("ends before it starts.", field="feed.until", value=str(feed.until), fix=f"give a day after {feed.since}")
    if feed.source != "recorded":
        return
    for name in ("spot", "perp", "funding", "mark"):
        file: Path | None = getattr(feed, name)
        key = f"feed.{name}"
        if file is None:
            if name in {"spot", "perp"}:
                fix = f"give {key} [CSV or Parquet file], or feed.source simulated"
                yield ConfigError("a recorded feed needs this file of candles.", field=key, fix=fix)
        elif file.is_dir():
            if not any(file.glob("[!.]*.parquet")):
                fix = "name a file of candles, or a folder of Parquet files as `data download` writes them"
                yield ConfigError("is a folder without Parquet files.", field=key, value=str(file), fix=fix)
        elif not file.is_file():
            siblings = sorted(entry.name for entry in file.parent.iterdir()) if file.parent.is_dir() else []
            close = difflib.get_close_matches(file.name, siblings, n=1)
            fix = f"did you mean {file.parent / close[0]}?" if close else f"check the path; it was looked for from {Path.cwd()}"
            yield ConfigError("no such file.", field=key, value=str(file), fix=fix)


def _neutral_grid_has_a_wallet(mode: Mode, inventory: InventorySettings, paper: PaperSettings) -> Iterator[ConfigError]:
    if mode != "real" and inventory.coins == 0 and paper.quote_balance is None:
        yield ConfigError(
            "an inventory of 0 is worth nothing, so the paper wallet cannot be sized by it.",
            field="paper.quote_balance",
            fix="give paper.quote_balance [quote units]",
        )


def _real_mode_has_an_inventory(mode: Mode, inventory: InventorySettings) -> Iterator[ConfigError]:
    """Nobody's real coins are hedged on an assumption."""
    if mode == "real" and inventory.source == "fixed" and "quantity" not in inventory.model_fields_set:
        yield ConfigError(
            "real mode does not assume an inventory.",
            field="inventory.quantity",
            fix="write inventory: {quantity: …} [coins] in the configuration, or inventory: {source: exchange} to have them read",
        )


def _inventory_accounts_are_told(inventory: InventorySettings, exchange: ExchangeSettings) -> Iterator[ConfigError]:
    """Which account holds the coins, and whose keys read it, must be clear before anything starts."""
    try:
        accounts_of(inventory, exchange)
    except ConfigError as error:
        yield error


class Settings(Tree):
    """Everything that a user can set, with safe defaults.

    ``Settings.read(mapping)`` takes sections and flat keys and raises ``ConfigError`` with everything that is wrong.
    """

    checks: ClassVar[tuple[tuple[tuple[str, ...], Check], ...]] = (
        *BOT_CHECKS,
        (("symbol", "feed"), _pair_can_be_traded),
        (("feed",), _recorded_feed_has_its_files),
        (("mode", "inventory", "paper"), _neutral_grid_has_a_wallet),
        (("mode", "inventory"), _real_mode_has_an_inventory),
        (("inventory", "exchange"), _inventory_accounts_are_told),
    )

    symbol: str = Field("BTCUSDT", description="The hedge pair; BTCUSDT, BTC/USDT and BTC/USDT:USDT name the same one [name]")
    mode: Mode = Field(
        "paper", description="Who places the orders: a simulated venue, a person, or this bot; TRADING_MODE and --mode override [name]"
    )
    pairs: tuple[dict[str, Any], ...] = Field(
        (), description="Several pairs in one process: a list of entries, each a symbol and the sections that differ; empty = symbol [list]"
    )
    feed: FeedSettings = FeedSettings()
    inventory: InventorySettings = InventorySettings()
    hedge: HedgeSettings = HedgeSettings()
    grid: GridSettings = GridSettings()
    risk: RiskSettings = RiskSettings()
    execution: ExecutionSettings = ExecutionSettings()
    sizers: SizerSettings = SizerSettings()
    inventory_risk: AssessorSettings = AssessorSettings()
    portfolio: PortfolioSettings = PortfolioSettings()
    llm: LlmSettings = LlmSettings()
    paper: PaperSettings = PaperSettings()
    tickets: TicketSettings = TicketSettings()
    exchange: ExchangeSettings = ExchangeSettings()
    notify: NotifySettings = NotifySettings()
    store: StoreSettings = StoreSettings()
    logging: LoggingSettings = LoggingSettings()

    @classmethod
    def _cross_problems(cls, parts: Mapping[str, Any]) -> list[ConfigError]:
        """With several pairs the common part need not stand alone: each pair is checked with its own entry over it."""
        return [] if parts.get("pairs") else super()._cross_problems(parts)

    @field_validator("pairs", mode="before")
    @classmethod
    def _pairs_as_entries(cls, value: Any) -> Any:
        if value is None:
            return ()
        if not isinstance(value, list | tuple) or not all(isinstance(entry, Mapping) for entry in value):
            raise slip("must be a list of entries.", "write `- symbol: BTCUSDT` for each pair, and below it the sections that differ")
        return value

    @field_validator("mode", mode="before")
    @classmethod
    def _mode_in_any_case(cls, value: Any) -> Any:
        return value.strip().lower() if isinstance(value, str) else value

    @property
    def bot_config(self) -> BotConfig:
        """What the bot itself decides with."""
        return BotConfig(**{name: getattr(self, name) for name in BotConfig.model_fields})


def check_against_instrument(settings: Settings, instrument: Instrument, price: float) -> None:
    """Refuse what this instrument cannot trade at this price: steps under a tick, orders under the minimum, a cap under one lot.

    Args:
        settings: what is about to run.
        instrument: the trading rules.
        price: of the perpetual, quote units.

    Raises:
        ConfigError: naming field, value and fix of everything that is wrong.
    """
    preflight.check_against_instrument(settings.bot_config, instrument, price, multiplier=hedge_pair(settings.symbol).multiplier)


SCALARS: Final = tuple(name for name in Settings.model_fields if name not in Settings.sections())
"""The plain values at the top level."""
