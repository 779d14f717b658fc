import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_pulse.domain.orders import Purpose, Side
from alpha_pulse.execution.venues import dialect_for
from alpha_pulse.hedging.common.order_ids import MOST_NODES, OrderName, bot_tag, order_id

VENUES = ["binanceusdm", "bybit", "okx", "gate", "kucoinfutures", "bitget", "hyperliquid", "krakenfutures", "phemex"]
LIMITS = {"binanceusdm": 36, "bybit": 36, "okx": 32, "gate": 28, "kucoinfutures": 40, "bitget": 50, "hyperliquid": 34, "krakenfutures": 18}
NAMES = st.builds(
    OrderName,
    st.sampled_from([Purpose.GRID, Purpose.REBALANCE, Purpose.FLOOR, Purpose.STOP]),
    st.sampled_from(Side),
    st.integers(-MOST_NODES, MOST_NODES),
    st.integers(0, 36**7 - 1),
)
OURS = st.builds(lambda account, name: order_id(bot_tag(account, "BTC/USDT:USDT"), name), st.text(max_size=5), NAMES)


@pytest.mark.parametrize("venue", VENUES)
@given(ours=OURS)
def test_every_id_comes_back_and_fits(venue, ours):
    dialect = dialect_for(venue)
    theirs = dialect.to_venue_id(ours)
    assert dialect.from_venue_id(theirs) == ours
    assert len(theirs) <= LIMITS.get(venue, 32)
    assert set(theirs) <= set(string.ascii_letters + string.digits + ("-" if venue == "gate" else ""))


@pytest.mark.parametrize("venue", VENUES)
@given(ids=st.sets(OURS, min_size=2, max_size=2))
def test_no_two_ids_become_one(venue, ids):
    dialect = dialect_for(venue)
    assert len({dialect.to_venue_id(ours) for ours in ids}) == 2


@pytest.mark.parametrize("venue", VENUES)
@given(theirs=st.text(max_size=40) | st.from_regex(r"0x[0-9a-f]{32}", fullmatch=True) | st.from_regex(r"t-[a-z0-9]{1,26}", fullmatch=True))
def test_a_strangers_id_comes_back_as_it_is(venue, theirs):
    back = dialect_for(venue).from_venue_id(theirs)
    assert back == theirs or dialect_for(venue).to_venue_id(back) == theirs.lower()


@pytest.mark.parametrize("venue", VENUES)
def test_no_id_is_an_empty_text(venue):
    assert dialect_for(venue).from_venue_id(None) == ""


def test_hyperliquid_gets_128_bits_in_hexadecimal_and_its_case_does_not_matter():
    dialect = dialect_for("hyperliquid")
    theirs = dialect.to_venue_id("apzzzzzzzzzzzzzzzz")
    assert len(theirs) == 34
    assert dialect.from_venue_id(theirs.upper().replace("X", "x")) == "apzzzzzzzzzzzzzzzz"
    assert dialect.from_venue_id("0x616c7068" + "f" * 24) == "0x616c7068" + "f" * 24  # marked, but no id of ours


@pytest.mark.parametrize("venue", ["okx", "gate", "hyperliquid"])
@pytest.mark.parametrize("ours", ["", "ap", "AP0000000000000000", "bp0000000000000000", "ap00000000000000001"])
def test_what_is_no_id_of_ours_is_not_sent(venue, ours):
    with pytest.raises(ValueError, match="no client order id of ours"):
        dialect_for(venue).to_venue_id(ours)
