"""Hedge one bitcoin over a day of a simulated market, with nothing but the Python API.

Run it from the root of the repository::

    TRADING_MODE=paper python -m examples.demo_grid_hedge_integration           # orders fill on paper
    TRADING_MODE=recommendation python -m examples.demo_grid_hedge_integration  # nothing is sent: tickets for a person

TRADING_MODE=real refuses to start without API keys. The bot's own log goes to standard error.
"""

from __future__ import annotations

import asyncio
import sys

from alpha_pulse.domain.orders import Purpose
from alpha_pulse.errors import ConfigError
from alpha_pulse.execution.broker_factory import create_broker
from alpha_pulse.execution.recommendation_broker import RecommendationBroker
from alpha_pulse.hedging.common.interfaces import Command
from alpha_pulse.hedging.grid.bot import GridHedgeBot
from alpha_pulse.runtime.config import LoggingSettings
from alpha_pulse.runtime.logging import configure_logging

SYMBOL = "BTCUSDT"  # the hedge pair: the coin is held, the perpetual BTC/USDT:USDT is sold against it
HOURS = 24

CONFIG = {  # flat keys or sections, strings or numbers; an unknown key is refused, naming the one that was meant
    "grid_spacing_pct": "0.005",  # nodes at least 0.5 % apart …
    "num_levels": 5,  # … five on each side of the anchor
    "max_position_size": "1",  # the short never passes 1 BTC
    "max_drawdown": "0.2",  # 20 % off the peak: hedge everything, until somebody looks
    "stop_loss_pct": "0.15",  # a stop 15 % below completes the hedge
    "grid": {"volatility_multiple": 0.2},  # and nodes at least 0.2 standard deviations of a day apart
    "hedge": {"ratio": 0.5, "amplitude": 0.25},  # half of the coins, and up to a quarter more into strength
    "inventory": {"quantity": "1"},  # the coins held
}


async def main() -> None:
    """Make a broker and a bot, walk them through the market, and say what came of it."""
    broker = create_broker()  # TRADING_MODE decides which one, here and nowhere else
    bot = await GridHedgeBot.create(broker=broker, symbol=SYMBOL, config=CONFIG)
    try:
        for minute in range(HOURS * 60):
            price = await bot.data_provider.get_current_price(SYMBOL)  # moves a simulated market by one bar
            if isinstance(broker, RecommendationBroker):
                await follow_advice(broker)
            decision = await bot.execute(price)  # one tick: look, decide, check the risk, record, send
            if minute % 240 == 0:
                print(f"{minute // 60:2} h  price {price}  target {decision.target_position:+.3f}  risk {decision.assessment.state}")
        await summarise(bot)
    finally:
        await bot.stop()  # cancels what rests (withdraws open tickets) and releases everything


async def follow_advice(broker: RecommendationBroker) -> None:
    """Stands in for a person: takes what closes a gap at once, lets the rest wait at the venue, and reports every fill."""
    for ticket in broker.tickets():
        urgent = ticket.purpose in {Purpose.FLOOR, Purpose.REBALANCE}
        if ticket.status.live and (urgent or ticket.would_have_filled):  # that is, the market traded through its price
            price = ticket.reference_price if urgent else ticket.price or ticket.trigger
            print(f"      you {ticket.side} {ticket.quantity} at {price}: {ticket.why or 'grid'}")
            await broker.apply(Command(1, "done", f"{ticket.id} {price} {ticket.quantity}"))


async def summarise(bot: GridHedgeBot) -> None:
    """What is held, what it cost, and in recommendation mode what is left to do."""
    broker, inventory, market = bot.broker, bot.config.inventory.stated_coins(), bot.data_provider.current(bot.symbol)
    if market is None:
        return
    account = await broker.fetch_account(bot.symbol)
    short = account.position
    coins = inventory * (market.index - bot.state.inventory_entry_price)
    hedge = account.realized_pnl + short.quantity * (market.mark - short.entry_price) + account.funding_received - account.fees_paid
    print(f"\nInventory {inventory} BTC, short {short.quantity}, hedge ratio {abs(short.quantity / inventory):.1%}")
    print(f"Fees paid {account.fees_paid:.2f}, funding received {account.funding_received:+.2f} USDT")
    print(f"PnL: coins {coins:+.2f}, hedge {hedge:+.2f}, together {coins + hedge:+.2f} USDT")
    if isinstance(broker, RecommendationBroker):
        print("\nOpen tickets:")
        for ticket in (ticket for ticket in broker.tickets() if ticket.status.live):
            at = ticket.price or f"market once mark reaches {ticket.trigger}"
            minutes = (ticket.expires_ms - broker.clock.now_ms()) // 60_000
            print(f"  {ticket.id}  {ticket.side} {ticket.quantity} at {at}; why: {ticket.why or f'node {ticket.node:+} of the grid'};")
            print(f"      expected cost {ticket.cost_bps:.1f} bps; expires in {minutes} min")
        print('Answer here with broker.apply(Command(1, "done", "ID PRICE QUANTITY")), or "accept ID", "reject ID";')
        print("beside a running `alpha-pulse run --mode recommendation` with `alpha-pulse tickets done|accept|reject ID`.")


if __name__ == "__main__":
    configure_logging(LoggingSettings(file=None))
    try:
        asyncio.run(main())
    except ConfigError as error:  # whatever cannot be run is explained in words: field, value, fix
        print(error, file=sys.stderr)
        sys.exit(2)
