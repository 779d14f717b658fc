import math
from decimal import Decimal

import pytest

from alpha_pulse.domain.market import Bar
from alpha_pulse.errors import ConfigError, Transient
from alpha_pulse.hedging.common.interfaces import FeedProblem, MarketDataProvider
from alpha_pulse.hedging.common.types import MarketState
from alpha_pulse.market.provider import PRIOR_VOLATILITY_DAY, FeedDataProvider
from tests.unit.market.market_fakes import MINUTE, START, SYMBOL, FakeClock, MovableClock, ScriptedFeed, update

DAY = 86_400_000


def provider(updates, *, past=(), clock=None, **settings):
    return FeedDataProvider(ScriptedFeed(updates, past), clock or MovableClock(), **settings)


async def drain(made, symbol=SYMBOL):
    states = []
    while (state := await made.advance(symbol)) is not None:
        states.append(state)
    return states


def test_it_is_a_market_data_provider():
    assert isinstance(provider([]), MarketDataProvider)


async def test_the_price_is_the_last_trade_as_a_person_would_write_it():
    made = provider([update(0, 95_000.1), update(1, 95_000.2)])
    assert await made.get_current_price("BTCUSDT") == Decimal("95000.1")
    assert await made.get_current_price("BTC/USDT") == Decimal("95000.2")


async def test_every_spelling_reads_the_same_market():
    made = provider([update(0), update(1, 101.0)])
    await made.advance("BTCUSDT")
    assert made.current("btc/usdt").raw.perp.close == 100.0
    await made.advance("BTC/USDT:USDT")
    assert made.current("BTCUSDT").raw.perp.close == 101.0
    assert made.current("BTCUSDT").symbol == SYMBOL


async def test_an_unknown_symbol_is_a_config_error():
    made = provider([update()])
    with pytest.raises(ConfigError):
        await made.get_current_price("nonsense")
    with pytest.raises(ConfigError):
        await made.get_current_price("ETHUSDT")
    with pytest.raises(ConfigError):
        made.current("ETHUSDT")


async def test_a_bad_price_is_transient_and_the_next_one_is_not():
    made = provider([update(0, perp=Bar(0.0, 0.0, 0.0, 0.0)), update(1)])
    with pytest.raises(Transient, match=r"perpetual's open is 0\.0"):
        await made.get_current_price("BTCUSDT")
    assert await made.get_current_price("BTCUSDT") == Decimal("100.0")


async def test_the_end_of_the_data_is_said_clearly():
    made = provider([])
    assert await made.advance("BTCUSDT") is None
    with pytest.raises(ConfigError, match="ended"):
        await made.get_current_price("BTCUSDT")


async def test_a_problem_of_the_feed_is_passed_on_and_moves_the_clock():
    clock = MovableClock()
    made = provider([FeedProblem(START + 5, "no quotes")], clock=clock)
    assert await made.advance(SYMBOL) == FeedProblem(START + 5, "no quotes")
    assert clock.ms == START + 5


async def test_a_problem_needs_no_movable_clock():
    assert await provider([FeedProblem(START, "down")], clock=FakeClock()).advance(SYMBOL) == FeedProblem(START, "down")


async def test_a_live_update_of_a_stale_market_still_moves_the_indicators():
    made = provider([update(0, 100.0), update(1, 110.0)], clock=FakeClock(START + 3600_000))
    first, second = await drain(made)
    assert first.stale_reason
    assert second.indicators.volatility_day > first.indicators.volatility_day


async def test_a_broken_update_leaves_state_and_indicators_as_they_were():
    made = provider([update(0), update(1, bid=200.0), update(2)])
    first = await made.advance(SYMBOL)
    problem = await made.advance(SYMBOL)
    assert isinstance(problem, FeedProblem)
    assert "crossed" in problem.reason
    assert made.current(SYMBOL) is first


async def test_a_spot_outage_is_no_problem():
    state = await provider([update(spot=None)]).advance(SYMBOL)
    assert isinstance(state, MarketState)
    assert state.spot is None
    assert state.reference == 100.0


async def test_a_movable_clock_follows_the_data():
    clock = MovableClock()
    made = provider([update(0), update(1)], clock=clock)
    await drain(made)
    assert clock.ms == START + 2 * MINUTE
    assert made.current(SYMBOL).stale_reason == ""


