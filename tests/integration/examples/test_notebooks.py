"""The notebooks as a reader runs them: every cell in a kernel of its own, in an empty folder, with all of their plots."""

from __future__ import annotations

import base64
import math
import re
import sys
from pathlib import Path
from statistics import NormalDist

import nbclient
import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def nothing_of_the_user(tmp_path, monkeypatch):
    """Jupyter as in a fresh checkout: kernels, settings and history of whoever runs the tests do not count. Gives an empty folder."""
    for variable in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / "jupyter"))
    for variable in ("JUPYTER_PATH", "MPLBACKEND"):
        monkeypatch.delenv(variable, raising=False)
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


async def executed(name, folder, replaced=None, timeout_s=60):
    """What the cells printed, by the cell's id, and the figures that they drew; ``replaced`` has other sources for cells, by their id."""
    book = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    for cell in book.cells:
        cell.source = (replaced or {}).get(cell.id, cell.source)
    client = nbclient.NotebookClient(book, kernel_name="python3", timeout=timeout_s, resources={"metadata": {"path": str(folder)}})
    await client.async_execute()  # a cell that fails raises
    printed: dict[str, str] = {}
    figures: dict[str, bytes] = {}
    for cell in book.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                assert output.name == "stdout", f"{cell.id} warns: {output.text}"
                printed[cell.id] = printed.get(cell.id, "") + output.text
            else:
                assert cell.id not in figures
                figures[cell.id] = base64.b64decode(output.data["image/png"])
    assert list(folder.iterdir()) == [], "a notebook leaves nothing behind"
    assert all(figure.startswith(PNG) and len(figure) > 5000 for figure in figures.values())
    return printed, set(figures)


def numbers(pattern, text):
    found = re.search(pattern, text)
    assert found, text
    return [float(group.replace(",", "")) for group in found.groups()]


COMPILES_S = 300  # where the compiled engine is used for the first time


def check_backtest(printed):
    """What must be in the output of the notebook of the backtest, whatever its market."""
    replayed, compiled = numbers(r"fills: ([\d,]+) by the replay, ([\d,]+) by the compiled engine, the same", printed["twin"])
    assert replayed == compiled > 5
    assert "fill rule: through" in printed["assumptions"]
    assert "static hedge: the run's own average position" in printed["assumptions"]
    hour = numbers(r"over 1 hour: grid ([\d.]+)%, static ([\d.]+)%, ceiling ([\d.]+)%", printed["effectiveness"])
    day = numbers(r"over 1 day: grid ([\d.]+)%, static ([\d.]+)%, ceiling ([\d.]+)%", printed["effectiveness"])
    for grid, static, ceiling in (hour, day):
        assert grid <= ceiling + 1.0
        assert static == pytest.approx(ceiling, abs=5.0)
    (count,) = numbers(r"fills +([\d,]+)", printed["rules"])
    through = re.findall(r"^hedge PnL per coin +\S+ +(\S+)", printed["rules"], re.MULTILINE)
    assert (count, len(through)) == (replayed, 2)
    assert re.search(r"^grid +[\d,]+ ", printed["ledger"], re.MULTILINE)
    assert "all together" in printed["ledger"]
    low, mean, high = (numbers(rf"{name} ([+-][\d.]+)%", printed["benchmark"])[0] for name in ("interval", "timing:", "to"))
    assert low < mean < high
    assert "out of sample only if" in printed["benchmark"] or "Set hedge.amplitude to 0" in printed["benchmark"]
    assert "In 20 resampled markets the hedge lost money in" in printed["paths"]
    assert printed["checks"] == "all hold\n"


async def test_the_notebook_of_the_backtest_runs_draws_and_computes(nothing_of_the_user):
    printed, figures = await executed("backtest", nothing_of_the_user, timeout_s=COMPILES_S)
    assert figures == {"path", "equity", "effectiveness", "attribution", "paths"}
    assert "SIMULATED MARKET (seed 7)" in printed["replay"]
    check_backtest(printed)


