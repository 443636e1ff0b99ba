"""Two cubes side by side: matched by their values, paired over replicates, and every cell counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import spinsweep
from spinsweep import Axis, Cell, Output, Parameter, Sweep, per_cell
from spinsweep.analysis.comparison import compare
from spinsweep.cli import main
from spinsweep.errors import SpecError


@per_cell
def shifted(cell: Cell) -> dict[str, Any]:
    return {"far": 1e-3 * (cell["gain"] + cell.rng().random() * (1 + cell.params["shift"])), "n": cell["seed"]}


AXES = (Axis("gain", (1.0, 2.0, 3.0)), Axis("seed", tuple(range(4))))
OUTPUTS = (Output("far", unit="m"), Output("n", dtype="int64"))
SHIFTED = Sweep("shifted", "Shifted", AXES, OUTPUTS, shifted, parameters=(Parameter("shift", 0.0),))


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The second has other gains in another order, and more noise."""
    folder = tmp_path_factory.mktemp("shifted")
    first, second = str(folder / "first.zarr"), str(folder / "second.zarr")
    spinsweep.run(SHIFTED, first, workers=0, progress=False)
    other = SHIFTED.with_values(gain=(4.0, 3.0, 2.0), shift=1.0)
    spinsweep.run(other, second, workers=0, progress=False)
    return first, second


def test_cells_are_matched_by_their_values_and_the_others_counted(stores: tuple[str, str]) -> None:
    first, second = map(spinsweep.open_cube, stores)
    found = compare(first, second)
    assert (found.common, found.only_first, found.only_second) == (8, 4, 4)
    far, n = found.outputs
    expected = second.far.sel(gain=[2.0, 3.0]).values - first.far.sel(gain=[2.0, 3.0]).values
    np.testing.assert_allclose(far.difference, expected)
    interval = stats.ttest_1samp(expected.mean(axis=0), 0).confidence_interval(0.95)
    assert (far.mean, far.low, far.high) == pytest.approx((expected.mean(), interval.low, interval.high))
    where, value = far.largest[0]
    gain, seed = np.unravel_index(np.abs(expected).argmax(), expected.shape)
    assert where == f"gain = {gain + 2}, seed = {seed}"
    assert value == pytest.approx(expected[gain, seed])
    assert (n.equal, n.compared, n.largest) == (8, 8, ())


def test_words_and_figures_come_from_the_command(
    stores: tuple[str, str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *stores, "--out", str(tmp_path / "out")]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "8 cells are done in both, 4 in the first only, 4 in the second only"
    assert lines[1].startswith("far: 0 of 8 numbers are equal; mean difference +0.000")
    assert "(95 % interval over seed: " in lines[1]
    assert "n: all 8 numbers are equal" in lines
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"far.png", "far.svg", "far.md"}  # n is equal
    assert (tmp_path / "out" / "far.md").read_text().startswith("Difference of far (`far`) against gain.")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000))
def test_the_other_way_round_is_the_negative(seed: int) -> None:
    generator = np.random.default_rng(seed)
    cubes = []
    for _ in range(2):
        x = np.sort(generator.choice(8, size=5, replace=False))
        y = xr.DataArray(generator.normal(size=(5, 3)), {"x": x, "seed": range(3)}, ("x", "seed"))
        state = xr.DataArray(generator.choice([0, 1, 1, 1], size=(5, 3)).astype(np.uint8), y.coords, y.dims)
        cubes.append(xr.Dataset({"y": y, "cell_state": state}))
    one, other = compare(*cubes), compare(*cubes[::-1])
    assert (one.common, one.only_first, one.only_second) == (other.common, other.only_second, other.only_first)
    a, b = one.outputs[0], other.outputs[0]
    assert a.compared == one.common
    np.testing.assert_allclose([a.mean, a.low, a.high], [-b.mean, -b.high, -b.low], rtol=1e-9)
    assert list(one.lines())
    xr.testing.assert_allclose(a.difference, -b.difference)


def test_a_cube_equals_itself(stores: tuple[str, str]) -> None:
    ds = spinsweep.open_cube(stores[0])
    assert [o.equal for o in compare(ds, ds).outputs] == [12, 12]


def test_what_cannot_be_compared_is_said(stores: tuple[str, str], capfd: pytest.CaptureFixture[str]) -> None:
    ds = spinsweep.open_cube(stores[0])
    with pytest.raises(SpecError, match="the axes are gain, seed in the first cube and seed in the second"):
        compare(ds, ds.isel(gain=0))
    with pytest.raises(SpecError, match="no output is in both cubes: far in the first, n in the second"):
        compare(ds[["far", "cell_state"]], ds[["n", "cell_state"]])
    other = ds.copy()
    other["far"].attrs["units"] = "mm"
    assert "far: not compared: its unit is m in the first cube and mm in the second" in compare(ds, other).lines()
    assert main(["compare", stores[0], stores[1], "--over", "sed"]) == 2
    assert "did you mean 'seed'?" in capfd.readouterr().err
