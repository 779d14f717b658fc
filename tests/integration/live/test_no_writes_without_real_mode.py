"""Paper and recommendation mode on a live market: whatever happens, no signed request leaves, though the keys lie ready."""

from decimal import Decimal

import pytest

from alpha_pulse.domain.events import EventKind
from alpha_pulse.fake_exchange.config import DEFAULT_KEY, DEFAULT_SECRET
from tests.integration.live.sudden import lively


@pytest.mark.parametrize("mode", ["paper", "recommendation"])
async def test_no_signed_request_ever_leaves(tmp_path, monkeypatch, mode):
    monkeypatch.setenv("EXCHANGE_API_KEY", DEFAULT_KEY)
    monkeypatch.setenv("EXCHANGE_API_SECRET", DEFAULT_SECRET)
    async with lively(tmp_path, {"mode": mode, "hedge": {"escalate_after_s": 0}}) as rehearsal:
        rehearsal.fake.faults.add("GET /fapi/*", "status", times=3, after=20, status=503)
        await rehearsal.until(lambda: rehearsal.live.last is not None)
        for price in (96_000, 99_000, 70_000, 95_000):
            rehearsal.move(price)
            rehearsal.fake.venue.settle_funding("BTCUSDT", Decimal("0.001"))
            seen = rehearsal.live.broker.feed.latest(rehearsal.live.symbol)
            await rehearsal.until(lambda seen=seen: rehearsal.live.broker.feed.latest(rehearsal.live.symbol) is not seen)
        kinds = {EventKind.ORDER_INTENDED} if mode == "paper" else set(EventKind)
        assert await rehearsal.events(*kinds)
        assert await rehearsal.stop() == 0
        venue = rehearsal.fake.venue
        assert venue.orders() == []
        assert venue.algo_orders() == []
        assert [r for r in venue.log if r.method != "GET" or r.account or "signature" in r.params] == []
