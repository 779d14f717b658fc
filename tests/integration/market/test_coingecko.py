"""CoinGecko's language, spoken by a server on loopback."""

import asyncio
import json
import threading
from contextlib import asynccontextmanager

import numpy as np
import pytest
from aiohttp import web

from alpha_pulse.errors import ConfigError, DataError, Transient
from alpha_pulse.market.coingecko import RateLimited, fetch_crypto_data

DAY = 86_400_000
START = 1_704_067_200_000  # 2024-01-01 00:00 UTC


def prices(count=5):
    return [[START + n * DAY, 40_000.0 + n] for n in range(count)]


class Gecko:
    """Answers one coin; what it says can be replaced. ``base_url`` is where it is."""

    def __init__(self):
        self.status, self.body, self.headers, self.delay_s = 200, json.dumps({"prices": prices()}), {}, 0.0
        self.asked = []
        self.base_url = ""

    @asynccontextmanager
    async def running(self):
        app = web.Application()
        app.router.add_get("/{tail:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/v3"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _answer(self, request):
        self.asked.append((request.path, dict(request.query), dict(request.headers)))
        await asyncio.sleep(self.delay_s)
        return web.Response(status=self.status, body=self.body, headers=self.headers, content_type="application/json")


@pytest.fixture
async def gecko():
    async with Gecko().running() as running:
        yield running


async def fetch(gecko, coin="bitcoin", days=365, **options):
    """As a coroutine should: in a thread."""
    return await asyncio.to_thread(fetch_crypto_data, coin, days, **({"base_url": gecko.base_url} | options))


async def test_prices_and_timestamps_come_as_arrays(gecko):
    found, timestamps = await fetch(gecko)
    assert found.tolist() == [40_000.0, 40_001.0, 40_002.0, 40_003.0, 40_004.0]
    assert timestamps.tolist() == [START + n * DAY for n in range(5)]
    assert (found.dtype, timestamps.dtype) == (np.float64, np.int64)
    ((path, query, headers),) = gecko.asked
    assert path == "/api/v3/coins/bitcoin/market_chart"
    assert query == {"vs_currency": "usd", "days": "365", "interval": "daily"}
    assert not [name for name in headers if name.startswith("x-cg")]


async def test_the_running_day_is_left_out(gecko):
    gecko.body = json.dumps({"prices": [*prices(), [START + 4 * DAY + 7_200_000, 41_000.0]]})
    assert (await fetch(gecko)).timestamps[-1] == START + 4 * DAY


async def test_a_trailing_slash_another_currency_and_a_key_are_passed_on(gecko):
    await fetch(gecko, " Ethereum ", 30, base_url=gecko.base_url + "/", vs_currency="EUR", api_key="k")
    ((path, query, headers),) = gecko.asked
    assert (path, query["vs_currency"], query["days"]) == ("/api/v3/coins/ethereum/market_chart", "eur", "30")
    assert headers["X-Cg-Demo-Api-Key"] == "k"


@pytest.mark.parametrize(
    ("header", "wait", "words"),
    [("30", 30.0, "ask again in 30 s"), ("soon", None, "in a minute or two"), (None, None, "or use an API key")],
)
async def test_too_many_requests_say_how_long_to_wait(gecko, header, wait, words):
    gecko.status, gecko.headers = 429, {} if header is None else {"Retry-After": header}
    with pytest.raises(RateLimited, match=words) as caught:
        await fetch(gecko)
    assert caught.value.wait_s == wait
    assert isinstance(caught.value, Transient)


async def test_an_unknown_coin_is_named(gecko):
    gecko.status, gecko.body = 404, '{"error": "coin not found"}'
    with pytest.raises(ConfigError, match=r"coin = 'bitcoyn': CoinGecko knows no such coin: coin not found.*\"bitcoin\" for BTC"):
        await fetch(gecko, "bitcoyn")


@pytest.mark.parametrize(
    ("status", "body", "days", "words"),
    [
        (
            401,
            '{"error": {"status": {"error_code": 10012, "error_message": "exceeds the allowed time range"}}}',
            999,
            "exceeds the allowed.*365 days or fewer",
        ),
        (403, "", 30, r"refuses this \(HTTP 403\).*check api_key"),
        (400, '{"error": "invalid vs_currency"}', 30, "vs_currency = 'usd'.*invalid vs_currency"),
    ],
)
async def test_a_refusal_says_what_coingecko_said_and_what_to_do(gecko, status, body, days, words):
    gecko.status, gecko.body = status, body
    with pytest.raises(ConfigError, match=words):
        await fetch(gecko, days=days)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (500, '{"status": {"error_message": "oops"}}', r"trouble of its own \(HTTP 500\): oops"),
        (503, "<html>", r"trouble of its own \(HTTP 503\)"),
        (200, "<html>down for maintenance</html>", "no JSON: b'<html>down"),
        (200, "", "no JSON"),
        (200, '{"prices": [[1704067200000, 4', "no JSON"),
    ],
)
async def test_what_passes_by_itself_is_transient(gecko, status, body, words):
    gecko.status, gecko.body = status, body
    with pytest.raises(Transient, match=words):
        await fetch(gecko)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({}, "holds no list of prices"),
        ([], "holds no list of prices"),
        ({"prices": [1, 2]}, "holds no list of prices"),
        ({"prices": []}, "holds no prices"),
        ({"prices": [[START, "many"]]}, "no number"),
        ({"prices": [[START, None], *prices(3)[1:]]}, "row 1: its time or price is missing"),
        ({"prices": [*prices(2), [START + 2 * DAY, 0.0], [START + 3 * DAY, 1.0]]}, "row 3: its price is not above zero"),
        ({"prices": [*prices(3), *prices(3)[1:]]}, "row 4: its time is not after"),
    ],
)
async def test_an_answer_that_cannot_be_is_refused(gecko, answer, words):
    gecko.body = json.dumps(answer)
    with pytest.raises(DataError, match=words):
        await fetch(gecko)


async def test_silence_ends_after_the_time_that_was_given(gecko):
    gecko.delay_s = 5.0
    with pytest.raises(Transient, match=r"did not answer within 0\.05 s"):
        await fetch(gecko, timeout_s=0.05)


async def test_a_closed_door_is_transient(gecko):
    with pytest.raises(Transient, match="no connection to CoinGecko"):
        await fetch(gecko, base_url="http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("",), "coin = ''"),
        (("bit coin",), "is no id of a coin"),
        (("../ping",), "is no id of a coin"),
        (("bitcoin", 0), "is no number of days"),
        (("bitcoin", 10, "file:///etc"), "is no web address"),
        (("bitcoin", 10, "api.coingecko.com"), "is no web address"),
    ],
)
def test_arguments_that_cannot_be_are_refused_before_anything_is_sent(arguments, words):
    coin, days, url = (*arguments, *(None,) * (3 - len(arguments)))
    with pytest.raises(ConfigError, match=words):
        fetch_crypto_data(coin, 10 if days is None else days, base_url=url or "http://127.0.0.1:1")


async def test_it_works_inside_a_running_loop_and_holds_it_up():
    """A notebook's cell runs in a loop. The server needs another one, or nobody would answer."""
    gecko, ready, done = Gecko(), threading.Event(), threading.Event()

    async def serve():
        async with gecko.running():
            ready.set()
            await asyncio.to_thread(done.wait, 10)

    serving = asyncio.create_task(asyncio.to_thread(asyncio.run, serve()))
    assert await asyncio.to_thread(ready.wait, 10)
    assert len(fetch_crypto_data("bitcoin", days=365, base_url=gecko.base_url).prices) == 5
    done.set()
    await serving
