"""Settling and the Pareto front, on cases known by hand and against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from spinneurons.analysis.convergence import steps_to_converge
from spinneurons.analysis.pareto import pareto, pareto_front


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


def test_a_curve_that_never_settles_gives_the_last_step_as_one_that_settles_there() -> None:
    ramp = xr.DataArray(np.arange(5.0), {"epoch": range(1, 6)}, ("epoch",))
    assert float(steps_to_converge(ramp, "epoch")) == 5
    assert float(steps_to_converge(ramp.where(ramp > 3, 3.0), "epoch")) == 5


@pytest.mark.parametrize(("curve", "expected"), [([0.1, 0.9, 0.9], 20), ([0.1, 0.2, 0.9], 50), ([0.9, 0.9, 0.9], 10)])
def test_steps_of_any_size_give_one_of_themselves(curve: list[float], expected: float) -> None:
    one = xr.DataArray([curve, [np.nan] * 3], {"timestep": [10, 20, 50]}, ("width", "timestep"))
    np.testing.assert_array_equal(steps_to_converge(one), [expected, np.nan])


@pytest.mark.parametrize(
    ("steps", "dim", "within", "says"),
    [
        ([1, 2, 3], "epoch", 0.1, "the curve has no 'epoch'; its dims are timestep"),
        ([1, 3, 2], "timestep", 0.1, "'timestep' does not rise from value to value"),
        ([1, 2, 2], "timestep", 0.1, "'timestep' does not rise"),
        ([1, 2, np.nan], "timestep", 0.1, "'timestep' does not rise"),
        (["a", "b", "c"], "timestep", 0.1, "'timestep' does not rise"),
        ([1, 2, 3], "timestep", 0.0, "within is 0.0; it must be above 0"),
        ([1, 2, 3], "timestep", np.nan, "within is nan; it must be above 0"),
        ([], "timestep", 0.1, "the curve has no value along 'timestep'"),
    ],
)
def test_a_curve_that_cannot_settle_is_refused_in_one_line(steps: list, dim: str, within: float, says: str) -> None:
    curve = xr.DataArray(np.ones(len(steps)), {"timestep": steps}, ("timestep",))
    with pytest.raises(ValueError, match=says) as error:
        steps_to_converge(curve, dim, within)
    assert "\n" not in str(error.value)


def test_a_known_front() -> None:
    energy, accuracy = [1.0, 2.0, 3.0, 2.0, 4.0, np.nan], [0.5, 0.7, 0.6, 0.8, 0.8, 0.99]
    assert pareto(energy, accuracy).tolist() == [True, False, False, True, False, False]


def test_equal_points_are_on_the_front_together() -> None:
    assert pareto([1, 1, 2, 2, 3], [5, 5, 5, 6, 6]).tolist() == [True, True, False, True, False]


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


@given(points=points)
def test_the_front_is_all_points_that_no_other_beats(points: list[tuple[int, int]]) -> None:
    energy, accuracy = np.array(points, float).T
    beaten = [
        ((energy <= e) & (accuracy >= a) & ((energy < e) | (accuracy > a))).any()
        for e, a in zip(energy, accuracy, strict=True)
    ]
    np.testing.assert_array_equal(pareto(energy, accuracy), np.logical_not(beaten))
