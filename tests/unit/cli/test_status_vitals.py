"""What ``status`` shows of a running bot's health."""

from io import StringIO

from rich.console import Console

from alpha_pulse.cli.store import StatusRow
from alpha_pulse.cli.tables import status_table


def line(**vitals):
    console = Console(file=StringIO(), width=250)
    console.print(status_table([StatusRow("BTCUSDT", "paper", True, 42, 0.0, **vitals)], 0))
    return console.file.getvalue()


def test_the_age_of_its_stream_and_the_lag_of_its_loop_stand_in_its_line():
    text = line(heartbeat_ms=1, loop_lag_s=0.0123, stream_age_s=1.26)
    assert "stream, loop lag" in text
    assert "1.3 s, 0.012 s" in text


def test_what_nobody_has_measured_yet_is_a_dash():
    assert "–, –" in line()
