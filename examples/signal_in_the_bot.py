"""The signal engine in the running bot: what it advised, how that became a ratio, and the same advice once more from the library.

Run it from the root of the repository: ``python -m examples.signal_in_the_bot``. Its settings are config/signals.yaml.

The engine weighs opinions on the price (−1 bearish … +1 bullish) against the inventory. Its advice moves the configured ratio h:

    REDUCE the inventory's side, magnitude m    →  h + m·(max_ratio − h)     the signals are against what is held: hedge more
    INCREASE, magnitude m                       →  h·(1 − m)                 they agree with conviction: hedge less
    HOLD                                        →  h

It is fed the value of the inventory, not the net position: else each hedge would argue for the next one.
"""

from __future__ import annotations

import asyncio

from alpha_pulse.hedging.risk.sizers.signal import Direction, HedgeEngine
from alpha_pulse.runtime.config import LoggingSettings
from alpha_pulse.runtime.logging import configure_logging
from alpha_pulse.settings import Settings
from examples.in_the_bot import CONFIG, Change, print_changes, print_reasons, run, sizer_of

FILE = CONFIG / "signals.yaml"


def print_by_hand(settings: Settings, change: Change) -> None:
    """The engine asked again with the signals that the bot saw, and the ratio that follows from its answer."""
    numbers, hedge = settings.sizers, settings.hedge
    engine = HedgeEngine(
        baseline_position_usd=numbers.signal_baseline_usd,
        size_scaling_k=numbers.signal_size_scaling,
        action_threshold=numbers.signal_action_threshold,
        high_conviction_threshold=numbers.signal_conviction_threshold,
    )
    for name, value in sizer_of(change).inputs["signals"].items():
        engine.add_signal(name, value, getattr(numbers, f"signal_{name}"))
    advice = engine.compute(float(settings.inventory.stated_coins()) * change.market.reference)
    print("\nThe sizer's step by hand:")
    for name, part in advice.signal_breakdown.items():
        print(f"  {name:<10}  signal {part.value:+.3f}  weight {part.weight:.2f}  contribution {part.contribution:+.3f}")
    print(f"  combined {advice.combined_signal:+.3f}, confidence {advice.confidence:.2f}: ", end="")
    print(f"{advice.direction}, magnitude {advice.magnitude:.3f}")
    ratio = hedge.ratio
    if advice.direction in {Direction.REDUCE_LONG, Direction.REDUCE_SHORT}:
        ratio += advice.magnitude * (hedge.max_ratio - hedge.ratio)
    elif advice.direction is not Direction.HOLD:
        ratio *= 1.0 - advice.magnitude
    print(f"  from a ratio of {hedge.ratio:.1%} to {ratio:.2%}, and the bot said {sizer_of(change).after:.2%}")


def main() -> None:
    """Run the bot, then explain the last decision that was more than HOLD."""
    settings, changes = asyncio.run(run(FILE))
    print_changes(settings, changes)
    acted = [change for change in changes if sizer_of(change).inputs["direction"] != Direction.HOLD]
    shown = (acted or changes)[-1]
    print_reasons(shown)
    print_by_hand(settings, shown)


if __name__ == "__main__":
    configure_logging(LoggingSettings(level="ERROR", file=None))
    main()