@pytest.mark.soak
@pytest.mark.market_data
async def test_the_notebook_of_the_backtest_runs_on_recorded_candles_too(nothing_of_the_user, market_data):
    names = {"spot": "spot_BTCUSDT_1h", "perp": "perp_BTCUSDT_1h", "funding": "funding_BTCUSDT", "mark": "mark_BTCUSDT_1h"}
    files = {name: str(market_data / f"binance_{stem}_2023-01_2024-06.parquet") for name, stem in names.items()}
    candles = f"candles = { ({'source': 'recorded', 'days': 120} | files)!r}"
    printed, figures = await executed("backtest", nothing_of_the_user, {"candles": candles}, COMPILES_S)
    assert figures == {"path", "equity", "effectiveness", "attribution", "paths"}
    assert "Recorded market: binance_perp_BTCUSDT_1h" in printed["replay"]
    check_backtest(printed)


async def test_the_notebook_of_the_spline_sizer_runs_draws_and_computes(nothing_of_the_user):
    printed, figures = await executed("spline_sizer", nothing_of_the_user)
    assert figures == {"curves", "monotone", "weight", "hedge", "contributions"}
    assert "knot 3 = (1.0, 0.3): its hedge is below 0.4" in printed["refused"]
    curve, weight, hedge = numbers(r"says ([\d.]+)%, times ([\d.]+) is a hedge of ([\d.]+)%", printed["hedge"])
    confidence = math.log(500_001) / math.log(10_000_001)
    assert (curve, weight, hedge) == (75.0, round(confidence, 3), round(75 * confidence, 1))
    parts = re.findall(r"^(\w+) +([\d.]+) +([\d.]+)% +([\d.]+) +([\d.]+)%$", printed["readings"], re.MULTILINE)
    assert [name for name, *_ in parts] == ["sentiment", "volatility", "momentum", "funding"]
    assert [float(share) for _, _, _, share, _ in parts] == [0.125, 0.375, 0.25, 0.25]
    (given,) = numbers(r"hedge ([\d.]+)% of", printed["readings"])
    assert given == pytest.approx(sum(float(part) for *_, part in parts) * math.log(400_001) / math.log(10_000_001), abs=0.25)
    assert "normalised: True" in printed["readings"]
    assert printed["checks"] == "all hold\n"


async def test_the_notebook_of_the_signal_engine_runs_draws_and_computes(nothing_of_the_user):
    printed, figures = await executed("signal_engine", nothing_of_the_user)
    assert figures == {"size", "funding", "sweep", "distributions", "methods"}
    # funding of 0.02 % · 3 · 365 = 21.9 % is full, the mean return is −1.375 %, volatility lies 1/5 of the way from 5 % to 10 %
    values = (-1.0, -0.01375 / 0.05, -0.2)
    combined, confidence = numbers(r"combined +(\S+) +confidence (\S+)", printed["decision"])
    assert combined == pytest.approx(0.3 * values[0] + 0.5 * values[1] + 0.2 * values[2], abs=6e-4)
    mean = sum(values) / 3
    assert confidence == pytest.approx(1 - sum((value - mean) ** 2 for value in values) / 3, abs=6e-4)
    assert "REDUCE_LONG, magnitude 0.642" in printed["decision"]  # 0.4775·(0.2 + 0.8·0.8702)·1.5
    assert re.findall(r"is ([\d.]+)% a year: signal (\S+)", printed["funding"]) == [
        ("26.28", "-1.00"),
        ("6.57", "-0.66"),
        ("3.29", "-0.33"),
    ]
    normal = NormalDist(0.004, 0.04)
    assert numbers(r"p_loss +([\d.]+)%", printed["distributions"]) == [round(100 * normal.cdf(0), 2)]
    assert numbers(r"var_5 +([\d.]+)%", printed["distributions"]) == [round(-100 * normal.inv_cdf(0.05), 2)]
    plain, fat = numbers(r"cvar_5 +([\d.]+)% +([\d.]+)%", printed["distributions"])
    assert plain == pytest.approx(100 * (-0.004 + 0.04 * NormalDist().pdf(NormalDist().inv_cdf(0.05)) / 0.05), abs=0.006)
    assert fat > plain
    assert printed["checks"] == "all hold\n"


