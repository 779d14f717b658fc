"""The command ``fake-exchange``: an exchange on this machine, for rehearsals."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alpha_pulse.errors import ConfigError

if TYPE_CHECKING:
    from alpha_pulse.fake_exchange import FakeConfig, FakeExchange

PORT = 9443


def fake_exchange(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = PORT,
    config: Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help="YAML: symbols, accounts, limits.")] = None,
    symbol: Annotated[
        list[str] | None, typer.Option("--symbol", metavar="PAIR", help="What it lists, e.g. BTCUSDT; may be repeated.")
    ] = None,
    price: Annotated[
        list[str] | None, typer.Option("--price", metavar="PAIR=PRICE", help="A first price, e.g. BTCUSDT=95000; may be repeated.")
    ] = None,
    walk: Annotated[bool, typer.Option("--walk", help="Prices move, a minute of a simulated market each second.")] = False,
) -> None:
    """Run a Binance-like exchange on this machine, to rehearse against. No money is involved."""
    settings = _configured(config, symbol or [], price or [])

    import asyncio  # noqa: PLC0415 - slow to import; --help does without

    asyncio.run(_serve(settings, port, walking=walk))


def _configured(path: Path | None, symbols: list[str], prices: list[str]) -> FakeConfig:
    from alpha_pulse.domain.catalog import hedge_pair  # noqa: PLC0415 - as above
    from alpha_pulse.fake_exchange import FakeConfig, SymbolConfig  # noqa: PLC0415 - as above

    loaded = FakeConfig() if path is None else FakeConfig.load(path)
    listed = {symbol.name: symbol for symbol in loaded.symbols}
    if symbols:
        names = [hedge_pair(name).name for name in symbols]
        listed = {name: listed.get(name, SymbolConfig(name=name)) for name in names}
    for given in prices:
        name, _, text = given.partition("=")
        pair = hedge_pair(name).name
        if pair not in listed:
            raise ConfigError("is not listed.", field="--price", value=given, fix=f"one of {', '.join(listed)}")
        listed[pair] = listed[pair].model_copy(update={"price": _price(given, text)})
    return loaded.model_copy(update={"symbols": tuple(listed.values())})


def _price(given: str, text: str) -> Decimal:
    try:
        price = Decimal(text)
    except InvalidOperation:
        price = Decimal(0)
    if not price.is_finite() or price <= 0:
        raise ConfigError("is no price.", field="--price", value=given, fix="write --price BTCUSDT=95000")
    return price


async def _serve(config: FakeConfig, port: int, *, walking: bool) -> None:
    import asyncio  # noqa: PLC0415 - as above

    from alpha_pulse.fake_exchange import FakeExchange  # noqa: PLC0415 - as above
    from alpha_pulse.fake_exchange.walk import walk  # noqa: PLC0415 - as above

    async with FakeExchange.running(config, port=port) as fake:
        for line in _introduction(fake):
            typer.echo(line)
        if walking:
            await walk(fake.venue)
        else:
            await asyncio.Event().wait()


def _introduction(fake: FakeExchange) -> list[str]:
    account = fake.venue.account()
    prices = ", ".join(f"{market.name} {market.last:f}" for market in fake.venue.markets.values())
    return [
        f"A fake exchange runs on {fake.rest_url} and {fake.ws_url}. Ctrl-C ends it.",
        f"It lists {prices}.",
        "",
        "Use it in a config:",
        "  exchange:",
        "    id: binanceusdm",
        f"    rest_url: {fake.rest_url}",
        f"    ws_url: {fake.ws_url}",
        "and in the environment:",
        f"  EXCHANGE_API_KEY={account.config.key} EXCHANGE_API_SECRET={account.config.secret}",
        "",
        "Move it by hand:",
        f"""  curl {fake.rest_url}/control/price -d '{{"symbol": "{next(iter(fake.venue.markets))}", "last": 1000}}'""",
        *(f"  {address.replace('/control', f'{fake.rest_url}/control')}" for address in fake.control.addresses),
    ]