async def test_old_live_data_is_stale_when_it_comes_and_when_it_stays():
    clock = FakeClock(START + MINUTE + 181_000)
    made = provider([update()], clock=clock, stale_after_s=180.0)
    assert "more than 180 s old" in (await made.advance(SYMBOL)).stale_reason
    clock.ms = START + MINUTE + 10_000
    assert made.current(SYMBOL).stale_reason == ""
    clock.ms = START + MINUTE + 400_000
    assert "more than 180 s old" in made.current(SYMBOL).stale_reason
    assert made.current(SYMBOL) is made.current(SYMBOL)


async def test_a_feed_that_repeats_itself_is_frozen():
    made = provider([update(0), update(0), update(1)], clock=FakeClock())
    await made.advance(SYMBOL)
    problem = await made.advance(SYMBOL)
    assert isinstance(problem, FeedProblem)
    assert "frozen" in problem.reason
    assert isinstance(await made.advance(SYMBOL), MarketState)


async def test_there_is_no_state_before_the_first_update():
    assert provider([update()]).current(SYMBOL) is None


async def test_after_a_restart_the_last_update_before_it_can_still_be_acted_upon():
    made = provider([update()], past=[update(-2), update(-1), update(-1, ask=math.nan)])
    assert made.current(SYMBOL).raw == update(-1)


async def test_volatility_starts_from_a_usual_day_and_forgets_it():
    made = provider([update(i, 100.0) for i in range(1441)])
    states = await drain(made)
    assert states[0].volatility_day == PRIOR_VOLATILITY_DAY
    assert states[1440].volatility_day == pytest.approx(PRIOR_VOLATILITY_DAY * math.sqrt(0.5))


async def test_volatility_of_alternating_returns_is_found_whatever_the_step():
    for step in (MINUTE, 60 * MINUTE):
        per_bar = 0.02 * math.sqrt(step / DAY)
        prices = [100.0 * math.exp(per_bar * (i % 2)) for i in range(10 * DAY // step)]
        states = await drain(provider([update(i, price, step=step) for i, price in enumerate(prices)]))
        assert states[-1].volatility_day == pytest.approx(0.02, rel=0.01)


async def test_quotes_faster_than_a_minute_are_not_sampled():
    made = provider([update(i, 100.0 + i % 2, step=1000) for i in range(59)], clock=FakeClock())
    states = await drain(made)
    assert {state.indicators for state in states} == {states[0].indicators}
    assert states[-1].indicators is states[0].indicators


async def test_the_anchor_average_follows_with_its_time_constant():
    updates = [update(0, 100.0), *(update(i, 110.0) for i in range(1, 61))]
    states = await drain(provider(updates, anchor_ema_hours=1.0))
    assert states[-1].indicators.anchor_ema == pytest.approx(110.0 - 10.0 * math.exp(-1.0))


async def test_indicators_are_ready_after_a_day():
    states = await drain(provider([update(i) for i in range(1441)]))
    assert not states[1438].indicators.ready
    assert states[1439].indicators.ready


async def test_an_hour_is_read_when_its_last_bar_closes():
    prices = [100.0 + (i // 60) for i in range(60 * 30)]
    states = await drain(provider([update(i, price) for i, price in enumerate(prices)]))
    assert states[60 * 15 - 2].indicators.atr == 0.0
    assert states[60 * 15 - 1].indicators.atr == pytest.approx(2.0)  # from one below the last close to one above the new one


async def test_an_hour_whose_end_is_missing_is_read_when_the_next_begins():
    hours = [update(60 * hour, 100.0 + hour) for hour in range(20)]
    states = await drain(provider(hours))
    assert states[14].indicators.atr == 0.0
    assert states[15].indicators.atr == pytest.approx(2.0)


async def test_a_resumed_run_has_the_indicators_of_an_uninterrupted_one_bit_for_bit():
    updates = [update(i, 100.0 + math.sin(i / 37.0) + 0.01 * (i % 7)) for i in range(4000)]
    whole = await drain(provider(updates))
    clock = MovableClock(0)
    resumed = provider(updates[3000:], past=updates[:3000], clock=clock)
    assert resumed.current(SYMBOL).indicators == whole[2999].indicators
    assert clock.ms == updates[2999].close_ms
    rest = await drain(resumed)
    assert [state.indicators for state in rest] == [state.indicators for state in whole[3000:]]


async def test_an_unsound_update_in_the_history_is_left_out():
    made = provider([update(2)], past=[update(0), update(1, bid=math.nan)], clock=FakeClock())
    assert isinstance(await made.advance(SYMBOL), MarketState)
