"""Ratios far apart stand on a logarithmic axis, with ticks that say what they are."""

import pytest

from studio.measures.plots import Point, Series, forest
from studio.measures.ratio_plots import ratio_forest


def axis(*points):
    figure = ratio_forest(["a"] * len(points), [Series(name="s", points=points)], x_title="x")
    return figure, figure["layout"]["xaxis"]


def test_ratios_far_apart_are_on_a_logarithmic_axis() -> None:
    figure, x = axis(Point(value=1.2, low=1.1, high=1.3), Point(value=6.0, low=0.9, high=15.0))
    assert x["type"] == "log"
    low, high = (10**bound for bound in x["range"])
    assert low < 0.9 < 15.0 < high
    assert [float(text) for text in x["ticktext"]] == x["tickvals"]
    assert sum(low <= tick <= high for tick in x["tickvals"]) >= 4
    assert figure["data"][0]["x"] == [1.2, 6.0]
    assert figure["data"][0]["error_x"]["array"] == pytest.approx([0.1, 9.0])


def test_ratios_close_together_stay_on_a_linear_one() -> None:
    points = Point(value=1.2, low=1.1, high=1.3), Point(value=None)
    figure, _x = axis(*points)
    series = [Series(name="s", points=points)]
    assert figure == forest(["a", "a"], series, x_title="x", lines=[1.0])


def test_an_interval_down_to_zero_ends_beyond_the_edge() -> None:
    figure, x = axis(Point(value=1.3, low=0.0, high=4.6))
    assert x["type"] == "log"
    ends = 1.3 - figure["data"][0]["error_x"]["arrayminus"][0]
    assert 0 < ends < 10 ** x["range"][0]


def test_a_ratio_of_zero_has_no_logarithm() -> None:
    _figure, x = axis(Point(value=0.0, low=0.0, high=9.0))
    assert "type" not in x


def test_nothing_to_draw_is_no_error() -> None:
    _figure, x = axis(Point(value=None))
    assert "type" not in x
