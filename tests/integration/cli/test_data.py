"""``alpha-pulse data`` as a user types it; downloads come from the project's own exchange, which runs in a thread of its own."""

import asyncio
import http.client
import json
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alpha_pulse.cli.data import data_app
from alpha_pulse.cli.main import main
from alpha_pulse.errors import ConfigError
from alpha_pulse.fake_exchange import FakeExchange
from alpha_pulse.market.files import iso
from alpha_pulse.runtime.clock import SystemClock

HOUR = 3_600_000
HEADER = "timestamp,open,high,low,close,volume"
START = 1_704_067_200_000  # 2024-01-01 00:00 UTC


@pytest.fixture(autouse=True)
def _clean_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def rest_url():
    """Where the exchange answers: in another thread, for the command has a loop of its own."""
    ready, done = threading.Event(), threading.Event()
    url = []

    async def serve():
        async with FakeExchange.running() as fake:
            url.append(fake.rest_url)
            ready.set()
            await asyncio.to_thread(done.wait, 60)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(10)
    yield url[0]
    done.set()
    thread.join()


def run(*arguments, typed=None):
    result = CliRunner().invoke(data_app, list(arguments), input=typed, catch_exceptions=False)
    return result.exit_code, result.output


def file_of(lines, name="BTCUSDT-perp-1m.csv", header=HEADER):
    Path(name).write_text("\n".join([header, *lines]) + "\n")
    return name


def bars(count=5, skip=()):
    return [f"{START + 60_000 * n},100,101,99,100.5,2" for n in range(count) if n not in skip]


