"""A cell that costs next to nothing, on a grid of any size, and the ways of sweeping it that need no engine."""

from __future__ import annotations

import itertools
import os
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from spinsweep import Axis, Cells, Dim, Output, Sweep, cell

AXES = ("width", "variation", "seed")
STEPS = 50
BATCH = 100
PAUSE, CALLS = "BENCH_PAUSE", "BENCH_CALLS"
"""Environment: seconds that a slow cell takes, and the folder in which each call leaves its files."""


def value(width: Any, variation: Any, seed: Any) -> Any:
    """The trivial cell: width + variation + seed, 50 times (float32)."""
    return np.repeat(np.asarray(width + variation + seed, np.float32)[..., None], STEPS, axis=-1)


def slow_value(width: Any, variation: Any, seed: Any) -> Any:
    """The same after a pause; one file says that the cell began, another that it ended."""
    name = f"{width:g}_{variation:g}_{seed:g}.{uuid.uuid4().hex}"
    folder = os.environ.get(CALLS)
    if folder:
        Path(folder, f"began.{name}").touch()
    time.sleep(float(os.environ.get(PAUSE, "0")))
    if folder:
        Path(folder, f"ended.{name}").touch()
    return value(width, variation, seed)


def block(cells: Cells) -> dict[str, Any]:
    width, variation, seed = (cells.coords[name] for name in AXES)
    return {"y": value(width[:, None, None], variation[:, None], seed)}


@cell
def one_cell(width: float, variation: float, seed: int) -> dict[str, Any]:
    return {"y": value(width, variation, seed)}


@cell
def one_slow_cell(width: float, variation: float, seed: int) -> dict[str, Any]:
    return {"y": slow_value(width, variation, seed)}


@dataclass(frozen=True)
class Grid:
    """Numbers of widths, variations and seeds."""

    widths: int
    variations: int
    seeds: int

    @property
    def cells(self) -> int:
        return self.widths * self.variations * self.seeds

    @cached_property
    def coords(self) -> dict[str, Any]:
        """Values of each axis."""
        return {
            "width": np.arange(self.widths) + 0.5,
            "variation": np.arange(self.variations) / 40,
            "seed": np.arange(self.seeds),
        }

    @cached_property
    def combos(self) -> dict[str, list[Any]]:
        """The same as lists of Python's numbers."""
        return {name: values.tolist() for name, values in self.coords.items()}

    def points(self) -> Sequence[tuple[Any, ...]]:
        """All combinations, the last axis fastest."""
        return list(itertools.product(*self.combos.values()))

    def dataset(self, found: Sequence[Any]) -> xr.Dataset:
        """A labelled cube of what was found at each of the points."""
        y = np.array(found).reshape(self.widths, self.variations, self.seeds, STEPS)
        return xr.Dataset({"y": ((*AXES, "step"), y)}, self.coords)

    def sweep(self, function: Callable[[Cells], dict[str, Any]] = block) -> Sweep:
        return Sweep(
            name="trivial",
            title="Trivial cells",
            axes=tuple(Axis(n, tuple(v), "um" if n == "width" else "") for n, v in self.combos.items()),
            dims=(Dim("step", STEPS),),
            outputs=(Output("y", ("step",), "float32"),),
            function=function,
        )

    def check(self, ds: xr.Dataset) -> None:
        """Every number is there and right."""
        width, variation, seed = self.coords.values()
        want = value(width[:, None, None], variation[:, None], seed)
        np.testing.assert_array_equal(ds["y"].transpose(*AXES, ...).values, want)
        for name, values in self.coords.items():
            np.testing.assert_array_equal(ds[name].values, values)


FULL = Grid(20, 20, 50)
"""20,000 cells."""


def write(ds: xr.Dataset, path: Path) -> None:
    ds.to_zarr(path, zarr_format=3, consolidated=False)


def client_map(client: Any, grid: Grid, path: Path, function: Callable[..., Any] = value) -> None:
    """One task for each cell; the results are gathered, and written as one cube."""
    found = client.gather(client.map(function, *zip(*grid.points(), strict=True), pure=False))
    write(grid.dataset(found), path)


def one_region(path: str, grid: Grid, w: int, v: int, function: Callable[..., Any]) -> None:
    """Two rows of seeds: one aligned region."""
    width, variation, seed = grid.coords.values()
    some = (width[w : w + 1], variation[v : v + 2], seed)
    if function is value:
        y = value(some[0][:, None, None], some[1][:, None], seed)
    else:
        y = np.array([function(*point) for point in itertools.product(*some)])
        y = y.reshape(1, len(some[1]), len(seed), STEPS)
    region = {"width": slice(w, w + 1), "variation": slice(v, v + len(some[1]))}
    whole = {"seed": slice(0, grid.seeds), "step": slice(0, STEPS)}
    xr.Dataset({"y": ((*AXES, "step"), y)}).to_zarr(path, region={**region, **whole}, consolidated=False)


def regions(client: Any, grid: Grid, path: Path, function: Callable[..., Any] = value) -> None:
    """A prepared zarr store, whose aligned regions the workers write: two variations and all seeds each."""
    import dask.array as da

    shape = (grid.widths, grid.variations, grid.seeds, STEPS)
    empty = da.zeros(shape, chunks=(1, 2, grid.seeds, STEPS), dtype=np.float32)
    ds = xr.Dataset({"y": ((*AXES, "step"), empty)}, grid.coords)
    ds.to_zarr(path, mode="w", compute=False, zarr_format=3, consolidated=False)
    starts = [(w, v) for w in range(grid.widths) for v in range(0, grid.variations, 2)]
    client.gather(client.map(lambda at: one_region(str(path), grid, *at, function), starts, pure=False))


def xyzpy_crop(
    grid: Grid, path: Path, function: Callable[..., Any] = value, batch: int = BATCH, processes: int = 2
) -> None:
    """Batches that are sown, grown and reaped; a run that is repeated grows what is missing."""
    import xyzpy

    runner = xyzpy.Runner(function, var_names=["y"], var_dims={"y": ["step"]}, var_coords={"step": range(STEPS)})
    crop = runner.Crop(name="trivial", parent_dir=str(path.parent), batchsize=batch)
    if not crop.is_prepared():
        crop.sow_combos(grid.combos, verbosity=0)
    crop.grow_missing(parallel=True, num_workers=processes, verbosity=0)
    write(crop.reap(wait=True), path)
