"""Ask a language model about a hedge, and see how little its answer can do.

Run it from the root of the repository; nothing leaves this machine::

    python -m examples.llm_analyzer                                                       # a scripted stand-in, well-behaved and not
    python -m examples.llm_analyzer --url http://127.0.0.1:11434/v1 --model llama3.1      # a real local model, e.g. of Ollama
    python -m examples.llm_analyzer --url http://127.0.0.1:8080/v1 --model any --format json_object

Any endpoint that speaks OpenAI's chat dialect will do; if it wants a key, put it into LLM_API_KEY. An answer is a floor for
the hedge and a comment. The floor counts only upwards and by at most ``max_tilt``; whatever else the answer asks for is refused and kept
on record; and where nothing usable comes back, the plain analysis of basic_analyzer takes its place and no floor moves. The bot
asks the same way with ``llm: {enabled: true, model: …}`` in its settings, off the tick.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from aiohttp import web

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.advice import Advice, HedgeView, RiskFigures, bounded_floor
from alpha_pulse.hedging.risk.analyzers.config import LlmSettings
from alpha_pulse.hedging.risk.analyzers.llm import LLMHedgeAnalyzer
from alpha_pulse.hedging.risk.analyzers.llm_client import Backoff
from alpha_pulse.runtime.clock import SimulatedClock
from alpha_pulse.runtime.config import LoggingSettings
from alpha_pulse.runtime.logging import configure_logging
from alpha_pulse.settings import Settings

FLOOR = 0.30  # in force without advice, fraction of the inventory
VIEW = HedgeView(
    symbol="BTCUSDT",
    inventory=10.0,
    perpetual=-4.0,
    price=50_000.0,
    wallet=400_000.0,
    entry_price=50_000.0,
    base="BTC",
    quote="USDT",
    figures=RiskFigures(ratio=0.4, floor=FLOOR, volatility_day=0.045, funding_annual=0.09, drawdown=0.06),
)
KEYS = {"symbol": "BTCUSDT", "confidence": 0.7}
SCRIPT: tuple[tuple[str, str, int], ...] = (  # what the stand-in plays, its answer, its HTTP status
    ("A modest answer", json.dumps(KEYS | {"floor": 0.35, "commentary": "6 BTC unhedged at 4.5 % a day: a little more."}), 200),
    ("One that wants less", json.dumps(KEYS | {"floor": 0.05, "commentary": "Prices will rise."}), 200),
    ("A greedy one", json.dumps(KEYS | {"floor": 1.0, "leverage": 125, "orders": [{"sell": 50}], "commentary": "Hedge it all!"}), 200),
    ("No JSON at all", "As a language model, I would hedge about half.", 200),
    ("Another coin", json.dumps(KEYS | {"symbol": "DOGEUSDT", "floor": 0.4, "commentary": "Much wow."}), 200),
    ("A server that is down", "", 503),
)


@asynccontextmanager
async def scripted_server(script: Iterator[tuple[str, int]]) -> AsyncIterator[str]:
    """A chat endpoint on a free port of 127.0.0.1 that answers by its script; gives its URL. The last entry repeats."""
    last = ("", 500)

    async def chat(_: web.Request) -> web.Response:
        nonlocal last
        content, status = last = next(script, last)
        if status != 200:  # noqa: PLR2004 - OK
            return web.Response(status=status)
        message = {"role": "assistant", "content": content}
        return web.json_response({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", chat)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


async def ask(analyzer: LLMHedgeAnalyzer, now_ms: int) -> Advice:
    """One question and what came of it. The bot does not wait like this: it looks at ``latest`` on every tick."""
    analyzer.consider(VIEW, now_ms)
    while not (advice := analyzer.drain()):  # noqa: ASYNC110 - advice is meant to be looked at, not waited for
        await asyncio.sleep(0.01)
    return advice[-1]


def show(advice: Advice, settings: LlmSettings) -> None:
    """What was said, and all that it does."""
    floor = bounded_floor(FLOOR, advice, settings.max_tilt)
    outcome = f"no advice: {advice.reason}" if advice.reason else f"asks for a floor of {advice.floor:.0%}"
    print(f"  {outcome}; source {advice.source}, {advice.calls} request(s)")
    print(f"  the floor goes from {FLOOR:.0%} to {floor:.0%} (at most {settings.max_tilt:.0%} up)")
    for refused in advice.refused:
        print(f"  refused: {refused}")
    print(textwrap.fill(advice.commentary, 120, initial_indent="  » ", subsequent_indent="    "))


async def stand_in() -> None:
    """The scripted answers, one after the other, each a quarter of an hour after the last in simulated time."""
    clock = SimulatedClock()
    async with scripted_server((content, status) for _, content, status in SCRIPT) as url:
        settings = LlmSettings(enabled=True, base_url=url, model="stand-in", retries=1, max_tilt=0.1)
        analyzer = LLMHedgeAnalyzer(settings, clock, backoff=Backoff(initial_s=0.05, longest_s=0.1, jitter_s=0.0))
        for name, _, _ in SCRIPT:
            clock.advance_to(clock.now_ms() + round(settings.refresh_s * 1000))
            print(f"\n{name}:")
            show(await ask(analyzer, clock.now_ms()), settings)
        held = analyzer.latest(clock.now_ms())
        if held is not None:
            age, floor = (clock.now_ms() - held.asked_ms) / 60_000, bounded_floor(FLOOR, held, settings.max_tilt)
            print(f"\nIn force: the answer of {age:.0f} min ago, a floor of {floor:.0%}.", end=" ")
            print(f"Accepted advice lasts {settings.expiry_s / 60:.0f} min, whatever fails after it.")
        await analyzer.close()


async def real(url: str, model: str, response_format: str) -> None:
    """One question to an endpoint of yours."""
    given = {"enabled": True, "base_url": url, "model": model, "response_format": response_format, "timeout_s": 120, "retries": 0}
    settings = Settings.read({"llm": given}).llm  # as a configuration file has it, checked like one
    analyzer = LLMHedgeAnalyzer(settings, SimulatedClock(), api_key=os.environ.get(settings.key_variable, ""))
    advice = await ask(analyzer, 0)
    print(f"{model} at {url}:")
    show(advice, settings)
    for what, text in (("question", advice.prompt), ("answer", advice.answer)):  # both are stored with the decision
        print(f"\nThe {what} was:\n{textwrap.indent(text or 'nothing', '  | ')}")
    await analyzer.close()


def main() -> None:
    """Read the command line and ask."""
    parser = argparse.ArgumentParser(description="Ask a language model about a hedge.")
    parser.add_argument("--url", help="an OpenAI-compatible endpoint; without it a scripted stand-in answers")
    parser.add_argument("--model", default="", help="the model's name at that endpoint")
    parser.add_argument("--format", default="json_schema", choices=("json_schema", "json_object", "text"), help="how JSON is asked for")
    given = parser.parse_args()
    print(f"10 BTC, 4 of them hedged, a floor of {FLOOR:.0%} in force. What does a language model think?")
    asyncio.run(stand_in() if given.url is None else real(given.url, given.model, given.format))


if __name__ == "__main__":
    configure_logging(LoggingSettings(level="ERROR", file=None))
    try:
        main()
    except ConfigError as error:  # field, value, fix
        print(error, file=sys.stderr)
        sys.exit(2)
