"""What an instrument cannot trade, found before anything starts. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import ROUND_CEILING, Decimal

from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.problems import joined, plain
from alpha_pulse.hedging.grid.config import BotConfig, stop_beyond_the_grid


def check_against_instrument(
    config: BotConfig, instrument: Instrument, price: float, *, multiplier: int = 1, found: Decimal | None = None
) -> None:
    """Refuse what this instrument cannot trade at this price: steps under a tick, orders under the minimum, a cap under one lot.

    Args:
        config: what the bot decides with.
        instrument: the trading rules.
        price: of the perpetual, quote units.
        multiplier: coins in one unit of the perpetual's base (``HedgePair.multiplier``).
        found: coins that were read where the settings give no number; None = not read yet, and what needs them is left out.

    Raises:
        ConfigError: naming field, value and fix of everything that is wrong; a ``ConfigErrors`` if there are several.
    """
    coins = config.inventory.coins
    problems = list(_steps(config, instrument, price))
    if coins is None and found is not None:
        problems += _inventory(config, found)
    problems += _sizes(config, instrument, price, multiplier, found if coins is None else coins)
    if problems:
        raise joined(problems)


def _steps(config: BotConfig, instrument: Instrument, price: float) -> Iterator[ConfigError]:
    """The innermost step must span a tick, or neighbouring nodes share a price."""
    spacing = config.grid.grid_spacing_pct
    if float(spacing) * price < instrument.tick:
        least = _up(instrument.tick / price)
        yield ConfigError(
            f"a step is {float(spacing) * price:.3g} {instrument.quote} at {price:g}, less than one tick of {instrument.tick_size}.",
            field="grid.grid_spacing_pct",
            value=str(spacing),
            fix=f"at least {plain(least)}",
        )


def _inventory(config: BotConfig, coins: Decimal) -> Iterator[ConfigError]:
    """What is otherwise looked at as soon as the settings are read. No coins is no wish for a market-neutral grid."""
    if coins == 0:
        yield ConfigError(
            "no coins were found, so there is nothing to hedge.",
            field="inventory.source",
            value=config.inventory.source,
            fix="look whether they lie in that account's spot wallet; for a market-neutral grid give source fixed and quantity 0",
        )
    yield from stop_beyond_the_grid(config.hedge, config.grid, config.risk, coins)


def _sizes(config: BotConfig, instrument: Instrument, price: float, multiplier: int, coins: Decimal | None) -> Iterator[ConfigError]:
    least = instrument.min_lots(price) * instrument.lot
    rule = (
        f"the least order of {instrument.symbol} at {price:g} is {least:g} {instrument.base}"
        f" (lot {instrument.lot_size}, minimum notional {instrument.min_notional} {instrument.quote})"
    )
    cap = config.risk.max_position_size
    if cap is not None and float(cap) < least:
        yield ConfigError(f"{rule}.", field="risk.max_position_size", value=str(cap), fix=f"at least {least:g}, or null")
    if coins is None:
        return
    size = float(abs(coins)) / multiplier or float(cap or 0)
    if size < least:
        if coins:
            fix = f"at least {least * multiplier:g} coins, or a coin with a smaller minimum"
            yield ConfigError(f"{rule}.", field="inventory.quantity", value=str(coins), fix=fix)
        return
    for name in ("amplitude", "amplitude_adverse"):
        amplitude: float = getattr(config.hedge, name)
        unwinds = name == "amplitude" or config.hedge.min_ratio is not None
        per_node = amplitude * size / config.grid.num_levels
        if amplitude == 0 or not unwinds or per_node >= least * (1 - 1e-9):
            continue
        fits = math.floor(amplitude * size / least + 1e-9)
        needed = _up(least * config.grid.num_levels / size)
        fixes = [f"grid.num_levels of at most {fits}"] if fits else []
        fixes += [f"hedge.{name} of at least {plain(needed)}"] if needed <= 1 else []
        fixes += [f"hedge.{name} 0"]
        yield ConfigError(
            f"a node trades {per_node:g} {instrument.base}, and {rule}.", field=f"hedge.{name}", value=amplitude, fix=", or ".join(fixes)
        )


def _up(value: float) -> Decimal:
    """Rounded up to two significant digits."""
    exact = Decimal(repr(value))
    return exact.quantize(Decimal(1).scaleb(exact.adjusted() - 1), ROUND_CEILING)
