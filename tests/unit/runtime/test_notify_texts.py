"""What an alert says."""

from __future__ import annotations

import pytest

from alpha_pulse.domain.events import Event, EventKind
from alpha_pulse.runtime.masking import forget_secrets, register_secret
from alpha_pulse.runtime.notify.config import Severity, Topic
from alpha_pulse.runtime.notify.texts import Notice, notices, plain
from alpha_pulse.testing.bookings import SYMBOL, fill_event, funding_event, make_fill, make_payment


def event(kind: EventKind, **payload: object) -> Event:
    return Event(kind, 1_738_582_543_000, "t", payload)


def only(*events: Event) -> Notice:
    (notice,) = notices(events, SYMBOL)
    return notice


def test_a_fill_says_pair_units_purpose_fee_and_time():
    notice = only(fill_event(make_fill(ts_ms=1_738_582_543_000)))
    assert (notice.topic, notice.severity, notice.title) == (Topic.FILLS, Severity.INFO, "BTCUSDT: filled")
    assert notice.body == "BTCUSDT: Sold 0.1 BTC at 100 USDT (grid, maker, fee 0.002 USDT).\n2025-02-03 11:35:43 UTC"


def test_many_fills_are_one_message_that_counts_what_it_does_not_list():
    notice = only(*(fill_event(make_fill(trade=f"t{n}")) for n in range(7)))
    assert notice.title == "BTCUSDT: 7 fills"
    assert notice.body.count("old 0.1 BTC") == 5
    assert "and 2 more" in notice.body


def test_funding_says_whether_it_was_paid_or_received():
    assert "Funding received: 0.5 USDT on a position of -0.1 BTC, rate 0.0100% for 8 h" in only(funding_event(make_payment())).body
    paid = only(funding_event(make_payment("-0.25")))
    assert (paid.topic, paid.title) == (Topic.FUNDING, "BTCUSDT: funding paid")
    assert "Funding paid: 0.25 USDT" in paid.body


@pytest.mark.parametrize(
    ("made", "topic", "severity", "words"),
    [
        (event(EventKind.STOP_LATCHED, reference=95_000.0), Topic.RISK, Severity.CRITICAL, "until price is back at 95,000 USDT"),
        (event(EventKind.STOP_RELEASED, reference=95_000.0), Topic.RISK, Severity.INFO, "latch is released"),
        (
            event(EventKind.DRAWDOWN_LATCHED, drawdown=0.2, nav=81_000.5),
            Topic.RISK,
            Severity.CRITICAL,
            "20.0% reached its limit (NAV 81,000.5",
        ),
        (
            event(EventKind.RISK_STATE_CHANGED, before="normal", after="halted", reasons=["the chain is broken"]),
            Topic.HALTS,
            Severity.CRITICAL,
            "HALTED (was NORMAL): nothing new is ordered, the stop stays. Why: the chain is broken",
        ),
        (
            event(EventKind.RISK_STATE_CHANGED, before="normal", after="margin_reduce", reasons=[]),
            Topic.RISK,
            Severity.CRITICAL,
            "top up the perpetual wallet",
        ),
        (event(EventKind.ALERT, key="liquidation", text="Top up by 5.00 USDT"), Topic.RISK, Severity.CRITICAL, "Top up by 5.00 USDT"),
        (event(EventKind.ALERT, key="value at risk", text="VaR (2) exceeds limit (1)"), Topic.RISK, Severity.WARNING, "VaR (2)"),
        (event(EventKind.ALERT, key="stream silent", text="No pong for 30 s"), Topic.CONNECTION, Severity.WARNING, "No pong for 30 s"),
        (event(EventKind.ALERT, key="odd", text="x", level="info", topic="halts"), Topic.HALTS, Severity.INFO, "x"),
        (event(EventKind.TICK_SKIPPED, reason="stale"), Topic.CONNECTION, Severity.WARNING, "cannot be used: stale"),
        (event(EventKind.ORDER_UNKNOWN, order={}, reason="timeout"), Topic.CONNECTION, Severity.WARNING, "unknown (timeout)"),
        (event(EventKind.STARTED, settings={}, pair="BTCUSDT"), Topic.HALTS, Severity.INFO, "started"),
        (event(EventKind.STOPPED, reason="signal SIGTERM", cancelled=5, left=0), Topic.HALTS, Severity.INFO, "5 orders cancelled, 0 left"),
        (
            event(EventKind.STOPPED, reason="stopped", cancelled=5, left=1),
            Topic.HALTS,
            Severity.WARNING,
            "look at the orders that are left",
        ),
        (event(EventKind.STOPPED, reason="unexpected error: KeyError: 'x'", left=0), Topic.HALTS, Severity.CRITICAL, "alpha-pulse resume"),
        (event(EventKind.KILLED, command=1), Topic.HALTS, Severity.WARNING, "halt at once"),
        (event(EventKind.FLATTENED, command=1), Topic.HALTS, Severity.WARNING, "flatten"),
        (event(EventKind.RESUMED, command=1), Topic.HALTS, Severity.INFO, "Resumed"),
        (event(EventKind.FLOW, inventory="2", deposits="0", high_water_mark=1.0), Topic.RISK, Severity.INFO, "inventory is 2 BTC"),
    ],
)
def test_each_kind_has_its_topic_severity_and_words(made, topic, severity, words):
    notice = only(made)
    assert (notice.topic, notice.severity) == (topic, severity)
    assert words in notice.body
    assert notice.body.startswith("BTCUSDT: ")
    assert "BTCUSDT" in notice.title


