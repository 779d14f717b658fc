"""Which figures can be searched for, and which trials no other beats."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_pulse.backtest.search.front import knee, pareto_front
from alpha_pulse.backtest.search.objectives import OBJECTIVES, Figures, parse_objectives
from alpha_pulse.errors import ConfigError

BOTH = parse_objectives(["effectiveness", "cost"])


def test_a_figure_has_a_name_and_a_direction_which_can_be_turned():
    one, other, free = parse_objectives(["cost", "upside_capture:min", "markouts_bps.5 bars.maker:max"])
    assert (one.path, one.direction) == ("cost_per_month_fraction", "minimize")
    assert (other.direction, free.path, free.direction) == ("minimize", "markouts_bps.5 bars.maker", "maximize")
    assert one.better(0.1, 0.2)
    assert free.better(0.2, 0.1)


@pytest.mark.parametrize(
    ("given_names", "problem"),
    [
        ([], "nothing is searched for"),
        (["effectivness"], "write effectiveness"),
        (["cost:up"], "no such direction"),
        (["trading.fills"], "say what is better"),
        (["cost", "cost_per_month_fraction.x:min", "cost"], "given twice"),
    ],
)
def test_what_is_no_objective_is_refused(given_names, problem):
    with pytest.raises(ConfigError, match=problem):
        parse_objectives(given_names)


def test_a_figure_that_a_run_lacks_is_told_with_its_reason():
    figures = Figures({"hedge_effectiveness.1d": 0.5}, {"cost_per_month_fraction": "the run is shorter than a day"})
    assert figures.missing(BOTH) == "no cost: the run is shorter than a day"
    assert figures.missing([OBJECTIVES["sharpe"]]) == "no sharpe: the result has no such figure"


points = st.lists(st.tuples(st.integers(-5, 5).map(float), st.integers(-5, 5).map(float)), min_size=1, max_size=30)


@given(points)
def test_every_point_is_on_the_front_or_beaten_by_one_of_it(given_points):
    front = pareto_front(given_points, BOTH)
    for index, (effect, cost) in enumerate(given_points):
        beaten = any(given_points[i][0] >= effect and given_points[i][1] <= cost for i in front if i != index)
        assert (index in front) != beaten


@given(points)
def test_the_knee_is_one_of_the_front(given_points):
    front = [given_points[index] for index in pareto_front(given_points, BOTH)]
    assert 0 <= knee(front, BOTH) < len(front)


def test_the_knee_is_where_the_front_bulges_out_farthest():
    assert knee([(0.0, 0.0), (0.8, 0.1), (0.9, 0.5), (1.0, 1.0)], BOTH) == 1
    assert knee([(0.5, 0.5)], BOTH) == 0
