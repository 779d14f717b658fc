"""What ``doctor`` looks at: the risk of the plan, the instrument's minimums, the files, and this machine."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from alpha_pulse.backtest.shock_starts import start_of_settings
from alpha_pulse.backtest.shocks import shock_table
from alpha_pulse.cli.examine_account import AccountFound, examine_account
from alpha_pulse.cli.store import database_file
from alpha_pulse.domain.catalog import builtin_instrument, builtin_start_price, hedge_pair
from alpha_pulse.domain.instrument import Instrument
from alpha_pulse.errors import AlphaPulseError, ConfigError
from alpha_pulse.execution.broker_factory import WITH_PASSWORD
from alpha_pulse.execution.feed_factory import create_feed
from alpha_pulse.hedging.common.interfaces import FeedProblem
from alpha_pulse.hedging.common.problems import problems_of
from alpha_pulse.hedging.grid.config import unwinding_nodes
from alpha_pulse.hedging.risk.checkup import TYPICAL_VOLATILITY_DAY, Exposure, Finding, Severity, check_up
from alpha_pulse.hedging.risk.shocks import ShockTable
from alpha_pulse.runtime.clock import SystemClock
from alpha_pulse.runtime.secrets import read_keys
from alpha_pulse.settings import Settings, check_against_instrument

_UNKNOWN_COINS: Final = Finding(
    Severity.WARNING,
    "inventory",
    "the coins are read from an exchange when the bot starts, so the risk of the plan is not examined here",
    "look again with the keys set and without --offline, or add --set inventory.source=fixed --set inventory.quantity=…",
)
_LEAST_SPACE: Final = 500 * 1024**2  # bytes; a live bot writes about 50 MB a month, a rotated log less
_OLDEST_CLOCK_MS: Final = 1_735_689_600_000  # 2025-01-01: this version is younger than that
_NEWEST_CLOCK_MS: Final = 4_102_444_800_000  # 2100-01-01


def examine(
    settings: Settings, *, price: float | None = None, volatility: float | None = None, environ: Mapping[str, str] | None = None
) -> list[Finding]:
    """Everything that would stop these settings from running or make them dangerous; the market's own network is not used.

    Args:
        settings: what would run.
        price: of the perpetual, quote units; None for the feed's first price, or a usual one.
        volatility: σ of daily log returns; None for a typical one.
        environ: where keys are looked for; None for the process's own.
    """
    return list(examination(settings, price=price, volatility=volatility, environ=environ).findings)


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found, and what price shocks would do."""

    findings: tuple[Finding, ...]
    shocks: ShockTable | None  # None: ``no_shocks`` says why
    no_shocks: str = ""


def examination(
    settings: Settings,
    *,
    price: float | None = None,
    volatility: float | None = None,
    environ: Mapping[str, str] | None = None,
    online: bool = False,
) -> Examination:
    """Everything that ``examine`` finds, and the shock table of these settings; arguments as there.

    With ``online`` the account is read where there is one, and examined with the coins, the wallet, the rules and the price found there.
    """
    sigma = TYPICAL_VOLATILITY_DAY if volatility is None else volatility
    environ = os.environ if environ is None else environ
    account = examine_account(settings, environ) if online else AccountFound()
    settings = account.over(settings)
    findings, instrument, at = _market(settings, price, account)
    if instrument is not None:
        findings += _sizes(settings, instrument, at)
        if settings.inventory.coins is not None:
            findings += check_up(exposure_of(settings, instrument, at, sigma), settings.risk)
    if settings.inventory.coins is None and not account.findings:
        findings.append(_UNKNOWN_COINS)
    findings += _mode(settings, environ)
    findings += account.findings
    findings += _store(settings)
    findings += _log(settings)
    findings += _machine()
    shocks, why = (None, "the exchange supplies the trading rules") if instrument is None else _shocks(settings, instrument, at, sigma)
    return Examination(tuple(findings), shocks, why)


