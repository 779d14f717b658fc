"""Where a study is kept, so that it can be taken up again: a file beside its report, or a database."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Engine, event
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.problems import masked

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

_DRIVERS: Final = ("pg8000", "psycopg", "psycopg2")
_FIELD: Final = "--storage"


def optuna_quietly() -> Any:
    """The optuna module, without its log and its notes on what is experimental.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="IProgress not found")  # a notebook's bar, which is not used here
            import optuna  # noqa: PLC0415 - slow to import, and an extra
    except ModuleNotFoundError as error:
        raise ConfigError("Optuna is not installed.", field="optimize", fix='pip install "alpha-pulse[backtest]"') from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


@contextmanager
def open_storage(url: str | None, out: Path) -> Iterator[RDBStorage]:
    """The storage at ``url``, or ``study.db`` in ``out``; its connections are closed afterwards.

    Raises:
        ConfigError: the URL is none, its driver is missing, or the database does not answer or is not Optuna's.
    """
    optuna = optuna_quietly()
    address = f"sqlite:///{out / 'study.db'}" if url is None else _with_driver(url)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            storage: RDBStorage = optuna.storages.RDBStorage(address)
            if storage.engine.dialect.name == "sqlite":
                _make_quick(storage.engine)
    except (ArgumentError, SQLAlchemyError, ImportError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        fix = "write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
        raise ConfigError(f"cannot be used: {reason}", field=_FIELD, value=masked(address), fix=fix) from error
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _make_quick(engine: Engine) -> None:
    """A trial is some ten commits: synced to the disk each, they would take longer than its run. A power cut may lose the last ones."""

    def pragmas(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")

    event.listen(engine, "connect", pragmas)
    engine.dispose()  # the connection that made the tables


def _with_driver(url: str) -> str:
    """PostgreSQL by a driver that is installed: Optuna waits for its database, so the asynchronous one of the store does not serve."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.split("+")[0] not in {"sqlite", "postgresql", "postgres"}:
        fix = "write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
        raise ConfigError("is no address of a study's storage.", field=_FIELD, value=masked(url), fix=fix)
    if scheme.startswith("sqlite"):
        return f"sqlite://{rest}"
    driver = next((name for name in _DRIVERS if importlib.util.find_spec(name) is not None), None)
    if driver is None:
        fix = 'pip install "alpha-pulse[postgres]"'
        raise ConfigError("needs a synchronous PostgreSQL driver, and none is installed.", field=_FIELD, value=masked(url), fix=fix)
    return f"postgresql+{driver}://{rest}"
