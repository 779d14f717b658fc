"""A blend of sizers in the running bot: what each part says, how little the mix moves, and why.

Run it from the root of the repository: ``python -m examples.blend_in_the_bot``. Its settings are config/examples/blend.yaml.

A blend is the weighted mean of a constant ratio, the spline over scores and the signal engine. Each part stays visible in the inputs of
the sizer's step, with its own reason and inputs, so that a blend explains itself as well as its parts do.
"""

from __future__ import annotations

import asyncio
import statistics
import textwrap
from collections.abc import Sequence

from alpha_pulse.runtime.config import LoggingSettings
from alpha_pulse.runtime.logging import configure_logging
from examples.in_the_bot import CONFIG, WIDTH, Change, print_changes, print_reasons, run, sizer_of

FILE = CONFIG / "examples" / "blend.yaml"


def print_parts(change: Change) -> None:
    """The sizer's figure from its inputs: each part's ratio times its weight, with the part's own reason."""
    print("\nThe sizer's step by its parts:")
    total = 0.0
    for name, part in sizer_of(change).inputs.items():
        total += part["weight"] * part["ratio"]
        first, *more = textwrap.wrap(part["reason"], WIDTH)
        print(f"  {name:<8}  weight {part['weight']:.2f} × ratio {part['ratio']:>6.1%}   {first}")
        for line in more:
            print(" " * 41 + line)
    print(f"  together {total:.2%}, and the bot said {sizer_of(change).after:.2%}")


def print_spread(changes: Sequence[Change]) -> None:
    """How far each part ranged where the target changed, and the mix: opinions that differ cancel."""
    inputs = [sizer_of(change).inputs for change in changes]
    print(f"\nOver all {len(changes)} changes (range, standard deviation, in percentage points):")
    ranges = {name: [100.0 * seen[name]["ratio"] for seen in inputs] for name in inputs[-1]}
    ranges["the blend"] = [100.0 * sizer_of(change).after for change in changes]
    for name, ratios in ranges.items():
        print(f"  {name:<10} {min(ratios):>5.1f} … {max(ratios):>5.1f}   σ {statistics.pstdev(ratios):>4.1f}")


def main() -> None:
    """Run the bot, then explain its last decision."""
    settings, changes = asyncio.run(run(FILE))
    print_changes(settings, changes)
    print_reasons(changes[-1])
    print_parts(changes[-1])
    print_spread(changes)


if __name__ == "__main__":
    configure_logging(LoggingSettings(level="ERROR", file=None))
    main()
