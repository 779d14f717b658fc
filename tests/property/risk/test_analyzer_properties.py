"""What must hold for any holdings and any answer of a model."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpha_pulse.domain.events import canonical_json, to_jsonable
from alpha_pulse.errors import ConfigError
from alpha_pulse.hedging.common.advice import Advice, AdviceSource, HedgeView, bounded_floor
from alpha_pulse.hedging.risk.analyzers.basic import BasicFuturesHedgeAnalyzer
from alpha_pulse.hedging.risk.analyzers.budget import DailyBudget
from alpha_pulse.hedging.risk.analyzers.llm_schema import AnswerRefused, read_answer, read_completion
from alpha_pulse.hedging.risk.analyzers.prompt import build_messages
from alpha_pulse.hedging.risk.analyzers.text import Cleaner

EXAMPLES = settings(max_examples=100, deadline=None)
SHARES = st.floats(0, 1)
SIZES = st.floats(-1e6, 1e6) | st.sampled_from([0.0, -0.0, 1e-13, 1e15, -1e15, 5e-324])
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def views(draw):
    return HedgeView(
        "BTCUSDT",
        inventory=draw(SIZES),
        perpetual=draw(SIZES),
        price=draw(st.floats(1e-6, 1e6)),
        wallet=draw(st.floats(-1e9, 1e9)),
        entry_price=draw(st.floats(1e-6, 1e6)),
        max_leverage=draw(st.floats(0.01, 100)),
    )


@EXAMPLES
@given(views(), SHARES, st.floats(0, 1e4), st.floats(1e4, 1e7))
def test_an_analysis_leads_towards_its_target_within_its_sizes_and_the_leverage_cap(view, target_ratio, least, most):
    found = BasicFuturesHedgeAnalyzer(min_adjustment_usd=least, max_adjustment_usd=most).analyze(view, target_ratio)
    inventory, position = (size if abs(size) >= 1e-12 else 0.0 for size in (view.inventory, view.perpetual))
    after = position + sum(a.side.sign * a.quantity for a in found.adjustments)
    target = -inventory * target_ratio
    scale = max(abs(position), abs(target), 1e-12)
    assert abs(target - after) <= abs(target - position) + 1e-9 * scale
    assert found.remainder == pytest.approx(target - after, rel=1e-6, abs=1e-9 * scale)
    assert min(position, target) - 1e-9 * scale <= after <= max(position, target) + 1e-9 * scale  # never past it
    for adjustment in found.adjustments:
        assert adjustment.quantity > 0
        assert least * (1 - 1e-6) <= adjustment.notional <= most * (1 + 1e-6)
    equity = view.wallet + position * (view.price - view.entry_price)
    carried = max(0.0, view.max_leverage * equity / view.price)
    assert abs(after) <= max(abs(position), carried) * (1 + 1e-9) + 1e-12
    if after * position < 0:
        assert abs(after) <= carried * (1 + 1e-9) + 1e-9 * scale
    assert found.commentary
    assert "nan" not in found.commentary


@EXAMPLES
@given(views(), st.text(max_size=200))
def test_a_question_is_json_whatever_the_figures_and_the_notes(view, notes):
    messages = build_messages(view, BasicFuturesHedgeAnalyzer().analyze(view, 0.5), notes)
    content = json.loads(messages[1]["content"], parse_constant=pytest.fail)
    assert content.get("notes", "") == notes.strip()
    assert messages[0] == build_messages(view, BasicFuturesHedgeAnalyzer().analyze(view, 0.5))[0]


@EXAMPLES
@given(SHARES, SHARES, SHARES)
def test_advice_only_raises_a_floor_and_never_beyond_its_bound(base, asked, tilt):
    advice = Advice(asked, "", AdviceSource.LLM, 0, 1, "", "", (), "", 0.0)
    floor = bounded_floor(base, advice, tilt)
    assert base <= floor <= min(1.0, base + tilt)
    assert floor <= max(base, asked) + 1e-15
    more = Advice(min(1.0, asked + 0.1), "", AdviceSource.LLM, 0, 1, "", "", (), "", 0.0)
    assert bounded_floor(base, more, tilt) >= floor


@EXAMPLES
@given(
    JSON
    | st.fixed_dictionaries({"floor": JSON | SHARES}, optional={"symbol": st.just("X"), "commentary": JSON, "size": JSON, "leverage": JSON})
)
def test_any_json_is_a_bounded_answer_or_a_refusal(value):
    try:
        answer, refused = read_answer(json.dumps(value), "X")
    except AnswerRefused:
        return
    assert type(answer.floor) is float
    assert 0.0 <= answer.floor <= 1.0
    assert len(answer.commentary) <= len(str(value.get("commentary", "")))
    for name in {"size", "leverage"} & value.keys():
        assert any(entry.startswith(f"{name}: ") for entry in refused)


@EXAMPLES
@given(st.text(max_size=300))
def test_any_text_is_a_completion_or_a_refusal(text):
    with pytest.raises(AnswerRefused):
        read_completion(text)
    with pytest.raises(AnswerRefused):
        read_completion(json.dumps({"choices": [{"message": {"content": text}}]})[:-1])


@EXAMPLES
@given(st.text(st.characters(), max_size=300), st.integers(1, 100))
def test_a_cleaned_text_can_be_hashed_shown_and_stored(text, limit):
    cleaned = Cleaner("key")(text, limit)
    assert cleaned.isprintable()
    assert "key" not in cleaned
    assert len(cleaned) <= limit + 40
    assert canonical_json(to_jsonable({"text": cleaned})).encode()


@EXAMPLES
@given(st.lists(st.tuples(st.integers(0, 3 * 86_400_000), st.floats(0, 1)), max_size=60), st.integers(0, 20), st.floats(0, 5))
def test_no_day_takes_more_than_its_budget(attempts, calls, cost):
    budget, taken = DailyBudget(calls, cost), {}
    for at, worst in sorted(attempts):
        if not budget.take(at, worst):
            taken.setdefault(at // 86_400_000, []).append(worst)
    for spent in taken.values():
        assert len(spent) <= calls
        assert math.fsum(spent) <= cost + 1e-9


@pytest.mark.parametrize("bad", [math.nan, 2.0, -1.0])
def test_a_floor_that_is_no_share_never_becomes_advice(bad):
    with pytest.raises(ConfigError):
        Advice(bad, "", AdviceSource.LLM, 0, 1, "", "", (), "", 0.0)