async def test_the_notebook_of_calibration_runs_draws_and_computes(nothing_of_the_user):
    printed, figures = await executed("calibration", nothing_of_the_user)
    assert figures == {"markets", "signals", "equity", "trials"}
    assert "signal too good: The signal looks ahead: on bar 0" in printed["ahead"]
    honest, train, test = numbers(r"Sharpe ratio +(\S+)  \(train (\S+), test (\S+)\)", printed["backtest"])
    assert min(train, test) <= honest <= max(train, test)
    assert "10 bp fee, 5 bp slippage; 365.0 bars a year" in printed["backtest"]
    noise, trend = printed["calibrate"].split("TREND\n")
    for text, survives in ((noise, False), (trend, True)):
        assert ("the calibration survives" in text) is survives
        (training,) = numbers(r"\ntraining +(\S+)", text)
        (equal,) = numbers(r"\nequal, training +(\S+)", text)
        assert training >= equal
        shares = [float(share) for share in re.findall(r"\(([\d.]+)%\)", text)]
        assert sum(shares[:4]) == pytest.approx(100, abs=0.3)
    assert numbers(r"calibrated, test +(\S+)", printed["compare"]) == numbers(r"\ntest +(\S+)", trend)
    assert printed["checks"] == "all hold\n"


async def test_the_notebook_of_overfitting_runs_draws_and_computes(nothing_of_the_user):
    printed, figures = await executed("overfitting", nothing_of_the_user)
    assert figures == {"luck", "deflated", "pbo", "walk", "bootstrap", "intervals"}
    assert "It does not survive: 95% is asked for." in printed["luck"]
    assert re.findall(r"(\d+) tried: (\S+)", printed["deflated"]) == [("1", "1.0000"), ("46", "0.9505"), ("100", "0.9004")]
    (years,) = numbers(r"takes ([\d.]+) years", printed["deflated"])
    z = NormalDist().inv_cdf(0.95)
    assert years == pytest.approx((1 + (1 + 0.5 / 365) * z**2 * 365) / 365, abs=0.05)
    tosses, skill = numbers(r"lower half of the other in ([\d.]+)%[^%]+%[^%]+lower half of the other in ([\d.]+)%", printed["pbo"])
    assert (tosses > 20, skill <= 5) == (True, True)
    assert printed["walk"].count("It does not survive.") == 1
    assert printed["walk"].count("it survives.") == 1
    recorded, low, high = numbers(r"recorded (\S+); 90 % of the others from (\S+) to (\S+)", printed["bootstrap"])
    assert low < recorded < high
    assert printed["gate"].count("Set the amplitude to 0.") == 1
    assert "20 periods out of sample are too few" in printed["gate"]
    assert printed["checks"] == "all hold\n"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs_so_that_its_changes_can_be_read(path):
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    assert book.metadata.kernelspec.name == "python3"
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert {cell.id for cell in book.cells} >= {"title", "checks"}
    assert path.read_text(encoding="utf-8").endswith("}\n")


def test_the_kernel_is_the_one_of_this_environment(nothing_of_the_user):
    specs = KernelSpecManager()
    assert Path(specs.get_kernel_spec("python3").resource_dir).is_relative_to(sys.prefix)


def test_all_notebooks_are_tested():
    assert [path.stem for path in NOTEBOOKS] == ["backtest", "calibration", "overfitting", "signal_engine", "spline_sizer"]
