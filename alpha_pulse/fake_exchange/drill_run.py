"""Runs outages one after another on a user's settings, and says of each what came of it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from alpha_pulse.errors import ConfigError
from alpha_pulse.fake_exchange.drill import Drill, booked_position, digest
from alpha_pulse.fake_exchange.drill_setup import ENVIRON, drill_exchange, drill_settings, waits
from alpha_pulse.fake_exchange.drills import SCENARIOS, Scenario
from alpha_pulse.settings import Settings

INVARIANTS: Final = {
    "A": "every fill is booked once, position, fees and funding are the venue's",
    "B": "no order reached the venue twice, no node had two",
    "C": "no limit was passed",
    "D": "every order is on record, and the record is whole",
    "E": "a restart comes to the same orders",
    "F": "nothing is left at the venue after the end, but a stop that was to stay",
    "G": "a person was told",
}
"""What must hold whatever happens."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one outage. ``broken`` holds the problems, each with its invariant's letter first; times in seconds."""

    name: str
    what: str
    did: str
    lost: int
    doubled: int
    position: Decimal
    venue_position: Decimal
    unprotected_s: float
    without_quotes_s: float
    took_s: float
    checked: tuple[str, ...]
    broken: tuple[str, ...]

    @property
    def held(self) -> bool:
        """Every invariant held."""
        return not self.broken

    def as_json(self) -> dict[str, Any]:
        """As JSON values: amounts are text, invariants by letter."""
        amounts = {"position": f"{self.position:f}", "venue_position": f"{self.venue_position:f}"}
        invariants = {letter: [p.partition(": ")[2] for p in self.broken if p[0] == letter] for letter in self.checked}
        values = {key: round(value, 3) if isinstance(value, float) else value for key, value in asdict(self).items()}
        for name in ("checked", "broken"):
            del values[name]
        return {**values, **amounts, "invariants": invariants, "verdict": "held" if self.held else "broken"}


def chosen(names: Sequence[str]) -> tuple[Scenario, ...]:
    """The outages of these names, in the order of the table; without names all of them.

    Raises:
        ConfigError: there is no such outage.
    """
    known = {scenario.name: scenario for scenario in SCENARIOS}
    for name in names:
        if name not in known:
            raise ConfigError("there is no such outage.", field="--only", value=name, fix=f"one of {', '.join(known)}")
    return tuple(scenario for scenario in SCENARIOS if not names or scenario.name in names)


async def run_drills(
    settings: Settings, scenarios: Sequence[Scenario], *, patient: bool = False, began: Callable[[Scenario], None] = lambda _: None
) -> list[Outcome]:
    """Run each on a fresh exchange with a fresh database. ``began`` is told of each before it runs.

    Raises:
        ConfigError: the settings cannot be drilled, or not be traded.
    """
    outcomes = []
    for scenario in scenarios:
        began(scenario)
        outcomes.append(await run_drill(settings, scenario, patient=patient))
    return outcomes


async def run_drill(settings: Settings, scenario: Scenario, *, patient: bool = False) -> Outcome:
    """Run one. Raises ``ConfigError`` as ``run_drills``."""
    tree = drill_settings(settings, patient=patient)
    loop = asyncio.get_running_loop()
    began = loop.time()
    with tempfile.TemporaryDirectory(prefix="alpha_pulse_drill_") as name:
        folder = Path(name)
        running = Drill.running(
            folder,
            tree,
            fake=drill_exchange(settings),
            environ=ENVIRON,
            quick=waits(settings, patient=patient),
            start=False,
        )
        async with running as drill:
            if not scenario.outside:
                await drill.begin()
            try:
                await scenario.script(drill, folder)
            except TimeoutError:
                drill.broke("A", f"what was waited for did not happen within {drill.patience_s:.0f} s")
            return await _judge(drill, scenario, began)


async def _judge(drill: Drill, scenario: Scenario, began: float) -> Outcome:
    """Let every fault end, come to rest, compare; then stop, and compare again."""
    if drill.fake.faults.active and not drill.fake.faults.hits:
        drill.broke("A", "the outage did not come about: nothing was sent that it could have struck")
    drill.fake.control.clear()
    lost = 0
    if not drill.ended:
        await drill.rest()
        lost = await drill.lost()
    before_end = await drill.broken()
    await drill.withdraw()
    events = await drill.events()
    problems = [*drill.problems, *before_end, *await drill.broken(), *drill.left()]
    if lost:
        problems.append(f"A: {lost} orders are at the venue and unknown to the bot, or the other way round")
    if drill.watch.excess > 0:
        problems.append(f"C: the limit of {drill.limit:f} could have been passed by {drill.watch.excess:f}")
    if scenario.alarms and not drill.was_told(events):
        problems.append("G: nothing was said")
    return Outcome(
        name=scenario.name,
        what=scenario.what,
        did="; ".join([*drill.notes, digest(events)]),
        lost=lost,
        doubled=drill.doubled(),
        position=booked_position(events),
        venue_position=drill.position,
        unprotected_s=drill.watch.unprotected_s,
        without_quotes_s=drill.watch.without_quotes_s,
        took_s=asyncio.get_running_loop().time() - began,
        checked=tuple(letter for letter in INVARIANTS if (letter != "E" or scenario.compares) and (letter != "G" or scenario.alarms)),
        broken=tuple(dict.fromkeys(problems)),
    )
