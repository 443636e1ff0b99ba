"""Sobol indices against functions whose indices are known, and intervals that hold what is true."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import spinsweep
from spinsweep import Sweep
from spinsweep.analysis.sensitivity import sensitivity
from spinsweep.cli import main
from spinsweep.errors import SpecError

DIMS = ("x1", "x2", "x3")


def ishigami(points: int) -> xr.DataArray:
    """T. Ishigami and T. Homma (1990), at the middles of equal parts of -pi to pi."""
    x = -np.pi + 2 * np.pi * (np.arange(points) + 0.5) / points
    x1, x2, x3 = np.meshgrid(x, x, x, indexing="ij")
    values = np.sin(x1) + 7 * np.sin(x2) ** 2 + 0.1 * x3**4 * np.sin(x1)
    return xr.DataArray(values, dict.fromkeys(DIMS, x), DIMS, name="y")


def test_the_indices_of_ishigamis_function_are_the_known_ones() -> None:
    found = sensitivity(ishigami(40).to_dataset(), "y")
    np.testing.assert_allclose(found["first"], [0.3139, 0.4424, 0.0], atol=2e-3)
    np.testing.assert_allclose(found["total"], [0.5576, 0.4424, 0.2437], atol=2e-3)
    assert float(found["interactions"]) == pytest.approx(0.2437, abs=2e-3)
    assert np.isnan(found["first_low"]).all()


def noisy(seed: int, replicates: int = 10) -> xr.Dataset:
    """An additive response with an interaction, a chip's own offset and noise."""
    generator = np.random.default_rng(seed)
    a, b = np.meshgrid(np.arange(5.0), np.arange(4.0), indexing="ij")
    response = a + 0.5 * b + 0.3 * a * b
    values = response[..., None] + 2 * generator.normal(size=replicates) + generator.normal(size=(5, 4, replicates))
    return xr.Dataset({"y": (("a", "b", "seed"), values)}, {"a": range(5), "b": range(4), "seed": range(replicates)})


def exact() -> tuple[float, float]:
    """First-order indices of the response of :func:`noisy`."""
    a, b = np.meshgrid(np.arange(5.0), np.arange(4.0), indexing="ij")
    response = a + 0.5 * b + 0.3 * a * b
    return tuple(float(np.var(response.mean(axis=1 - i)) / np.var(response)) for i in (0, 1))


def test_what_noise_adds_is_subtracted() -> None:
    found = [sensitivity(noisy(seed, 3), "y")["first"].values for seed in range(60)]
    error = np.std(found, axis=0) / np.sqrt(60)
    assert (abs(np.mean(found, axis=0) - exact()) < 4 * error + 0.005).all()


def test_axes_of_names_count_and_shares_are_within_0_and_1() -> None:
    ds = noisy(1).assign_coords(a=list("abcde"))
    found = sensitivity(ds, "y")
    assert found["axis"].values.tolist() == ["a", "b"]
    for name in ("first", "total"):
        assert (found[f"{name}_low"] <= found[name]).all()
        assert (found[name] <= found[f"{name}_high"]).all()
    assert 0 < float(found["noise"]) < 1
    xr.testing.assert_identical(found, sensitivity(ds, "y"))  # the bootstrap is the same each time


def test_a_grid_with_a_hole_or_without_variation_is_refused_in_one_line() -> None:
    ds = noisy(1)
    ds["y"][1, 2] = np.nan
    with pytest.raises(SpecError, match="no number at 1 of 20 combinations of a, b: sensitivity needs a full grid"):
        sensitivity(ds, "y")
    with pytest.raises(SpecError, match="no more than its noise"):
        sensitivity(xr.zeros_like(noisy(1)), "y")
    with pytest.raises(SpecError, match="no axis of two values"):
        sensitivity(noisy(1).isel(a=0, b=0), "y")


def test_the_command_prints_the_largest_total_first_with_what_is_left_out(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def response(a: float, b: float, rng: np.random.Generator) -> float:
        return a + 2 * b + 0.1 * float(rng.normal())

    sweep = Sweep.from_function(response, {"a": [0.0, 1.0, 2.0], "b": [0.0, 1.0, 2.0], "seed": range(6)}, outputs="y")
    spinsweep.run(sweep, tmp_path / "ab.zarr", progress=False)
    assert main(["sensitivity", str(tmp_path / "ab.zarr"), "y"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines[:4]] == ["| axis", "| ----", "| b   ", "| a   "]
    share, low, _, high = lines[2].split(" | ")[1].translate(str.maketrans("", "", "()")).split()
    assert float(low) <= float(share) <= float(high)
    assert float(share) == pytest.approx(0.8, abs=0.05)  # the variance of 2 b is 4/5 of that of a + 2 b
    assert "Interactions: 0.00" in lines[5]
    assert "Intervals (95 %) over 6 replicates." in lines[5]

    assert main(["sensitivity", str(tmp_path / "ab.zarr"), "y", "--format", "csv", "--level", "0.9"]) == 0
    frame = pd.read_csv(io.StringIO(capfd.readouterr().out))
    found = sensitivity(spinsweep.open_cube(tmp_path / "ab.zarr"), "y", level=0.9).isel(axis=[1, 0])
    np.testing.assert_array_equal(frame["total_high"], found["total_high"])

    assert main(["sensitivity", str(tmp_path / "ab.zarr"), "z"]) == 2
    assert capfd.readouterr().err == "spinsweep: there is no output 'z'; there are y\n"


def test_a_replicate_may_be_missing_in_some_cells() -> None:
    ds = noisy(2)
    ds["y"][1, 2, 3] = np.nan
    np.testing.assert_allclose(sensitivity(ds, "y")["first"], sensitivity(noisy(2), "y")["first"], atol=0.05)


@pytest.mark.slow
def test_intervals_hold_the_true_indices() -> None:
    held = []
    for seed in range(400):
        found = sensitivity(noisy(seed), "y")
        held.append((found["first_low"].values <= exact()) & (exact() <= found["first_high"].values))
    assert (abs(np.mean(held, axis=0) - 0.95) < 0.035).all()
