"""What the service can be told: variables of the environment with the prefix ``HE_``, each with its unit and a safe default."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import unquote

from pydantic import Field, ValidationError, field_validator, model_validator
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.problems import is_secret, joined, translate
from alpha_pulse.hedging.common.section import Ratio, Section, slip
from alpha_pulse.runtime.logging import register_secret
from alpha_pulse.runtime.secrets import find_secret
from alpha_pulse.service.tokens import ApiToken, parse_tokens

PREFIX: Final = "HE_"
_SECRETS: Final = ("api_tokens", "db_dsn", "redis_url", "bots_dsn")  # HE_…_FILE and keyring: work for these too
_ASSET: Final = re.compile(r"[A-Z0-9]{1,16}")
_REDIS: Final = re.compile(r"(redis|rediss|unix)://\S+")
_URL_PASSWORDS: Final = (
    re.compile(r"://[^:/?#\s]*:([^/?#\s]*)@"),  # greedy: a password may hold an @
    re.compile(r"://[^:/?#\s]*:([^@\s]*)@"),  # it may hold a slash, too
    re.compile(r"[?&]\w*passw\w*=([^&#\s]*)", re.IGNORECASE),
)

Seconds = Annotated[float, Field(gt=0, le=86_400)]


class ServiceSettings(Section):
    """Settings of the service. The variable of a field is its name in capitals after ``HE_``."""

    env: Literal["dev", "prod"] = Field("dev", description="prod does not start without tokens [name]")
    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on; one beyond this machine needs tokens [address]")
    port: int = Field(8000, ge=0, le=65_535, description="Port to listen on; 0 takes a free one [port]")
    allowed_hosts: tuple[str, ...] = Field(
        (), description="Host names that requests may name; empty = with tokens any, without only this machine's own [names]"
    )
    api_tokens: tuple[ApiToken, ...] = Field((), description="Tokens; `alpha-pulse serve --new-token` makes one [name:scope:sha256]")
    rate_limit_per_s: float = Field(
        10_000, ge=0, le=1_000_000, description="Requests of one token, in bursts of up to one second's; 0 = no limit [requests/s]"
    )
    refused_per_min: int = Field(60, ge=1, le=100_000, description="Refused log-ins of one address before it has to wait [attempts/min]")
    max_body_bytes: int = Field(65_536, ge=1024, le=1_048_576, description="Largest request body [bytes]")
    body_timeout_s: Seconds = Field(5, description="Time to send a request body in [s]")
    assets: tuple[str, ...] = Field(("BTC", "ETH", "LTC", "XRP"), min_length=1, description="Assets that may be asked about [names]")
    max_hedge_pct: Ratio = Field(1.0, description="The most that /hedge and /hedge/multi answer [fraction]")
    curves: Path = Field(Path("config/curve_knots.yaml"), description="Hedge curves, followed while the service runs [file]")
    redis_url: str | None = Field(None, repr=False, description="Redis with scores and depths; unset = none [URL]")
    redis_poll_s: Seconds = Field(0.5, description="How often Redis is read, besides its messages [s]")
    stale_score_s: Seconds = Field(3, description="Oldest score that is still used [s]")
    stale_depth_s: Seconds = Field(60, description="Oldest depth from Redis or the feed that is still used [s]")
    depth_feed: str | None = Field(None, description="Exchange whose order books give depths, e.g. binanceusdm; unset = none [ccxt id]")
    depth_symbols: tuple[tuple[str, str], ...] = Field(
        (), description="Perpetuals to look at, as BTC=BTCUSDC,ETH=ETHUSDC; an asset that is left out is traded against USDT [asset=pair]"
    )
    depth_rest_url: str | None = Field(None, description="Send the feed's REST calls here instead: a proxy, a mirror [URL]")
    depth_ws_url: str | None = Field(None, description="Send the feed's websockets here instead [URL]")
    default_depth_usd: float = Field(
        1_000_000, ge=0, description="Depth of the order book where neither request, Redis nor feed gives one [USD within 1 % of mid]"
    )
    db_dsn: str = Field("sqlite+aiosqlite:///var/decisions.db", repr=False, description="Database of the decision log [URL]")
    spool_dir: Path = Field(Path("var/spool"), description="Where decisions wait for the database, on a disk that lasts [folder]")
    breaker_failures: int = Field(3, ge=1, le=1000, description="Failures in a row after which the database is left alone [deliveries]")
    breaker_retry_s: Seconds = Field(30, description="How long it is left alone before it is tried again [s]")
    bots_dsn: str | None = Field(None, repr=False, description="Database of the hedging bots, for their metrics; unset = none [URL]")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least severity that is logged [name]")
    log_file: Path | None = Field(None, description="Log as lines of JSON, rotated daily; unset = console alone [file]")

    @field_validator("api_tokens", mode="before")
    @classmethod
    def _read_tokens(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return parse_tokens(value)
        except ConfigError as error:
            raise slip(f"{error.problem}.", error.fix) from None

    @field_validator("assets", "allowed_hosts", mode="before")
    @classmethod
    def _read_list(cls, value: Any) -> Any:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("depth_symbols", mode="before")
    @classmethod
    def _read_pairs(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = tuple(tuple(each.split("=", 1)) for each in value.replace(",", " ").split())
        if any(len(each) != 2 for each in found):  # noqa: PLR2004 - a name and a pair
            raise slip("is no list of assets with their perpetuals.", "write it as BTC=BTCUSDC,ETH=ETHUSDC")
        return found

    @field_validator("assets")
    @classmethod
    def _known_by_plain_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not _ASSET.fullmatch(name):
                raise slip(f"{name!r} is no name of an asset.", "write capitals and digits, e.g. BTC,ETH")
        return value

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not _REDIS.fullmatch(value) or not _redis_takes(value):
            raise slip("is no URL of a Redis.", "write redis://127.0.0.1:6379/0, or leave it unset for none")
        return value

    @field_validator("db_dsn", "bots_dsn")
    @classmethod
    def _is_a_database(cls, value: str | None) -> str | None:
        try:
            if value is not None:
                make_url(value)
        except (ArgumentError, ValueError):  # ValueError: a port that is no number, or what a password with an @ or : leaves of it
            fix = "write sqlite+aiosqlite:///FILE or postgresql+asyncpg://USER:PASSWORD@HOST/NAME; an @ in a password is %40"
            raise slip("is no URL of a database.", fix) from None
        return value

    @model_validator(mode="after")
    def _depths_of_assets(self) -> Self:
        given = dict(self.depth_symbols)
        for asset, symbol in (self.symbols_for_depth() if self.depth_feed else given).items():
            if asset not in self.assets:
                raise slip(f"{asset} is none of the assets.", f"name one of {', '.join(self.assets)}", "depth_symbols")
            try:
                hedge_pair(symbol)
            except ConfigError as error:
                raise slip(f"{symbol} of {asset}: {error.problem.rstrip('.')}.", error.fix, "depth_symbols") from None
        return self

    @model_validator(mode="after")
    def _closed_unless_guarded(self) -> Self:
        if self.api_tokens:
            return self
        fix = "set HE_API_TOKENS (`alpha-pulse serve --new-token NAME --scope trade` makes a token)"
        if not is_loopback(self.host):
            raise slip(f"{self.host} can be reached from other machines, and there are no tokens.", f"{fix}, or HE_HOST=127.0.0.1", "host")
        if self.env == "prod":
            raise slip("HE_ENV=prod needs tokens, and there are none.", f"{fix}, or HE_ENV=dev", "env")
        return self

    def symbols_for_depth(self) -> dict[str, str]:
        """The perpetual whose book is looked at for each asset; by default the one against USDT."""
        return {asset: f"{asset}USDT" for asset in self.assets} | dict(self.depth_symbols)


def _redis_takes(url: str) -> bool:
    """Whether its port is a number and its options are some that the client knows, with values of their kinds."""
    from redis.asyncio import ConnectionPool  # noqa: PLC0415 - only with a Redis

    try:
        ConnectionPool.from_url(url).make_connection()  # type: ignore[no-untyped-call]  # connects to nothing yet
    except (TypeError, ValueError):
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine's own. A name other than localhost is not asked of any DNS: it counts as foreign."""
    name = host.strip("[]")
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def load_service_settings(environ: Mapping[str, str] | None = None, overrides: Mapping[str, object] | None = None) -> ServiceSettings:
    """Read ``HE_…`` of the environment; an empty variable is as good as none, and ``overrides`` beat it.

    Raises:
        ConfigError: a variable is unknown or wrong; it names each such variable and the fix, and never repeats a secret.
    """
    environ = os.environ if environ is None else environ
    given: dict[str, object] = {}
    problems: list[ConfigError] = []
    for variable, value in environ.items():
        name = variable.removeprefix(PREFIX).lower()
        secret = name.removesuffix("_file")
        if variable.startswith(PREFIX) and value.strip() and name not in _SECRETS and secret not in _SECRETS:
            given[name] = value.strip()
    for name in _SECRETS:
        try:
            found = find_secret(f"{PREFIX}{name.upper()}", environ)
        except ConfigError as error:
            problems.append(error)
            continue
        if found is not None:
            given[name] = found.get_secret_value()
            _hide(given[name])
    try:
        settings = ServiceSettings.model_validate(given | dict(overrides or {}))
    except ValidationError as error:
        problems += [_named(problem) for problem in translate(error, ServiceSettings)]
    if problems:
        raise joined(problems)
    return settings


def _hide(url: object) -> None:
    """The passwords inside a URL are secrets by themselves, as written and as drivers decode them."""
    for pattern in _URL_PASSWORDS:
        for password in pattern.findall(str(url)):
            register_secret(password)
            register_secret(unquote(password))


def _named(problem: ConfigError) -> ConfigError:
    """The same with the variable's name. No value of a variable that may hold a secret is shown."""
    variable = f"{PREFIX}{problem.field.partition('.')[0].upper()}"
    if problem.problem.startswith("unknown key"):
        meant = problem.fix.removeprefix("write ")
        fix = f"write {PREFIX}{meant.upper()}" if meant != problem.fix else f"unset {variable}"
        return ConfigError("there is no such setting", field=variable, fix=fix)
    hidden = is_secret(problem.field) or problem.field in _SECRETS
    return ConfigError(problem.problem, field=variable, value=None if hidden else problem.value, fix=problem.fix)
