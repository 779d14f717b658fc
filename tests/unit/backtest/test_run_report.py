"""The HTML report and the console's tables."""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
from base64 import b64encode
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from rich.console import Console

from alpha_pulse.backtest import charts, tables
from alpha_pulse.backtest.bars import Bars
from alpha_pulse.backtest.charts import chart_data
from alpha_pulse.backtest.console import render
from alpha_pulse.backtest.metrics import Figure
from alpha_pulse.backtest.report import render_report
from alpha_pulse.backtest.result import paths_of, summarise
from alpha_pulse.backtest.shock_starts import start_of_record
from alpha_pulse.backtest.shock_text import shock_lines
from alpha_pulse.backtest.shocks import shock_table
from alpha_pulse.domain.orders import Purpose, Side
from alpha_pulse.hedging.risk.shocks import reading
from alpha_pulse.testing.records import BTC, RecordBuilder, wandering_record

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


class Page(HTMLParser):
    """Which tags, links and scripts a browser would see."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.scripts, self.kinds = [], [], [], []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append(tag)
        self.addresses += [v for k, v in attrs if k in {"src", "href", "srcset", "action"}]
        if tag == "script":
            self.scripts.append("")
            self.kinds.append(values.get("type"))
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "script"

    def handle_data(self, data):
        if self.inside:
            self.scripts[-1] += data


def page_of(record):
    bars = Bars.of(record)
    return render_report(record, summarise(record), bars, paths_of(record, bars))


def data_of(record):
    bars = Bars.of(record)
    return chart_data(record, summarise(record), bars, paths_of(record, bars))


def console_of(record, width=100):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    render(summarise(record), console)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def record():
    return wandering_record(days=8, seed=6)


@pytest.fixture(scope="module")
def text(record):
    return page_of(record)


def test_the_page_loads_nothing_and_is_small(text):
    page = Page(text)
    assert page.addresses == []
    assert "link" not in page.tags
    assert "img" not in page.tags
    assert re.findall(r"url\(|@import", text) == []
    assert len(text.encode()) < 400_000


def test_every_placeholder_was_filled(text):
    assert re.findall(r"\{\{\w+\}\}", text) == []


def test_only_the_pages_own_scripts_may_run(text):
    page = Page(text)
    assert page.kinds == ["application/json", None, None]
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    assert "default-src 'none'" in policy
    for script in page.scripts[1:]:
        assert f"'sha256-{b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy


def test_the_licence_of_the_chart_library_travels_with_it(text):
    assert "Permission is hereby granted" in text
    assert "Leon Sorokin" in text


def test_a_simulated_market_is_said_to_be_simulated_and_a_recorded_one_is_named(text, record):
    assert "SIMULATED MARKET (seed 6)" in text
    built = RecordBuilder(simulated=False, source="Binance BTCUSDT 1m")
    built.bar(100.0)
    built.bar(101.0)
    page = page_of(built.record)
    assert "SIMULATED" not in page
    assert "Recorded market: Binance BTCUSDT 1m" in page
    assert "SIMULATED MARKET (seed 6)" in console_of(record)


def test_markup_in_names_settings_and_notes_is_inert():
    pair = replace(BTC, base=EVIL, quote=EVIL, perpetual=f"{EVIL}/{EVIL}:{EVIL}")
    built = RecordBuilder(pair=pair, simulated=False, source=EVIL, settings={EVIL: EVIL, "paper": {"fill_rule": EVIL}})
    built.fill(Side.SELL, "0.5", "100")
    built.bar(100.0)
    built.bar(101.0)
    built.record.notes.append((built.open_ms, EVIL))
    page = Page(page_of(built.record))
    assert page.kinds == ["application/json", None, None]
    assert "img" not in page.tags
    assert json.loads(page.scripts[0])["base"] == EVIL


def test_rich_markup_in_names_is_inert_on_the_console():
    built = RecordBuilder(simulated=False, source="[red]not red[/red] [/]")
    built.bar(100.0)
    assert "[red]not red[/red] [/]" in console_of(built.record)


def test_the_tables_of_page_and_console_say_the_same(text, record):
    shown = console_of(record, width=140)
    result = summarise(record)
    for row in [*tables.state_rows(result), *tables.cost_rows(result), *tables.attribution_rows(result)]:
        assert row.value in shown
        assert row.value in text
    for row in tables.path_rows(result):
        assert row.end in shown
        assert row.drawdown in text


def test_the_assumptions_stand_above_the_figures(record, text):
    shown = console_of(record, 160)
    assert shown.startswith("Assumptions\nfill rule")
    for words in summarise(record).assumptions.values():
        assert words in shown
    assert text.index("What these figures assume") < text.index("Where it ended")


def test_a_chart_that_cannot_be_shrunk_scrolls_in_a_box_of_its_own(text):
    assert text.count('<div class="chart"><svg') == text.count("<svg")
    assert ".chart { overflow-x: auto; }" in text
    assert ".chart svg { min-width: 960px; }" in text[text.index("@media screen and (max-width: 560px)") :]


def test_on_a_narrow_screen_a_reason_has_a_line_of_its_own(text):
    narrow = text[text.index("@media screen and (max-width: 560px)") :]
    assert "#decisions .words, #verdict .words { grid-column: 1 / -1; min-width: 0; padding-left: 0; }" in narrow


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_figures_on_the_console_fit_one_screen(record, width):
    lines = console_of(record, width).splitlines()
    assert len(lines[lines.index("") :]) <= 45
    assert all(len(line) <= width for line in lines)
    assert not any("…" in line for line in lines)


def test_the_console_names_the_report():
    built = RecordBuilder()
    built.bar(100.0)
    console = Console(file=io.StringIO(), width=40, color_system=None)
    render(summarise(built.record), console, "/a/long/path/that/must/not/be/broken/into/lines/report.html")
    assert "Report: /a/long/path/that/must/not/be/broken/into/lines/report.html" in console.file.getvalue()


def test_the_verdict_says_what_the_hedge_cost_or_earned(record):
    assert "the hedge cost" in tables.verdict(summarise(record)) or "the hedge earned" in tables.verdict(summarise(record))
    built = RecordBuilder(bar_ms=3_600_000)
    built.fill(Side.SELL, "1", "100")
    for hour in range(30):
        if hour == 8:
            built.fund("0.01", 100.0)
        built.bar(100.0)
    result = summarise(built.record)
    assert "the hedge earned" in tables.verdict(result)
    assert "The hedge earned" in page_of(built.record)


def costly(days):
    """A hedge of half a coin that pays a taker fee of 25 on opening."""
    built = RecordBuilder(bar_ms=21_600_000)
    built.fill(Side.SELL, "0.5", "100000", taker=True)
    for _ in range(4 * days + 1):
        built.bar(100_000.0)
    return built.record


def test_a_short_run_foretells_no_month():
    short = summarise(costly(3))
    assert "the hedge cost 25.00 USDT per coin (0.03 % of the price) in these 3 days, too few to say" in tables.verdict(short)
    assert tables.cost_rows(short)[-1].note == "per coin and 3 days, exposure aside"
    assert '0.03 %</p><p class="note">of the coin&#x27;s price in 3 days' in page_of(costly(3))
    month = summarise(costly(30))
    assert "the hedge cost 25.00 USDT per coin and month (0.03 % of the price)." in tables.verdict(month)
    assert tables.cost_rows(month)[-1].note == "per coin and 30 days, exposure aside"


def capped(ratio):
    built = RecordBuilder()
    built.fill(Side.SELL, ratio, "100")
    for price in (100.0, 110.0, 105.0):
        built.bar(price, target=-float(ratio))
        built.record.cap.append(float(ratio))
    return summarise(built.record)


def test_the_verdict_says_when_a_cap_has_sized_the_hedge():
    result = capped("0.1")
    assert "For 100 % of the time a cap held the hedge down" in tables.verdict(result)
    assert "it ended at 10.0 % of the inventory." in tables.verdict(result)
    deeper = replace(result, hedged=replace(result.hedged, max_drawdown=Figure(0.22)))
    assert "deeper than without a hedge: 22.0 %, not 0.0 %." in tables.verdict(deeper)
    assert "a cap held" not in tables.verdict(capped("1"))


def test_a_market_neutral_run_has_its_own_words_and_panel():
    built = RecordBuilder(inventory="0")
    built.fill(Side.BUY, "0.5", "100")
    for price in (100.0, 101.0, 102.0):
        built.bar(price, target=0.5)
    result = summarise(built.record)
    assert "Market-neutral grid on BTC" in tables.headline(result)
    assert "no coins to protect" in tables.verdict(result)
    assert "Position against its target" in page_of(built.record)
    assert data_of(built.record)["panels"]["ratio"]["series"][0]["values"] == [0.5, 0.5, 0.5]
    assert any(row.label == "Long" for row in tables.state_rows(result))


def test_a_net_worth_below_zero_shows_its_drawdown_in_money():
    built = RecordBuilder(inventory="-1", wallet="50")
    built.bar(100.0)
    built.bar(110.0)
    panel = data_of(built.record)["panels"]["drawdown"]
    assert panel["unit"] == "USDT"
    assert panel["series"][1]["values"] == [0, -10]
    assert "n/a" in console_of(built.record)
    assert "−10.00" in page_of(built.record)


def test_a_run_of_one_bar_and_a_run_without_targets_have_a_page():
    built = RecordBuilder(settings={})
    built.bar(100.0, target=math.nan, ratio=math.nan, floor=math.nan)
    page = page_of(built.record)
    assert "Nothing but fills and funding." in page
    assert data_of(built.record)["panels"]["ratio"]["series"][1]["values"] == [None]


def test_charts_keep_their_extremes_within_a_bounded_number_of_points(record):
    panel = data_of(record)["panels"]["price"]
    values = panel["series"][0]["values"]
    assert len(values) <= charts.MAX_POINTS + 2
    assert max(values) == max(record.last)
    assert min(values) == min(record.last)
    assert panel["t"][0] == 0
    assert panel["t"][-1] == (record.ts_ms[-1] - record.ts_ms[0]) / 1000


def test_the_hedge_ratio_is_shown_with_its_target_and_floor(record):
    series = {s["key"]: s["values"] for s in data_of(record)["panels"]["ratio"]["series"]}
    assert set(series) == {"position", "target", "floor"}
    assert series["position"][-1] == pytest.approx(-record.position[-1], abs=1e-4)
    assert series["floor"][-1] == 0.3


def test_markers_tell_makers_takers_and_stops_apart():
    built = RecordBuilder()
    built.fill(Side.SELL, "0.50", "100")
    built.fill(Side.BUY, "0.1", "100", taker=True)
    built.fill(Side.SELL, "0.1", "99", taker=True, purpose=Purpose.STOP)
    built.bar(100.0)
    assert data_of(built.record)["fills"] == [[0, 100, -1, 0, "0.5"], [0, 100, 1, 1, "0.1"], [0, 99, -1, 2, "0.1"]]


def test_of_too_many_fills_takers_and_stops_are_all_kept():
    built = RecordBuilder()
    for i in range(40):
        built.fill(Side.SELL if i % 2 else Side.BUY, "0.1", "100", taker=i in {7, 31})
        built.bar(100.0)
    shown = charts.markers(built.record, 0, most=10)
    assert len(shown) == 10
    assert sum(kind for _, _, _, kind, _ in shown) == 2
    assert shown == sorted(shown, key=lambda marker: marker[0])
    assert len(charts.markers(built.record, 0, most=1)) == 1


def test_the_grid_is_kept_as_steps_and_not_per_bar():
    built = RecordBuilder(settings={"grid": {"num_levels": 3, "spacing": "arithmetic"}})
    for anchor, spacing in ((0.0, 0.0), (100.0, 0.01), (100.0, 0.01), (110.0, 0.01), (110.0, 0.02)):
        built.bar(100.0, anchor=anchor, spacing=spacing)
    grid = data_of(built.record)["grid"]
    assert grid["steps"] == [[0, 0, 0], [60, 100, 0.01], [180, 110, 0.01], [240, 110, 0.02]]
    assert grid["levels"] == 3
    assert grid["geometric"] is False


def test_a_grid_that_moves_on_every_bar_is_thinned():
    built = RecordBuilder()
    for i in range(700):
        built.bar(100.0, anchor=100.0 + i)
    assert len(data_of(built.record)["grid"]["steps"]) == charts.MAX_GRID_STEPS


def test_a_page_shows_some_hundred_notes_and_says_how_many_more():
    built = RecordBuilder()
    built.bar(100.0)
    built.record.notes.extend((built.open_ms, f"note {i}") for i in range(305))
    page = page_of(built.record)
    assert "note 299" in page
    assert "note 300" not in page
    assert "5 more in result.json" in page


@pytest.mark.parametrize(
    ("value", "shown"), [(1234.5, "+1,234.50"), (-0.004, "0.00"), (0.0, "0.00"), (-1234567.891, "−1,234,567.89"), (0.01, "+0.01")]
)
def test_money_has_a_real_minus_a_plus_and_no_sign_on_nothing(value, shown):
    assert tables.money(value) == shown


@pytest.mark.parametrize(("days", "shown"), [(30, "30 days"), (29.9993, "30 days"), (1.5, "36 hours"), (0, "0 hours")])
def test_a_span_is_told_in_the_unit_that_a_person_would_use(days, shown):
    assert tables.span(days) == shown


# --- price shocks -------------------------------------------------------------------------------------------------
def test_the_page_shows_what_price_shocks_would_do_to_what_the_run_ended_with(text, record):
    table = shock_table(start_of_record(record))
    section = text[text.index('id="shocks"') :]
    assert reading(table) in section
    for line in shock_lines(table):
        for cell in (line.move, line.price, line.unhedged, *line.dead, *line.alive):
            assert f">{cell}<" in section
    assert section.count("<polyline") == 3
    assert all(name in section for name in ("bot dead", "bot alive", "Unhedged"))


def test_the_chart_of_shocks_stays_inside_its_frame(text):
    points = [tuple(map(float, p.split(","))) for line in re.findall(r'polyline points="([^"]+)"', text) for p in line.split()]
    width, height = map(float, re.search(r'svg viewBox="0 0 (\d+) (\d+)"', text).groups())
    assert len(points) == 3 * 13
    assert all(0 < x < width and 0 < y < height for x, y in points)


def test_a_run_whose_settings_cannot_be_read_says_so_without_a_table():
    built = RecordBuilder(settings={"hedge": {"ratio": EVIL}})
    built.bar(100_000.0)
    page = page_of(built.record)
    assert "Not computed: " in page
    assert EVIL not in page


def test_a_liquidated_run_has_no_shocks_to_fear():
    built = RecordBuilder()
    built.fill(Side.BUY, "0.5", "100000", taker=True)
    built.record.fills[0] = replace(built.record.fills[0], client_order_id="autoclose1")
    built.bar(100_000.0)
    assert "the venue liquidated the position in this run" in page_of(built.record)


def test_a_neutral_run_has_no_hedge_ratio_in_its_shocks():
    settings = {"risk": {"max_position_size": 1}, "inventory": {"quantity": 0}, "paper": {"quote_balance": 100_000}}
    built = RecordBuilder(inventory="0", settings=settings)
    built.bar(100_000.0)
    page = page_of(built.record)
    assert 'id="shocks"' in page
    assert page[page.index('id="shocks"') :].count(">n/a<") >= 26
