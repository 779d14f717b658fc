"""Named hedge curves, one for each kind of signal. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.risk.sizers.knots import DEFAULT_KNOTS, Knot, checked_knots

_KEYS: Final = ("knots", "description")
_SHAPE: Final = "write `NAME: {description: ..., knots: [{score: 0, hedge: 0.05}, {score: 1, hedge: 1}]}`"


@dataclass(frozen=True, slots=True)
class SignalConfig:
    """The hedge curve of one signal: knots of (score, hedge), fractions in [0, 1].

    Raises:
        ConfigError: there is no name, or the knots are not those of a monotone curve; it names curve and knot.
    """

    name: str
    knots: tuple[Knot, ...]
    description: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigError("a curve needs a name", field="name", value=self.name, fix="give the name of its signal, e.g. funding")
        object.__setattr__(self, "knots", checked_knots(self.knots, self.name))


def signal_configs_from(data: Mapping[str, object]) -> Mapping[str, SignalConfig]:
    """Curves by name from what a YAML file says: ``{name: {"description": text, "knots": [{"score": s, "hedge": h}, ...]}}``.

    Numbers may be strings, as a file has them.

    Raises:
        ConfigError: there is no curve, a key is missing or unknown, or knots are wrong; it names curve and knot (counted from 1).
    """
    if not data:
        raise ConfigError("there is no curve", field="curves", value=data, fix=_SHAPE)
    return MappingProxyType({name: _config(name, entry) for name, entry in data.items()})


def _config(name: str, entry: object) -> SignalConfig:
    if not isinstance(entry, Mapping):
        raise ConfigError("must have knots", field=name, value=entry, fix=_SHAPE)
    unknown = [key for key in entry if key not in _KEYS]
    if unknown:
        raise ConfigError(f"there is no key {unknown[0]!r}", field=name, fix=f"a curve has {' and '.join(_KEYS)}")
    knots, description = entry.get("knots"), entry.get("description")
    if not isinstance(knots, Sequence) or isinstance(knots, str):
        raise ConfigError("must be a list", field=f"{name}, knots", value=knots, fix=_SHAPE)
    if description is not None and not isinstance(description, str):
        raise ConfigError("must be text", field=f"{name}, description", value=description, fix="write a sentence")
    return SignalConfig(name, tuple(_knot(name, number, knot) for number, knot in enumerate(knots, start=1)), description or "")


def _knot(name: str, number: int, entry: object) -> Knot:
    place, fix = f"{name}, knot {number}", "write {score: 0.3, hedge: 0.25}"
    if not isinstance(entry, Mapping) or set(entry) != {"score", "hedge"}:
        raise ConfigError("must have a score and a hedge, and nothing else", field=place, value=entry, fix=fix)
    numbers = []
    for key in ("score", "hedge"):
        value = entry[key]
        try:
            if isinstance(value, bool):
                raise TypeError  # noqa: TRY301 - handled like every other value that is no number
            numbers.append(float(value))
        except (TypeError, ValueError):
            raise ConfigError(f"its {key} must be a number", field=place, value=value, fix=fix) from None
    return numbers[0], numbers[1]


SIGNAL_CONFIGS: Final[Mapping[str, SignalConfig]] = MappingProxyType(
    {
        config.name: config
        for config in (
            SignalConfig("sentiment", DEFAULT_KNOTS, "Bearishness of news and crowds: 0 is bullish, 1 bearish"),
            SignalConfig(
                "volatility",
                ((0.0, 0.10), (0.4, 0.30), (0.8, 0.80), (1.0, 1.0)),
                "Rank of realized volatility among its past: patient at first, steep once the market is rough",
            ),
            SignalConfig(
                "momentum",
                ((0.0, 0.0), (0.5, 0.20), (0.9, 0.60), (1.0, 0.90)),
                "Strength of a fall in price: the most careful curve, for momentum turns without notice; never a full hedge",
            ),
            SignalConfig(
                "funding",
                ((0.0, 0.05), (0.3, 0.15), (0.6, 0.50), (1.0, 1.0)),
                "Funding rate between its extremes: 0.5 is neutral, near 1 a crowd of longs pays for the hedge",
            ),
        )
    }
)
"""The curves that are known without a file; ``config/curve_knots.yaml`` has the same."""
