"""Curves in the terminal: points where they belong, round numbers at the axes, and any numbers of a report."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinsweep.cli.live_view import lane_lines
from spinsweep.cli.plot import draw
from spinsweep.messages import LARGEST, LaneReport, Series
from spinsweep.si import quantity

LABELS = {"x_label": "write current", "x_unit": "A", "y_label": "fraction switched"}
RANGES = {"x_range": (3e-4, 7e-4), "y_range": (0.0, 1.0)}


def rows_of(series: list[Series], width: int = 60, height: int = 16, *, unicode: bool = True) -> list[str]:
    return draw(series, width, height, unicode=unicode).plain.split("\n")


def test_points_lie_where_their_numbers_say_and_the_axis_has_the_prefix_of_its_unit() -> None:
    points = Series.of("bar0", [3e-4, 5e-4, 7e-4], [0, 0.5, 1], **LABELS, **RANGES)
    rows = rows_of([points])
    found = [(row, line.index("o")) for row, line in enumerate(rows[1:-3]) if "o" in line]
    assert [row for row, _ in found] == [0, 5, 11]  # of twelve rows, the first at the top
    assert [column for _, column in found] == [59, 32, 5]
    assert rows[0].split() == ["fraction", "switched"]
    assert rows[-1].strip() == "write current (µA)"
    assert rows[-2].split() == ["300", "400", "500", "600", "700"]
    assert [line.split()[0] for line in rows[1:-3] if "┤" in line] == ["1", "0.5", "0"]


def test_a_curve_grows_within_axes_that_stay() -> None:
    x, y = [3e-4, 4e-4, 5e-4], [0.0, 0.1, 0.9]
    first, later = (rows_of([Series.of("bar0", x[:n], y[:n], **LABELS, **RANGES)]) for n in (1, 3))
    assert [row.replace("o", " ") for row in first] == [row.replace("o", " ") for row in later]
    assert sum(row.count("o") for row in first) == 2  # the first "o" of the label counts
    assert sum(row.count("o") for row in later) == 4


def test_a_line_is_joined_and_points_lie_on_top_of_it() -> None:
    fit = Series.of("fit", [3e-4, 7e-4], [0, 1], line=True, **LABELS, **RANGES)
    braille = [sum("\u2800" < c <= "\u28ff" for c in row) for row in rows_of([fit])[1:-3]]
    assert min(braille) >= 1  # in every row
    with_points = rows_of([Series.of("bar0", [5e-4], [0.5], **LABELS, **RANGES), fit])[1:-3]
    assert sum(row.count("o") for row in with_points) == 1


def test_a_terminal_without_unicode_gets_none() -> None:
    fit = Series.of("fit", [3e-4, 7e-4], [0, 1], line=True, y_label="p", x_label="i", **RANGES)
    assert "\n".join(rows_of([fit], unicode=False)).isascii()


def test_no_room_and_no_point_give_no_drawing() -> None:
    points = Series.of("bar0", [1, 2], [1, 2])
    assert not draw([points], 60, 6)
    assert not draw([points], 8, 20)
    assert not draw([Series.of("bar0", [], [])], 60, 20)
    assert not draw([], 60, 20)


numbers = st.floats(-LARGEST, LARGEST)


@given(
    st.lists(st.tuples(numbers, numbers), max_size=8),
    st.booleans(),
    st.sampled_from(["", "A", "s"]),
    st.integers(1, 120),
    st.integers(1, 40),
)
def test_any_numbers_are_drawn_within_the_width_and_the_height(
    pairs: list[tuple[float, float]], line: bool, unit: str, width: int, height: int
) -> None:
    labels = {"x_label": "a long label " * 9, "y_label": "another " * 20, "x_unit": unit, "y_unit": unit}
    series = Series.of("any", (x for x, _ in pairs), (y for _, y in pairs), line=line, **labels)
    rows = draw([series], width, height).plain.split("\n")
    assert len(rows) <= height
    assert max(map(len, rows)) <= width


def test_series_hold_only_what_can_be_drawn_and_keep_their_ends_when_they_are_thinned() -> None:
    nan, many = math.nan, list(range(1000))
    assert Series.of("gaps", [1, nan, 3, 4], [1, 2, math.inf, 4]).x == (1, 4)
    thinned = Series.of("many", many, many)
    assert (len(thinned.x), thinned.x[0], thinned.x[-1]) == (200, 0, 999)
    for x, y in (([1.0], []), ([nan], [1.0]), ([2 * LARGEST], [1.0]), (["1"], [1.0])):
        with pytest.raises(ValueError, match="is not pairs of finite numbers"):
            Series("wrong", tuple(x), tuple(y))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a range that is not two numbers"):
        Series("wrong", (), (), x_range=(1.0,))


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.8294e-4, "V", "182.9 µV"),
        (-8.9e-5, "V", "-89 µV"),
        (0, "V", "0 V"),
        (1e-3, "A", "1 mA"),
        (2.5, "", "2.5"),
        (1e-30, "V", "1e-30 V"),
    ],
)
def test_numbers_have_the_prefix_that_suits_them(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


def test_the_lines_below_tell_the_last_reading_its_levels_and_both_times_left() -> None:
    report = LaneReport(
        bench="hall",
        experiment="cube/width=1",
        train="current 6",
        cycles=1234,
        pulses=20,
        worn="d1",
        wear=0.1,
        readings=(Series.of("d1", [1, 2], [1e-4, 2e-4], y_unit="V"),),
        levels={"low": 1e-4, "high": 2e-4},
        seconds_left=60.0,
        seconds_whole=600.0,
    )
    assert lane_lines(report, 3, 1.0) == [
        "width=1: current 6, 1,234 cycles since the lane started",
        "last reading of d1: 200 µV (low 100 µV, high 200 µV)",
        "1 min 0 s left of this cell, about 21 min 0 s of the run",
    ]
    assert lane_lines(report, 1, 30.0)[0].endswith("; no report for 30 s")
    assert lane_lines(report, 1, 1.0)[-1] == "1 min 0 s left of this cell"
