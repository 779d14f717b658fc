import math

import pytest

from alpha_pulse.domain.market import Bar
from alpha_pulse.market.sanity import problem_with
from tests.unit.market.market_fakes import update

GOOD = Bar(100.0, 101.0, 99.0, 100.0, 2.0)


def test_a_sound_update_has_no_problem():
    assert problem_with(update()) == ""
    assert problem_with(update(spot=None)) == ""
    assert problem_with(update(bid=100.0, ask=100.0)) == ""
    assert problem_with(update(settled_rate=-0.01)) == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"perp": GOOD._replace(close=0.0, low=0.0)}, "perpetual's low is 0.0"),
        ({"perp": GOOD._replace(close=math.nan)}, "perpetual's close is nan"),
        ({"perp": GOOD._replace(high=math.inf)}, "perpetual's high is inf"),
        ({"perp": GOOD._replace(open=-1.0)}, "perpetual's open is -1.0"),
        ({"perp": GOOD._replace(high=99.5)}, "inconsistent"),
        ({"perp": GOOD._replace(low=100.5)}, "inconsistent"),
        ({"perp": GOOD._replace(volume=-1.0)}, "volume is -1.0"),
        ({"perp": GOOD._replace(volume=math.nan)}, "volume is nan"),
        ({"mark": GOOD._replace(close=math.nan)}, "mark's close is nan"),
        ({"mark": GOOD._replace(low=0.0)}, "mark's low is 0.0"),
        ({"spot": GOOD._replace(close=0.0, low=0.0)}, "spot's low is 0.0"),
        ({"spot": GOOD._replace(volume=math.inf)}, "spot's volume is inf"),
        ({"index_price": 0.0}, "index price is 0.0"),
        ({"index_price": math.nan}, "index price is nan"),
        ({"bid": math.nan}, "bid is nan"),
        ({"ask": math.inf}, "ask is inf"),
        ({"bid": 101.0, "ask": 100.0}, "crossed"),
        ({"funding_rate": math.nan}, "funding rate is nan"),
        ({"funding_rate": 1.5}, "funding rate is 1.5"),
        ({"settled_rate": math.nan}, "settled funding rate is nan"),
    ],
)
def test_what_cannot_be_used_is_named(changes, words):
    assert words in problem_with(update(**changes))
