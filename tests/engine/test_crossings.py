"""Where a mean crosses a threshold: exact on straight lines, with intervals that hold what is true."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import spinsweep.reading
from spinsweep.analysis.crossings import crossing
from spinsweep.analysis.tables import with_bounds
from spinsweep.cli import main
from spinsweep.errors import SpecError

X = np.linspace(0, 1, 11)


def fall(seed: int, noise: float = 0.05, replicates: int = 8) -> xr.Dataset:
    """A line from 1 to 0 with noise, that crosses 0.43 at 0.57."""
    values = 1 - X[:, None] + noise * np.random.default_rng(seed).normal(size=(11, replicates))
    coords = {"variation": ("variation", X, {"units": "V"}), "seed": range(replicates)}
    return xr.Dataset({"accuracy": (("variation", "seed"), values)}, coords)


def test_a_straight_line_is_crossed_where_it_is_and_in_any_order() -> None:
    ds = fall(0, noise=0.0)
    found = ds.isel(variation=[3, 1, 10, 0, 2, 4, 9, 8, 7, 6, 5]).sweep.crossing("accuracy", 0.43, along="variation")
    assert float(found["crossing"]) == pytest.approx(0.57)
    assert (float(found["low"]), float(found["high"])) == pytest.approx((0.57, 0.57))
    assert found["told"].item() == "one"
    assert found["crossing"].attrs["units"] == "V"


def test_none_and_several_are_told() -> None:
    waves = xr.Dataset({"y": (("mode", "x"), [np.sin(6 * X) + 0.1, X, np.ones(11)])}, {"mode": list("abc"), "x": X})
    found = crossing(waves, "y", 0.5, along="x")
    assert found["told"].values.tolist() == ["several", "one", "none"]
    assert found["crossings"].values[0] == 2
    assert np.isnan(found["crossing"].values[2])
    assert np.isnan(found["low"]).all()  # no replicates


def test_the_command_prints_one_row_for_each_other_value(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def fall(x: float, mode: str, rng: np.random.Generator) -> float:
        return {"near": 0.5, "far": 0.9, "never": 5.0}[mode] - x + 0.01 * float(rng.normal())

    axes = {"x": np.linspace(0, 1, 6), "mode": ["near", "far", "never"], "seed": range(6)}
    sweep = spinsweep.Sweep.from_function(fall, axes, outputs="y", units={"x": "V"})
    store = str(tmp_path / "fall.zarr")
    spinsweep.run(sweep, store, progress=False)
    assert main(["crossings", store, "y", "0", "--along", "x"]) == 0
    rows = [[text.strip() for text in line.split("|")[1:-1]] for line in capfd.readouterr().out.splitlines()]
    assert rows[0] == ["mode", "x (V)", "crossings"]
    assert [row[0::2] for row in rows[2:5]] == [["near", "one"], ["far", "one"], ["never", "none"]]
    place, low, _, high = rows[2][1].replace("(", "").replace(")", "").split()
    assert float(low) < float(place) < float(high)
    assert float(place) == pytest.approx(0.5, abs=0.02)
    assert rows[4][1] == "–"

    assert main(["crossings", store, "y", "0", "--along", "x", "--format", "csv"]) == 0
    frame = pd.read_csv(io.StringIO(capfd.readouterr().out))
    found = crossing(spinsweep.open_cube(store), "y", 0.0, "x")
    np.testing.assert_array_equal(frame["crossing"], found["crossing"])

    assert main(["crossings", store, "y", "0", "--along", "mode"]) == 2
    assert "axis 'mode' holds no numbers" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        ((0.5, 0.46, 0.54), "0.500 (0.460 to 0.540)"),
        ((120.0, 110.0, np.inf), "120 (110 to ∞)"),
        ((-1.0, -np.inf, -0.5), "−1.00 (−∞ to −0.50)"),
        ((2.5, np.nan, np.nan), "2.5"),
        ((np.nan, np.nan, np.nan), "–"),
    ],
)
def test_a_place_has_as_many_digits_as_its_interval_says(numbers: tuple[float, float, float], shown: str) -> None:
    assert with_bounds(*numbers) == shown


def test_a_bound_is_infinite_where_the_axis_may_be_too_short() -> None:
    ds = fall(3)
    found = crossing(ds, "accuracy", float(ds.accuracy[-1].mean()) + 1e-3, along="variation")
    assert float(found["high"]) == np.inf
    assert 0.8 < float(found["low"]) < 1


def test_values_without_a_number_are_counted_and_passed_over() -> None:
    ds = fall(0, noise=0.0)
    ds["accuracy"][5:7] = np.nan
    found = crossing(ds, "accuracy", 0.43, along="variation")
    assert float(found["crossing"]) == pytest.approx(0.57)
    assert int(found["left_out"]) == 2


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 0.9), st.floats(0.1, 10), st.floats(-5, 5))
def test_the_place_moves_with_the_unit_of_the_axis(seed: int, threshold: float, factor: float, shift: float) -> None:
    ds = fall(seed)
    moved = ds.assign_coords(variation=ds.variation.values * factor + shift)
    one, other = (crossing(d, "accuracy", threshold, along="variation") for d in (ds, moved))
    for name in ("crossing", "low", "high"):
        assert float(other[name]) == pytest.approx(float(one[name]) * factor + shift, rel=1e-9, abs=1e-9)
    assert float(one["low"]) <= float(one["crossing"]) <= float(one["high"])


def test_an_axis_of_names_is_refused() -> None:
    with pytest.raises(SpecError, match="holds no numbers"):
        crossing(fall(0).assign_coords(variation=list("abcdefghijk")), "accuracy", 0.5, along="variation")
    with pytest.raises(SpecError, match="no axis 'varation'"):
        crossing(fall(0), "accuracy", 0.5, along="varation")


@pytest.mark.slow
def test_intervals_hold_the_true_place() -> None:
    held = []
    for seed in range(1000):
        found = crossing(fall(seed), "accuracy", 0.43, along="variation")
        held.append(float(found["low"]) <= 0.57 <= float(found["high"]))
    assert abs(np.mean(held) - 0.95) < 0.03
