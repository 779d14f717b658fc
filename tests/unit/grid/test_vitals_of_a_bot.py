"""What a running bot says of itself: the age of its market, by the market's own clock."""

from alpha_pulse.bootstrap import vitals_of
from alpha_pulse.execution.config import PaperSettings
from alpha_pulse.execution.paper_broker import PaperBroker
from alpha_pulse.hedging.grid.bot import GridHedgeBot
from alpha_pulse.hedging.state.locks import Vitals
from alpha_pulse.runtime.loop_lag import LoopLag
from alpha_pulse.testing import FakeClock, FakeFeed, FakeIds, updates_from_prices


async def test_the_stream_grows_old_while_nothing_comes_and_is_unknown_before_the_first_tick():
    clock = FakeClock()
    feed = FakeFeed(updates_from_prices([100_000.0] * 3), clock=clock)
    bot = GridHedgeBot(broker=PaperBroker(PaperSettings(), feed, clock, FakeIds()), config={"inventory": {"quantity": 1}})
    lag = LoopLag()
    lag.lag_s = 0.25
    await bot.start()
    assert vitals_of(bot, lag) == Vitals(0.25, None)
    await bot.step()
    assert vitals_of(bot, lag) == Vitals(0.25, 0.0)
    await clock.sleep(90.0)
    assert vitals_of(bot, lag) == Vitals(0.25, 90.0)
    await bot.step()
    assert vitals_of(bot, lag) == Vitals(0.25, 30.0)  # the update is a minute's bar: that far behind it is still
    await bot.stop()