def _shocks(settings: Settings, instrument: Instrument, price: float, volatility: float) -> tuple[ShockTable | None, str]:
    if settings.inventory.coins is None:
        return None, "the coins are not known"
    try:
        return shock_table(start_of_settings(settings, instrument, price, volatility, SystemClock().now_ms())), ""
    except ConfigError as error:
        return None, f"the bot would not start: {error}"


# --- the market ---------------------------------------------------------------------------------------------------
def _market(settings: Settings, price: float | None, account: AccountFound) -> tuple[list[Finding], Instrument | None, float]:
    """What there is to say of the market's rules and data, the rules where they are known, and the price to assume."""
    pair = hedge_pair(settings.symbol)
    if account.instrument is not None and (price or account.price):
        return [], account.instrument, price or account.price or 0.0
    try:
        instrument, usual = builtin_instrument(pair), builtin_start_price(pair)
    except ConfigError as error:
        what = f"the exchange supplies the rules of {pair.name} when the bot starts, so sizes and risk are not examined here"
        return [Finding(Severity.WARNING, "instrument", what, error.fix)], None, 0.0
    findings: list[Finding] = []
    if settings.feed.source in {"recorded", "stored"}:
        finding, first = _data(settings, instrument)
        findings.append(finding)
        usual = usual if first is None else first
    elif settings.feed.start_price is not None:
        usual = settings.feed.start_price
    return findings, instrument, usual if price is None else price


def exposure_of(settings: Settings, instrument: Instrument, price: float, volatility: float) -> Exposure:
    """The settings in the numbers that matter for their risk, in base units of the perpetual."""
    hedge, paper = settings.hedge, settings.paper
    inventory = float(settings.inventory.stated_coins()) / hedge_pair(settings.symbol).multiplier
    wallet = abs(inventory) * price if paper.quote_balance is None else float(paper.quote_balance)
    unwound = hedge.amplitude_adverse * unwinding_nodes(hedge, settings.grid) / settings.grid.num_levels
    return Exposure(
        instrument=instrument,
        price=price,
        inventory=inventory,
        wallet=wallet,
        ratio=hedge.ratio,
        lowest_ratio=max(0.0 if hedge.min_ratio is None else hedge.min_ratio, hedge.ratio - unwound),
        highest_ratio=min(hedge.max_ratio, hedge.ratio + hedge.amplitude),
        spacing=float(settings.grid.grid_spacing_pct),
        maker_fee=float(paper.maker_fee),
        volatility_day=volatility,
    )


def _data(settings: Settings, instrument: Instrument) -> tuple[Finding, float | None]:
    """Whether the recorded files can be read, and the first price in them."""

    async def first_price() -> float | None:
        feed = create_feed(settings.feed, settings.exchange)
        pair = hedge_pair(settings.symbol)
        await feed.open(pair, instrument)
        try:
            update = await feed.next(pair.perpetual)
        finally:
            await feed.close()
        return None if update is None or isinstance(update, FeedProblem) else update.perp.close

    try:
        price = asyncio.run(first_price())
    except AlphaPulseError as error:
        fix = error.fix if isinstance(error, ConfigError) else ""
        return Finding(Severity.ERROR, "data", str(error).removesuffix(f" Fix: {fix}"), fix), None
    if price is None:
        return Finding(Severity.ERROR, "data", "the recorded files hold no usable bar", "give other files"), None
    return Finding(Severity.OK, "data", f"the recorded files can be read; first price {price:,.2f} {instrument.quote}"), price


def _sizes(settings: Settings, instrument: Instrument, price: float) -> Iterator[Finding]:
    try:
        check_against_instrument(settings, instrument, price)
    except ConfigError as error:
        for problem in problems_of(error):
            yield Finding(Severity.ERROR, "sizes", f"{problem.field} = {problem.value}: {problem.problem.rstrip('.')}", problem.fix)
    else:
        least = instrument.min_lots(price) * instrument.lot
        what = f"every node trades at least {least:g} {instrument.base}, the venue's least order at {price:,.2f} {instrument.quote}"
        yield Finding(Severity.OK, "sizes", what)


