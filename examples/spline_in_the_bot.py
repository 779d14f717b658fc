"""The spline sizer in the running bot: why it hedges so much, and the same figure once more from the library.

Run it from the root of the repository: ``python -m examples.spline_in_the_bot``. Its settings are config/examples/spline.yaml.

The sizer reads scores from 0 to 1 (how high volatility ranks, how prices fall, how dear longs are, your own view), looks each up on its
own monotone curve, and adds up weight · curve(score). It does not multiply by the liquidity weight, as the library's ``compute_hedge``
can: in the bot a thin book slows the orders down, but must not cut the protection. The curves are drawn in spline_sizer.ipynb.
"""

from __future__ import annotations

import asyncio

from alpha_pulse.hedging.risk.sizers.spline import SIGNAL_CONFIGS, build_spline, signal_configs_from
from alpha_pulse.runtime.config import LoggingSettings
from alpha_pulse.runtime.logging import configure_logging
from alpha_pulse.settings import Settings
from examples.in_the_bot import CONFIG, Change, print_changes, print_reasons, run, sizer_of

FILE = CONFIG / "examples" / "spline.yaml"


def print_by_hand(settings: Settings, change: Change) -> None:
    """The sizer's figure from its inputs: each score through its curve, times its weight."""
    own = settings.sizers.curves
    curves = SIGNAL_CONFIGS if own is None else {**SIGNAL_CONFIGS, **signal_configs_from(own)}
    total = 0.0
    print("\nThe sizer's step by hand:")
    for name, seen in sizer_of(change).inputs.items():
        curve = build_spline(curves[name].knots)(seen["score"])
        part = seen["weight"] * curve
        total += part
        print(f"  {name:<10}  score {seen['score']:.3f}  on its curve {curve:>6.1%}  weight {seen['weight']:.2f}  adds {part:>6.2%}")
    print(f"  together {total:.2%}, and the bot said {sizer_of(change).after:.2%}")


def main() -> None:
    """Run the bot, then explain its last decision."""
    settings, changes = asyncio.run(run(FILE))
    print_changes(settings, changes)
    print_reasons(changes[-1])
    print_by_hand(settings, changes[-1])


if __name__ == "__main__":
    configure_logging(LoggingSettings(level="ERROR", file=None))
    main()
