"""Where log records go. The library only ever writes to loguru; sinks are added here, once, by the application.

A line reads ``2025-02-03 11:35:43 | INFO     | Initialized GridHedgeBot for BTCUSDT with 5 levels``; times are UTC. With ``json`` the
file holds one object a line instead: ``ts`` (ISO 8601), ``level``, ``message``, ``fields`` (what was bound) and ``exception``.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, cast

from loguru import logger

from alpha_pulse.errors import ConfigError
from alpha_pulse.runtime.config import LoggingSettings
from alpha_pulse.runtime.masking import MASK, is_sensitive, mask, register_secret

if TYPE_CHECKING:
    from loguru import Record

_TEXT: Final = "{time:YYYY-MM-DD HH:mm:ss!UTC} | <level>{level: <8}</level> | {who}{message}\n{trace}"
_JSON: Final = "{json_line}\n"
_FOREIGN: Final = (
    "aiohttp",
    "aiosqlite",
    "alembic",
    "asyncio",
    "ccxt",
    "keyring",
    "sqlalchemy",
    "stamina",
    "urllib3",
    "websockets",
)  # libraries that log by themselves

__all__ = ["MASK", "configure_logging", "market_time", "mask", "register_secret"]

_market_time: list[Callable[[], int]] = []


def configure_logging(settings: LoggingSettings, *, console: bool = True) -> None:
    """Send the log to the console (standard error) and to the file; what was configured before is replaced.

    The file's folder is made; it is rotated at midnight UTC and kept for 30 days. What ends the process with a traceback is masked too.

    Raises:
        ConfigError: the file cannot be written.
    """
    logger.remove()
    logger.configure(patcher=_prepare)
    # The exception is in ``trace`` already, without secrets; loguru's own rendering is switched off.
    options: dict[str, Any] = {"level": settings.level, "backtrace": False, "diagnose": False}
    if console:
        logger.add(sys.stderr, format=_text_format, **options)
    if settings.file is not None:
        try:
            settings.file.parent.mkdir(parents=True, exist_ok=True)
            logger.add(
                settings.file,
                format=_json_format if settings.json_format else _text_format,
                rotation=time(tzinfo=UTC),
                retention="30 days",
                encoding="utf-8",
                **options,
            )
        except OSError as error:
            raise ConfigError(
                f"the log file cannot be written: {error.strerror}",
                field="logging.file",
                value=str(settings.file),
                fix="give a path that you may write to, or null for the console alone",
            ) from error
    for name in _FOREIGN:
        foreign = logging.getLogger(name)
        foreign.handlers = [_Forward()]
        foreign.setLevel(logging.ERROR if name == "stamina" else logging.WARNING)  # what was retried is in the advice that came of it
        foreign.propagate = False
    sys.excepthook = _last_words


@contextmanager
def market_time(now_ms: Callable[[], int]) -> Iterator[None]:
    """While this lasts, lines carry the time of a simulated or recorded market instead of the wall clock's, once it has one."""
    _market_time.append(now_ms)
    try:
        yield
    finally:
        _market_time.pop()


def _prepare(record: Record) -> None:
    """Mask everything that a sink may show, and add what the formats name: ``trace`` and ``json_line``."""
    record["message"] = mask(record["message"])
    if _market_time and (ms := _market_time[-1]()):
        record["time"] = type(record["time"]).fromtimestamp(ms / 1000.0, UTC)
    record["extra"] = _masked(record["extra"])
    exception = record["exception"]
    trace = ""
    if exception is not None and exception.value is not None:
        trace = mask("".join(traceback.format_exception(exception.type, exception.value, exception.traceback)))
    line: dict[str, Any] = {
        "ts": record["time"].astimezone(UTC).isoformat(timespec="milliseconds"),
        "level": record["level"].name,
        "message": record["message"],
        "fields": record["extra"],
    }
    if trace:
        line["exception"] = trace
    extended = cast("dict[str, Any]", record)
    extended["trace"] = trace
    extended["who"] = f"{record['extra']['pair']}: " if "pair" in record["extra"] else ""  # one of several pairs in this process
    extended["json_line"] = json.dumps(line, ensure_ascii=False)


def _last_words(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What Python prints when nobody caught an error, without secrets."""
    sys.stderr.write(mask("".join(traceback.format_exception(kind, error, trace))))


def _masked(value: Any) -> Any:
    """A bound value as JSON values without secrets; what JSON does not know becomes text."""
    if value is None or isinstance(value, bool) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, int):
        return value if mask(text := str(value)) == text else MASK  # a passphrase may be a number
    if isinstance(value, Mapping):
        return {mask(str(key)): MASK if is_sensitive(str(key)) else _masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(item) for item in value]
    return mask(str(value))


def _text_format(_record: Record) -> str:
    return _TEXT


def _json_format(_record: Record) -> str:
    return _JSON


class _Forward(logging.Handler):
    """Passes the standard library's records on to loguru."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level: str | int = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno  # a level of the library's own
        logger.opt(exception=record.exc_info).bind(logger=record.name).log(level, "{}", record.getMessage())