# --- the mode -----------------------------------------------------------------------------------------------------
def _mode(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    if settings.mode != "real":
        told = (
            "orders fill in this process, and no money moves" if settings.mode == "paper" else "orders become tickets, and nothing is sent"
        )
        yield Finding(Severity.OK, "mode", f"{settings.mode}: {told}")
        return
    exchange = settings.exchange
    try:
        read_keys(exchange.api_key_env, exchange.api_secret_env, exchange.api_password_env, exchange.id in WITH_PASSWORD, environ)
    except ConfigError as error:
        yield Finding(Severity.ERROR, "keys", f"{error.field}: {error.problem}" if error.field else error.problem, error.fix)
    else:
        yield Finding(Severity.OK, "mode", f"real: orders reach {exchange.id}, and money moves")
    if exchange.leverage > exchange.max_leverage:
        what = f"exchange.leverage {exchange.leverage} is above exchange.max_leverage {exchange.max_leverage}"
        yield Finding(Severity.ERROR, "leverage", what, "lower the one, or raise the other knowing what it does")
    if settings.feed.source != "ccxt":
        yield Finding(Severity.ERROR, "feed", f"real orders on a {settings.feed.source} market", "feed.source: ccxt")


# --- this machine -------------------------------------------------------------------------------------------------
def _store(settings: Settings) -> Iterator[Finding]:
    file = database_file(settings.store.url)
    if file is None:
        yield Finding(Severity.OK, "database", "is no file: it is looked at when the bot starts")
        return
    problem = _unwritable(file)
    if problem:
        yield Finding(Severity.ERROR, "database", f"{file}: {problem}", "store.url with a path that you may write to")
        return
    if file.exists():
        try:
            with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as connection:
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            yield Finding(Severity.ERROR, "database", f"{file}: {error}", "restore a backup, or give another file")
            return
    yield Finding(Severity.OK, "database", f"{file} can be written")
    yield _space(file)


def _log(settings: Settings) -> Iterator[Finding]:
    file = settings.logging.file
    if file is None:
        yield Finding(Severity.OK, "log", "console only")
        return
    problem = _unwritable(file)
    if problem:
        yield Finding(Severity.ERROR, "log", f"{file}: {problem}", "logging.file with a path that you may write to, or null")
    else:
        yield Finding(Severity.OK, "log", f"{file} can be written")


def _unwritable(file: Path) -> str:
    """Why a file could not be written, without writing it; empty if it could. Folders that are missing would be made."""
    if file.is_dir():
        return "is a folder"
    if file.exists():
        return "" if os.access(file, os.W_OK) else "may not be written"
    folder = _existing(file.parent)
    if not folder.is_dir():
        return f"{folder} is not a folder"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"nothing may be made in {folder}"


def _existing(folder: Path) -> Path:
    """The nearest folder above that is there."""
    folder = folder.absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _space(file: Path) -> Finding:
    free = shutil.disk_usage(_existing(file.parent)).free
    what = f"{free / 1024**3:,.1f} GB free beside {file}"
    if free < _LEAST_SPACE:
        return Finding(Severity.WARNING, "disk", what, f"keep at least {_LEAST_SPACE // 1024**2} MB free")
    return Finding(Severity.OK, "disk", what)


def _machine() -> Iterator[Finding]:
    now = SystemClock().now_ms()
    if _OLDEST_CLOCK_MS <= now <= _NEWEST_CLOCK_MS:
        yield Finding(Severity.OK, "clock", "this machine's clock is plausible")
    else:
        yield Finding(Severity.ERROR, "clock", "this machine's clock is off by years: venues refuse its requests", "set it, e.g. by NTP")
    try:
        ccxt = version("ccxt")
    except PackageNotFoundError:
        yield Finding(Severity.ERROR, "versions", "ccxt is not installed", "make setup")
    else:
        yield Finding(Severity.OK, "versions", f"Python {'.'.join(map(str, sys.version_info[:3]))}, ccxt {ccxt}")