def test_routine_is_not_told():
    assert not notices([event(EventKind.TICK), event(EventKind.ORDER_INTENDED), event(EventKind.ANCHOR_MOVED)], SYMBOL)


def test_markup_links_mentions_and_control_characters_are_inert():
    hostile = "<script>x</script> <b>*b* _i_ `c` [l](https://evil.example) @everyone <@1> ~~s~~ ||p|| # h\n> q \x1b[31m\u202e\0 &lt;"
    for notice in notices(
        [
            event(EventKind.ALERT, key=hostile, text=hostile),
            event(EventKind.RISK_STATE_CHANGED, before=hostile, after=hostile, reasons=[hostile]),
            event(EventKind.TICK_SKIPPED, reason=hostile),
            event(EventKind.STOPPED, reason=hostile, cancelled=hostile, left=hostile),
            fill_event(make_fill(fee_currency=hostile)),
        ],
        f"{hostile}/USDT:USDT",
    ):
        for text in (notice.title, notice.body):
            assert not set(text) & set("<>&*_`~|[]#@\\\x1b\u202e\0")
            assert "://" not in text
        assert "\n" not in notice.title
        assert len(notice.body.splitlines()) <= 3


def test_no_secret_is_in_a_text_and_no_text_is_endless():
    register_secret("planted_secret*1")
    try:
        notice = only(event(EventKind.ALERT, key="planted_secret*1", text="key planted_secret*1, signature=abcdef " + "x" * 5000))
    finally:
        forget_secrets()
    assert "planted" not in notice.title + notice.body
    assert "abcdef" not in notice.body
    assert len(notice.body) < 500


def test_nonsense_in_a_payload_is_shown_as_nothing():
    for kind in EventKind:
        for payload in ({}, {"fill": None, "payment": None, "drawdown": "NaN", "nav": "inf", "reasons": None, "reference": None}):
            notices([event(kind, **payload)], "nonsense")
    assert plain(None) == "None"


def test_a_repetition_has_the_same_identity_whatever_its_figures():
    one, two = (only(event(EventKind.ALERT, key="liquidation", text=f"Liquidation is {n} % away")) for n in (30, 29))
    assert (one.group, one.identity) == (two.group, two.identity)
    halted, normal = (only(event(EventKind.RISK_STATE_CHANGED, before="x", after=s, reasons=[])) for s in ("halted", "normal"))
    assert halted.group == normal.group
    assert halted.identity != normal.identity
