"""Whatever is sent, the answer is an answer or a problem document, never a failure of the service."""

from contextlib import asynccontextmanager

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from alpha_pulse.service.app import create_app
from alpha_pulse.service.problems import ProblemDocument
from alpha_pulse.service.settings import load_service_settings
from alpha_pulse.testing.decision_log import MemoryDecisionLog
from alpha_pulse.testing.service import FixedScores

NUMBERS = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.sampled_from([0, 1, 0.5, 1e12, 1e308, 5e-324])
NAMES = st.sampled_from(["sentiment", "funding", "BTC", "momentum", "__proto__", "", "x" * 70]) | st.text(max_size=5)
ANYTHING = st.recursive(
    NUMBERS | NAMES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
HEDGE = st.fixed_dictionaries(
    {"asset": st.just("BTC") | ANYTHING, "amount_usd": NUMBERS},
    optional={"override_score": NUMBERS, "depth_usd": NUMBERS, "more": ANYTHING},
)
MULTI = st.fixed_dictionaries(
    {"asset": st.just("BTC"), "amount_usd": st.just(1.0), "signals": st.dictionaries(NAMES, NUMBERS | st.floats(0, 1), max_size=3)},
    optional={"weights": st.dictionaries(NAMES, NUMBERS | st.floats(0, 1e6), max_size=3), "depth_usd": NUMBERS},
)
SIGNAL = st.fixed_dictionaries(
    {"name": NAMES, "weight": NUMBERS | st.floats(0, 1)},
    optional={
        "value": NUMBERS | st.floats(-1, 1),
        "normalizer": st.sampled_from(["funding_rate", "orderbook_imbalance", "price_momentum", "volatility_regime", "zscore", "other"]),
        "readings": st.lists(st.floats(-1e30, 1e30) | NUMBERS, max_size=4),
        "description": st.text(max_size=20),
    },
)
SIGNALS = st.fixed_dictionaries({"position_delta_usd": st.floats(-1e30, 1e30) | NUMBERS, "signals": st.lists(SIGNAL, max_size=3)})
WIDE = st.floats(-1e30, 1e30) | st.floats(0, 1) | NUMBERS
ASSESS = st.fixed_dictionaries(
    {
        "position": st.fixed_dictionaries({"asset": NAMES, "size": WIDE, "entry_price": WIDE, "age_minutes": WIDE}),
        "market": st.fixed_dictionaries(
            dict.fromkeys(
                ("current_price", "volatility_1d", "spot_spread_bps", "perp_funding_rate", "bid_depth_usd", "ask_depth_usd"), WIDE
            )
        ),
    },
    optional={"config": st.dictionaries(st.sampled_from(["max_loss_pct", "urgent_minutes", "reduce_score", "x"]), WIDE, max_size=3)},
)
QUESTIONS = {"/hedge": HEDGE, "/hedge/multi": MULTI, "/signals": SIGNALS, "/assess": ASSESS}
APP = create_app(load_service_settings({}), log=MemoryDecisionLog(), scores=FixedScores({"BTC": 0.5}))


@asynccontextmanager
async def client():
    transport = httpx.ASGITransport(app=APP, client=("127.0.0.1", 1))
    async with APP.router.lifespan_context(APP), httpx.AsyncClient(transport=transport, base_url="http://localhost") as asking:
        yield asking


def written(body):
    """JSON as a careless client writes it: NaN and infinities included."""
    import json  # noqa: PLC0415 - beside its one use

    return json.dumps(body).encode("utf-8", "surrogatepass")


def check(answer):
    assert answer.status_code < 500, answer.text
    if answer.is_error:
        assert answer.headers["content-type"] == "application/problem+json"
        assert ProblemDocument.model_validate_json(answer.content).status == answer.status_code
    else:
        assert "NaN" not in answer.text
        assert "Infinity" not in answer.text


@pytest.mark.parametrize("path", QUESTIONS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
async def test_no_question_makes_the_service_fail(path, data):
    bodies = data.draw(st.lists(QUESTIONS[path] | ANYTHING, min_size=10, max_size=20))
    async with client() as asking:
        for body in bodies:
            check(await asking.post(path, content=written(body), headers={"content-type": "application/json"}))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.binary(max_size=60), min_size=10, max_size=20))
@example([b"[" * 60_000, b'{"a":' * 9000, b"\xff", b'"\\ud800"'])
async def test_no_bytes_make_the_service_fail(bodies):
    async with client() as asking:
        for body in bodies:
            answer = await asking.post("/hedge", content=body, headers={"content-type": "application/json"})
            assert answer.status_code in {400, 422}
            check(answer)
