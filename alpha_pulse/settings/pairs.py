"""Several pairs in one file: each entry of ``pairs`` laid over the common sections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.problems import joined, problems_of
from alpha_pulse.hedging.common.section import key_of
from alpha_pulse.hedging.common.tree import nest
from alpha_pulse.settings.model import Settings

_COMMON: Final = ("pairs", "mode", "store", "logging", "portfolio", "llm")  # one process, one store, one log, one portfolio, one budget


def each_pair(settings: Settings, places: Mapping[str, str] | None = None) -> tuple[Settings, ...]:
    """The settings of every pair that is to run, in order; the settings themselves where ``pairs`` is empty.

    ``places``: where keys such as ``pairs[1].hedge.ratio`` were written, for the errors.

    Raises:
        ConfigError: with everything that is wrong about the entries, each named ``pairs[0]`` and so on.
    """
    if not settings.pairs:
        return (settings,)
    problems: list[ConfigError] = []
    found: list[Settings] = []
    for number, entry in enumerate(settings.pairs):
        try:
            found.append(_one(settings, entry, f"pairs[{number}]"))
        except ConfigError as error:
            problems += [_placed(problem, places or {}, f"pairs[{number}]") for problem in problems_of(error)]
    names = [hedge_pair(one.symbol).perpetual for one in found]
    twice = {name for name in names if names.count(name) > 1}
    problems += [ConfigError(f"{name} is listed twice.", field="pairs", fix="list each pair once") for name in sorted(twice)]
    if len({one.feed.source == "ccxt" for one in found}) > 1:
        fix = "give all pairs feed.source ccxt, or none"
        problems.append(ConfigError("live and made-up markets have no time in common.", field="pairs", fix=fix))
    if problems:
        raise joined(problems)
    return tuple(found)


def _placed(problem: ConfigError, places: Mapping[str, str], entry: str) -> ConfigError:
    """The problem with the file and the line of its key, or else of its entry."""
    where = places.get(problem.field) or places.get(entry)
    return ConfigError(problem.problem, field=f"{where}: {problem.field}", value=problem.value, fix=problem.fix) if where else problem


def _one(settings: Settings, entry: Mapping[str, Any], place: str) -> Settings:
    """One entry over the common sections."""
    if "symbol" not in entry:
        raise ConfigError("is no pair.", field=place, fix="write `- symbol: BTCUSDT`, and below it the sections that differ")
    common = [key for key in entry if str(key).split(".")[0] in _COMMON]
    if common:
        raise ConfigError("is common to all pairs.", field=f"{place}.{common[0]}", fix="give it at the top level")
    own = nest(entry, Settings.sections())
    if own.problems:
        raise joined([ConfigError(p.problem, field=f"{place}.{p.field}", fix=p.fix) for p in own.problems])
    data = _given(settings)
    for key, value in own.data.items():
        data[key] = {**data.get(key, {}), **value} if isinstance(value, dict) else value
    return Settings.read(data, lambda path: f"{place}.{own.written[path]}" if path in own.written else f"{place}: {path}")


def _given(settings: Settings) -> dict[str, Any]:
    """What was set, as a mapping of sections; defaults are left out, so that what was never given still counts as not given."""
    data: dict[str, Any] = {}
    for name in settings.model_fields_set - {"pairs"}:
        value = getattr(settings, name)
        section = Settings.sections().get(name)
        if section is not None:
            value = {key_of(field, section.model_fields[field]): getattr(value, field) for field in value.model_fields_set}
        data[name] = value
    return data


def one_pair(settings: Settings, symbol: str | None = None) -> Settings:
    """The settings of one pair: the named one, or the first.

    Raises:
        ConfigError: it is not listed.
    """
    found = each_pair(settings)
    if symbol is None:
        return found[0]
    wanted = hedge_pair(symbol).perpetual
    for one in found:
        if hedge_pair(one.symbol).perpetual == wanted:
            return one
    raise ConfigError("is not among the pairs.", field="--symbol", value=symbol, fix=f"name one of {', '.join(o.symbol for o in found)}")