def test_a_download_can_be_listed_checked_and_gone_on_with(rest_url):
    since = iso(SystemClock().now_ms() // HOUR * HOUR - 3 * HOUR)
    code, output = run("download", "btc/usdt", "--since", since, "--rest-url", rest_url)
    assert code == 0, output
    assert "BTCUSDT spot 1m: " in output
    assert "BTCUSDT funding: " in output
    assert "Stored in var/data" in output
    stored = json.loads(run("list", "BTCUSDT", "--json")[1])
    assert [one["series"]["market"] for one in stored][:3] == ["spot", "perp", "mark"]
    assert all(one["missing"] == 0 and one["rows"] >= 180 for one in stored[:3])
    assert "binanceusdm" in run("list")[1]
    code, output = run("check", "--json")
    assert (code, [one["findings"] for one in json.loads(output)]) == (0, [[]] * len(stored))
    code, output = run("download", "BTCUSDT", "--since", since, "--market", "perp", "--rest-url", rest_url)
    assert "written again (0 with other values)" in output


def test_a_download_says_that_it_asks_again(rest_url):
    connection = http.client.HTTPConnection(rest_url.removeprefix("http://"))
    fault = {"on": "GET /fapi/v1/klines", "kind": "status", "times": 1}
    connection.request("POST", "/control/fault", json.dumps(fault), {"Content-Type": "application/json"})
    assert connection.getresponse().status == 200
    connection.close()
    since = iso(SystemClock().now_ms() // HOUR * HOUR - HOUR)
    code, output = run("download", "BTCUSDT", "--since", since, "--market", "perp", "--rest-url", rest_url)
    assert code == 0, output
    assert output.count("No answer, asking again (attempt 2 of 8)") == 1


def test_an_import_shows_what_it_guessed_and_asks():
    file = file_of(bars(), header="Date,Open,High,Low,Close,Vol")
    code, output = run("import", file, typed="n\n")
    assert (code, Path("var").exists()) == (1, False)
    code, output = run("import", file, typed="y\n")
    assert code == 0
    assert "Vol (guessed)" in output
    assert "2024-01-01 00:00" in output
    assert "Store it as BTCUSDT perp 1m?" in output
    assert "BTCUSDT perp 1m: 5 rows new. Stored in var/data." in output


def test_an_import_that_nobody_confirms_is_refused():
    with pytest.raises(ConfigError, match=r"columns are guessed and nobody confirmed them: timestamp.*--yes.*--column"):
        run("import", file_of(bars()))
    assert not Path("var").exists()


def test_columns_that_are_all_named_need_no_confirmation():
    file = file_of(bars(), "mine.csv", "when,first,top,bottom,last,size")
    names = {"timestamp": "when", "open": "first", "high": "top", "low": "bottom", "close": "last", "volume": "size"}
    given = [word for ours, theirs in names.items() for word in ("--column", f"{ours}={theirs}")]
    code, output = run("import", file, "--pair", "ETHUSDT", "--market", "spot", *given)
    assert (code, "ETHUSDT spot 1m: 5 rows new" in output) == (0, True)
    assert run("check", file, "--market", "spot", *given)[0] == 0


def test_what_an_import_replaces_is_said():
    run("import", file_of(bars()), "--yes")
    changed = [line.replace("100.5", "100.6") for line in bars(7)]
    assert "2 rows new, 5 written again (5 with other values)" in run("import", file_of(changed), "--yes")[1]


def test_a_check_lists_what_it_found_with_time_and_count_and_ends_with_1_where_a_run_is_refused():
    file = file_of([*bars(8, skip=(2, 3)), f"{START + 60_000 * 8},100,90,99,100,0"])
    code, output = run("check", file)
    assert code == 1
    assert "2 × gap, 1 × high below low" in output
    assert "a run on it is refused" in output
    row = next(line for line in output.splitlines() if line.strip().startswith("gap"))
    assert row.split() == ["gap", "2024-01-01", "00:02", "2024-01-01", "00:03", "2"]


def test_gaps_alone_are_no_failure_and_many_findings_are_cut_short_but_not_in_json():
    file = file_of(bars(200, skip=range(1, 199, 3)))
    code, output = run("check", file)
    assert code == 0
    assert "gap: 46 more runs (all with --json)" in output
    assert len(json.loads(run("check", file, "--json")[1])[0]["findings"]) == 66


@pytest.mark.parametrize("command", ["list", "check"])
@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_a_corrupt_file_of_the_store_is_named_and_the_rest_is_shown(command, as_json, capsys):
    for pair in ("BTCUSDT", "ETHUSDT"):
        assert run("import", file_of(bars(10)), "--pair", pair, "--market", "perp", "--yes")[0] == 0
    Path("var/data/BTCUSDT/perp/1m/2024-01.parquet").write_bytes(b"PAR1")
    with pytest.raises(SystemExit) as caught:
        main(["data", command, *as_json])
    printed = capsys.readouterr()
    assert caught.value.code == 1
    assert "ETHUSDT" in printed.out
    assert "BTCUSDT/perp/1m/2024-01.parquet: is no Parquet file that can be read" in printed.err


def test_a_bound_for_jumps_can_be_given():
    file = file_of([*bars(3), f"{START + 180_000},120,121,119,120,1"])
    assert "1 × jump" in run("check", file)[1]
    assert "nothing found (jumps beyond 50% would be listed)" in run("check", file, "--jump", "0.5")[1]


def test_an_empty_store_says_how_to_begin():
    for command in ("list", "check"):
        code, output = run(command)
        assert (code, "Begin with: alpha-pulse data download" in output) == (0, True)
    assert json.loads(run("list", "--json")[1]) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("download", "BTCUSDT", "--since", "yesterday"), "--since = 'yesterday': is no time"),
        (("download", "BTCUSDT", "--since", "2024-01-01", "--until", "x"), "--until = 'x': is no time"),
        (("download", "XXX", "--since", "2024-01-01"), "symbol = 'XXX': is not a pair"),
        (("download", "BTCUSDT", "--since", "2024-01-01", "--market", "moon"), "--market = 'moon': is no market"),
        (("download", "BTCUSDT", "--since", "2024-01-01", "--market", "trades"), "is not downloaded, only imported"),
        (("download", "BTCUSDT", "--since", "2024-01-01", "--exchange", "binanceusdx"), "did you mean binanceusdm"),
        (("check", "BTCUSDT"), "the store in var/data holds nothing of it"),
        (("check", "absent.csv"), "there is no such file"),
        (("check", "--jump", "0"), "--jump = 0.0: must lie between 0 and 10"),
        (("check", "."), "cannot be read: Is a directory"),
        (("import", "absent.csv"), "there is no such file"),
        (("import", "five.csv", "--yes", "--root", "one.csv"), "is a file, not a folder"),
        (("download", "BTCUSDT", "--since", "2024-01-01", "--root", "one.csv"), "is a file, not a folder"),
        (("import", "one.csv", "--column", "open"), "--column = 'open': is no assignment"),
        (("import", "one.csv", "--yes"), "has fewer than two rows"),
        (("list", "XXX"), "symbol = 'XXX'"),
    ],
)
def test_what_was_typed_wrongly_is_named(arguments, words, capsys):
    file_of(bars(1), "one.csv")
    file_of(bars(5), "five.csv")
    with pytest.raises(SystemExit) as caught:
        main(["data", *arguments, *(("--pair", "BTCUSDT", "--market", "perp") if arguments[0] == "import" else ())])
    printed = capsys.readouterr()
    assert caught.value.code == 2
    assert words in printed.err
    assert "Traceback" not in printed.err


def test_every_command_explains_itself():
    for command in ("download", "list", "check", "import"):
        assert "Usage:" in run(command, "--help")[1]
