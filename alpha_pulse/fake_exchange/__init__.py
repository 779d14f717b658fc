"""A Binance-like exchange on loopback, for rehearsals, drills and tests: USD-M futures and spot, REST and websockets, faults on demand.

::

    async with FakeExchange.running(FakeConfig()) as fake:
        fake.venue.set_price("BTCUSDT", 95_000)
        exchange = make_exchange("binanceusdm", rest_url=fake.rest_url, ws_url=fake.ws_url)
"""

from alpha_pulse.fake_exchange.config import AccountConfig, FakeConfig, LimitsConfig, SymbolConfig, many_symbols
from alpha_pulse.fake_exchange.server import FakeExchange
from alpha_pulse.fake_exchange.venue import Venue

__all__ = ["AccountConfig", "FakeConfig", "FakeExchange", "LimitsConfig", "SymbolConfig", "Venue", "many_symbols"]
