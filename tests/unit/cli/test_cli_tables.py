"""The tables of the operating commands."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console
from rich.table import Table

from alpha_pulse.cli.examination import examination
from alpha_pulse.cli.shock_table import shock_tables
from alpha_pulse.cli.store import StatusRow
from alpha_pulse.cli.tables import age, status_table, ticket_table
from alpha_pulse.hedging.state.queries import StoredTicket
from alpha_pulse.settings import Settings

NOW = 1_735_700_000_000


def text_of(table: Table) -> str:
    console = Console(file=StringIO(), width=250)
    console.print(table)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_running_bot_is_one_line():
    row = StatusRow(
        "BTCUSDT", "paper", True, 42, -0.525, 95_000.0, 1.0, 0.525, 0.5, -12.5, 0.031, "delta_reduce", ("drawdown of 20 %",), NOW - 30_000
    )
    text = text_of(status_table([row], NOW))
    for cell in (
        "BTCUSDT",
        "pid 42",
        "95,000.00",
        "-0.525",
        "52.5% of 50.0%",
        "-12.50",
        "3.10%",
        "delta_reduce: drawdown of 20 %",
        "30 s ago",
    ):
        assert cell in text


def test_a_bot_that_never_ticked_shows_dashes():
    text = text_of(status_table([StatusRow("BTCUSDT", "paper", False, None, 0.0)], NOW))
    assert "– of –" in text
    assert "never" in text
    assert " no " in text


@pytest.mark.parametrize(
    ("then", "words"),
    [
        (0, "never"),
        (NOW - 5_000, "5 s ago"),
        (NOW - 600_000, "10 min ago"),
        (NOW - 90_000_000, "2024-12-31 01:53"),
        (NOW + 60_000, "2025-01-01 02:54"),
    ],
)
def test_an_age_is_told_as_people_say_it(then, words):
    assert age(then, NOW) == words


@pytest.mark.parametrize(
    ("ticket", "cells"),
    [
        (
            {"side": "sell", "quantity": "0.1", "price": "95000", "why": "node 3", "cost_bps": 2.0, "expires_ms": NOW},
            ("@ 95000", "2.0 bps"),
        ),
        ({"side": "buy", "quantity": "0.1", "price": None, "trigger": "80000"}, ("@ 80000", "–")),
        ({"side": "buy", "quantity": "0.1"}, ("@ market",)),
    ],
)
def test_a_ticket_is_one_line(ticket, cells):
    text = text_of(ticket_table([StoredTicket("recommendation", "BTC/USDT:USDT", "ap1", "open", ticket, NOW, NOW)]))
    assert all(cell in text for cell in ("BTCUSDT", "open", *cells))


# --- shocks -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("width", "count", "priced"), [(80, 2, False), (100, 2, True), (184, 1, True)])
def test_the_shock_table_takes_the_shape_that_the_terminal_holds(width, count, priced):
    config = {"risk": {"max_effective_leverage": 3}, "inventory": {"quantity": 10}, "paper": {"quote_balance": 300_000}}
    shocks = examination(Settings.read(config), environ={}).shocks
    console = Console(file=StringIO(), width=width)
    shown = shock_tables(shocks, console)
    for table in shown:
        console.print(table)
    text = console.file.getvalue()
    assert len(shown) == count
    assert ("133,000" in text) is priced  # the price at +40 %
    assert "…" not in text
    assert "at 137,498" in text  # liquidated
    assert all(len(line) <= width for line in text.splitlines())
