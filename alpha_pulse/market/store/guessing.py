"""What a file probably holds, by the names of its columns and its own name: a proposal for a person to confirm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

from alpha_pulse.domain.catalog import QUOTES, hedge_pair
from alpha_pulse.errors import ConfigError, DataError
from alpha_pulse.market.store.series import COLUMNS, MAY_LACK, Kind, Market
from alpha_pulse.market.tables import NAMES, plain, read_header

_WORDS: Final = {
    "spot": Market.SPOT,
    "perp": Market.PERP,
    "perpetual": Market.PERP,
    "swap": Market.PERP,
    "futures": Market.PERP,
    "um": Market.PERP,
    "mark": Market.MARK,
    "markpriceklines": Market.MARK,
    "funding": Market.FUNDING,
    "fundingrate": Market.FUNDING,
    "trades": Market.TRADES,
    "aggtrades": Market.TRADES,
    "quotes": Market.QUOTES,
    "bookticker": Market.QUOTES,
}
"""Words of file names, in the order in which a later one knows better."""

_OF_SPOT: Final = {Market.TRADES: Market.SPOT_TRADES, Market.QUOTES: Market.SPOT_QUOTES}
_SIGNS: Final = {
    Kind.FUNDING: ("rate",),
    Kind.QUOTES: ("bid", "ask"),
    Kind.CANDLES: ("open", "high", "low", "close"),
    Kind.TRADES: ("price", "quantity"),
}
"""By kind of row: the columns that tell it, in the order in which they are looked for."""


class Guess(NamedTuple):
    """What a file seems to hold. ``columns``: by our name, the file's. None: the file does not say."""

    kind: Kind
    columns: dict[str, str]
    pair: str | None
    market: Market | None


def guess(path: Path, *, market: Market | None = None, named: Mapping[str, str] | None = None) -> Guess:
    """Look at a file's header and name.

    Args:
        path: a CSV, Parquet or Feather file.
        market: what it holds, where that is known.
        named: by our name of a column, the file's own, where that is known.

    Raises:
        ConfigError: the file is not there, or ``named`` names a column that is none.
        DataError: the columns tell nothing that is known here, or a needed one is missing.
    """
    header = read_header(path)
    columns = _given(header, named or {}, path)
    hint = market or _market_in(path.stem)
    kind = hint.kind if hint else _kind(header, columns, path)
    if market is None and hint is not None and _lacking(kind, header, columns):
        kind, hint = _kind(header, columns, path), None  # the file's name says one thing, its columns another
    for name in ("timestamp", *COLUMNS[kind]):
        found = columns.get(name) or _find(name, header)
        if found is not None:
            columns[name] = found
    missing = [name for name in ("timestamp", *COLUMNS[kind]) if name not in columns and name not in MAY_LACK]
    if missing and not (missing == ["volume"] and hint in {None, Market.MARK}):
        raise DataError(
            f"has no column {missing[0]!r}; found: {', '.join(header)[:120] or 'nothing'}.",
            path=str(path),
            fix=f"name it with --column {missing[0]}=NAME",
        )
    wanted = {name: columns[name] for name in ("timestamp", *COLUMNS[kind]) if name in columns}
    return Guess(kind, wanted, _pair_in(path.stem), hint or _only_market(kind, wanted))


def _given(header: list[str], named: Mapping[str, str], path: Path) -> dict[str, str]:
    for ours, theirs in named.items():
        if ours not in NAMES:
            raise ConfigError("is no column of ours.", field="--column", value=f"{ours}={theirs}", fix=f"one of {', '.join(NAMES)}")
        if theirs not in header:
            fix = f"one of {', '.join(header)[:200]}"
            raise ConfigError(f"{path} has no such column.", field="--column", value=f"{ours}={theirs}", fix=fix)
    return dict(named)


def _find(name: str, header: list[str]) -> str | None:
    """The file's name of a column of ours."""
    plainly = [plain(given) for given in header]
    return next((header[plainly.index(alias)] for alias in NAMES[name] if alias in plainly), None)


def _lacking(kind: Kind, header: list[str], columns: Mapping[str, str]) -> bool:
    return any(name not in columns and _find(name, header) is None for name in _SIGNS[kind])


def _kind(header: list[str], columns: Mapping[str, str], path: Path) -> Kind:
    found = next((kind for kind in _SIGNS if not _lacking(kind, header, columns)), None)
    if found is None:
        raise DataError(
            f"holds nothing that is known here; its columns: {', '.join(header)[:120] or 'none'}.",
            path=str(path),
            fix="its first line must be a header; name the columns with --column open=NAME and so on",
        )
    return found


def _only_market(kind: Kind, columns: Mapping[str, str]) -> Market | None:
    """The market that a kind of row belongs to where nothing else is said. Candles may be spot's or the perpetual's."""
    if kind is Kind.CANDLES:
        return None if "volume" in columns else Market.MARK
    return {Kind.FUNDING: Market.FUNDING, Kind.TRADES: Market.TRADES, Kind.QUOTES: Market.QUOTES}[kind]


def _market_in(stem: str) -> Market | None:
    words = {re.sub(r"\d+(ms|s)?$", "", word) for word in re.split(r"[^a-z0-9]+", stem.lower())}
    found = [market for word, market in _WORDS.items() if word in words]
    if not found:
        return None
    return _OF_SPOT.get(found[-1], found[-1]) if Market.SPOT in found else found[-1]


def _pair_in(stem: str) -> str | None:
    words = [word for word in re.split(r"[^A-Za-z0-9]+", stem.upper()) if word]
    joined = [a + b for a, b in pairwise(words) if b in QUOTES]
    for word in joined + [word for word in words if word.endswith(QUOTES) and word not in QUOTES]:
        try:
            return hedge_pair(word).name
        except ConfigError:
            continue
    return None
