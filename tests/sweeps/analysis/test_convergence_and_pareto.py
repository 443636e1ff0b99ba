"""Settling and the Pareto front, on cases known by hand and against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from sweeps.analysis.convergence import steps_to_converge
from sweeps.analysis.pareto import pareto, pareto_front


@pytest.mark.parametrize(
    ("curve", "start", "expected"),
    [
        ([0.5, 0.9, 0.8, 0.9], 1, 4),
        ([0.9, 0.9, 0.9], 1, 1),
        ([0.1, 0.9, 0.9, 0.901], 0, 1),
        ([0.9, np.nan], 1, np.nan),
    ],
)
def test_a_curve_has_settled_from_the_step_after_the_last_far_one(
    curve: list[float], start: int, expected: float
) -> None:
    steps = range(start, start + len(curve))
    found = steps_to_converge(xr.DataArray(curve, {"timestep": steps}, ("timestep",)))
    np.testing.assert_equal(float(found), expected)


@given(
    curve=st.lists(st.floats(0, 1), min_size=1, max_size=12),
    within=st.floats(0.001, 0.5),
)
def test_from_there_on_it_stays_near_and_just_before_it_is_far(curve: list[float], within: float) -> None:
    one = xr.DataArray(curve, {"timestep": range(1, len(curve) + 1)}, ("timestep",))
    settled = int(steps_to_converge(one, within=within))
    far = np.abs(np.array(curve) - curve[-1]) > within
    assert not far[settled - 1 :].any()
    assert settled == 1 or far[settled - 2]


def test_a_known_front() -> None:
    energy, accuracy = [1.0, 2.0, 3.0, 2.0, 4.0, np.nan], [0.5, 0.7, 0.6, 0.8, 0.8, 0.99]
    assert pareto(energy, accuracy).tolist() == [True, False, False, True, False, False]


def test_the_front_of_a_cube_keeps_the_coordinates_of_its_points_cheapest_first() -> None:
    coords = {"width": [5.0, 1.0], "variation": [0.0, 0.1]}
    dims = ("width", "variation")
    cube = xr.Dataset({"j": (dims, [[9.0, 9.0], [1.0, 2.0]]), "a": (dims, [[0.97, 0.96], [0.9, 0.5]])}, coords)
    front = pareto_front(cube, "j", "a")
    assert front["j"].values.tolist() == [1.0, 9.0]
    assert front["width"].values.tolist() == [1.0, 5.0]
    assert front["variation"].values.tolist() == [0.0, 0.0]


points = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=20)


@given(points=points)
def test_no_point_beats_the_front_and_each_other_point_is_beaten_or_equalled(points: list[tuple[int, int]]) -> None:
    energy, accuracy = np.array(points, float).T
    front = pareto(energy, accuracy)
    assert front.any()
    for i in range(len(points)):
        no_worse = (energy <= energy[i]) & (accuracy >= accuracy[i])
        better = no_worse & ((energy < energy[i]) | (accuracy > accuracy[i]))
        if front[i]:
            assert not better.any()
        else:
            assert (no_worse & front).any()
