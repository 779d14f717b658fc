"""``alpha-pulse compare-sizers`` as a user types it."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from alpha_pulse.cli.main import app
from alpha_pulse.errors import ConfigError

RUN = CliRunner()


def test_the_table_has_a_row_for_each_sizer_and_its_static_twin():
    arguments = ["compare-sizers", "--sizers", "constant,signal", "--set", "feed.days=31", "--set", "execution.rebalance_interval=3600"]
    found = RUN.invoke(app, arguments, catch_exceptions=False)
    assert found.exit_code == 0
    assert "1 windows of 30 days" in found.output
    for row in ("no hedge", "constant", "signal", "static, as large"):
        assert row in found.output
    assert "known only afterwards" in found.output


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--sizers", "constant,nonsense"], "is no name"),
        (["--sizers", ","], "names no sizer"),
        (["--set", "feed.source=ccxt"], "cannot be run twice"),
        (["--set", "inventory.quantity=0", "--set", "risk.max_position_size=1", "--set", "paper.quote_balance=1000"], "protects nothing"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_runs(arguments, problem):
    with pytest.raises(ConfigError, match=problem):
        RUN.invoke(app, ["compare-sizers", *arguments], catch_exceptions=False)
