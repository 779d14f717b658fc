"""``alpha-pulse drill`` as a user types it: outages on a fake exchange, the table, the JSON, and what a broken invariant does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from alpha_pulse.cli.drill import drill, drilled_settings, perform
from alpha_pulse.domain.catalog import hedge_pair
from alpha_pulse.errors import ConfigError
from alpha_pulse.fake_exchange.drill_setup import drill_exchange, drill_settings
from alpha_pulse.fake_exchange.drills import SCENARIOS, Scenario
from alpha_pulse.settings import Settings

RUN = CliRunner()
APP = typer.Typer()
APP.command()(drill)
ROOT = Path(__file__).parents[3]


def run(*arguments):
    return RUN.invoke(APP, list(arguments), catch_exceptions=False)


async def overcharge(drilled, _folder):
    """What the record cannot know: the venue takes more than it said."""
    drilled.fake.venue.fills()[-1].commission += 1


BROKEN = Scenario("overcharged", "the venue takes a fee that it told nobody", overcharge)


def test_three_outages_are_run_on_the_settings_and_told_as_json():
    names = ("create-unanswered", "funding", "flash-crash")
    found = run(
        "--json", "--set", "inventory.quantity=2", "--set", "symbol=ETHUSDC", *(word for name in names for word in ("--only", name))
    )
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert (told["symbol"], told["broken"], len(told["drills"])) == ("ETHUSDC", 0, 3)
    by_name = {one["name"]: one for one in told["drills"]}
    assert set(by_name) == set(names)
    for one in by_name.values():
        assert (one["verdict"], one["lost"], one["doubled"]) == ("held", 0, 0)
        assert float(one["position"]) == float(one["venue_position"])
    assert "adopted" in by_name["create-unanswered"]["did"]
    assert "booked 2 funding payments" in by_name["funding"]["did"]
    assert "the stop fired at the venue" in by_name["flash-crash"]["did"]


def test_a_broken_invariant_is_shown_with_its_reason_and_ends_with_1(capsys):
    assert perform(drilled_settings(None, None, None), [BROKEN]) == 1
    shown = capsys.readouterr().out
    assert "broke A" in shown
    assert "overcharged: fees of" in shown
    assert "no limit was passed: held in 1 of 1" in shown


def test_the_outages_can_be_listed():
    shown = run("--list").output
    assert len(shown.splitlines()) == len(SCENARIOS) > 15
    assert all(scenario.what in shown for scenario in SCENARIOS)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--only", "earthquake"], "no such outage"),
        (["--set", "symbol=BTCUSD"], "no wallet in USD"),
        (["--set", "inventory.quantity=0"], "needs a size"),
        (["--set", "hedge.ratoi=1"], "unknown key"),
    ],
)
def test_what_cannot_be_drilled_is_refused_before_anything_runs(arguments, problem):
    with pytest.raises(ConfigError, match=problem):
        run(*arguments)


@pytest.mark.parametrize("file", [None, "config/grid_hedge.yaml", *sorted(map(str, Path(ROOT, "config/examples").glob("*.yaml")))])
def test_every_configuration_of_this_project_can_be_drilled(file):
    settings = drilled_settings(None if file is None else str(ROOT / file), None, None)
    tree = Settings.read({**drill_settings(settings, patient=False), "feed": {"source": "ccxt"}})
    assert tree.hedge.ratio == settings.hedge.ratio
    assert tree.grid == settings.grid
    assert tree.risk == settings.risk
    assert tree.inventory.coins == settings.inventory.coins


@pytest.mark.parametrize("symbol", ["ETHUSDT", "PEPEUSDT", "SOLUSDC", "NEWCOINUSDT"])
def test_the_exchange_lists_the_pair_whatever_it_is(symbol):
    settings = drilled_settings(None, ["inventory.quantity=100000"], symbol)
    assert [listed.name for listed in drill_exchange(settings).symbols] == [hedge_pair(symbol).name]


def test_no_key_no_account_and_nobody_to_alert_is_taken_from_the_settings():
    own = {
        "exchange": {"id": "bybit", "api_key_env": "MY_KEY", "rest_url": "https://example.org", "account": "mine"},
        "inventory": {"source": "exchange", "exchange": {"api_key_env": "VAULT_KEY"}},
        "feed": {"source": "ccxt"},
        "store": {"url": "sqlite+aiosqlite:///mine.db"},
    }
    tree = drill_settings(Settings.read({"mode": "real", **own}), patient=True)
    assert not {"store", "notify", "llm"} & set(tree)
    assert "MY_KEY" not in str(tree)
    assert "VAULT_KEY" not in str(tree)
    assert "example.org" not in str(tree)
