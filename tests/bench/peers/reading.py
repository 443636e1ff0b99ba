"""(e) Reading: opening a finished cube, and its mean over the seeds, from each tool's own store.

Each turn is a process of its own that has loaded its libraries; the files are in the system's cache.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from tests.bench.peers import child
from tests.bench.peers.turns import Table, Way, missing

from spinsweep import Axis, Cells, Output, Sweep

NAMES = ("width", "variation", "seed")
Shape = tuple[int, int, int]
SMALL: Shape = (3, 2, 20)
MOST_FILES = 10_000
"""Cells that are stored in a file each."""


def value(width: Any, variation: Any, seed: Any) -> Any:
    """Float64 that do not compress, as those of an experiment do not."""
    return 2 + np.sin(13.0 * width + 78.2 * variation + 37.7 * seed)


def block(cells: Cells) -> dict[str, Any]:
    width, variation, seed = (cells.coords[name] for name in NAMES)
    return {"y": value(width[:, None, None], variation[:, None], seed)}


def expected(shape: Sequence[int]) -> Any:
    """(widths, variations) means over the seeds."""
    width, variation, seed = (np.arange(n, dtype=float) for n in shape)
    return value(width[:, None, None], variation[:, None], seed).mean(-1)


def _cube(folder: Path, shape: Sequence[int]) -> None:
    import spinsweep

    axes = tuple(Axis(name, tuple(range(n))) for name, n in zip(NAMES, shape, strict=True))
    sweep = Sweep("read", "To be read", axes, (Output("y"),), block)
    assert spinsweep.run(sweep, folder / "cube.zarr", executor="serial", progress=False).complete


def _dataset(folder: Path) -> Any:
    import spinsweep

    return spinsweep.open_cube(folder / "cube.zarr")[["y"]].load()


def _netcdf(folder: Path, _: Sequence[int]) -> None:
    _dataset(folder).to_netcdf(folder / "y.nc", engine="netcdf4")


def _csv(folder: Path, _: Sequence[int]) -> None:
    _dataset(folder)["y"].to_dataframe()["y"].to_csv(folder / "y.csv")


def _xyzpy(folder: Path, _: Sequence[int]) -> None:
    import xyzpy

    xyzpy.save_ds(_dataset(folder), str(folder / "y.h5"))


def _pipefunc(storage: str) -> Callable[[Path, Sequence[int]], None]:
    def make(folder: Path, shape: Sequence[int]) -> None:
        from pipefunc import Pipeline, pipefunc

        spec = f"{', '.join(f'{name}[{i}]' for name, i in zip(NAMES, 'ijk', strict=True))} -> y[i, j, k]"
        pipeline = Pipeline([pipefunc(output_name="y", mapspec=spec)(value)])
        inputs = {name: list(range(n)) for name, n in zip(NAMES, shape, strict=True)}
        pipeline.map(inputs, run_folder=folder / storage, storage=storage, parallel=False, show_progress=False)

    return make


MAKERS: dict[str, Callable[[Path, Sequence[int]], None]] = {
    "cube.zarr": _cube,
    "y.nc": _netcdf,
    "y.csv": _csv,
    "y.h5": _xyzpy,
    "dict": _pipefunc("dict"),
    "file_array": _pipefunc("file_array"),
}


def make(file: str, folder: str, shape: Sequence[int]) -> dict[str, float]:
    """Write one of the stores, in a process of its own."""
    with child.Clock() as clock:
        MAKERS[file](Path(folder), shape)
    return {"s": clock.seconds}


def _open_cube(path: Path) -> Any:
    import spinsweep

    return lambda: spinsweep.open_cube(path)["y"].mean("seed").values


def _open_zarr(path: Path) -> Any:
    import xarray as xr

    return lambda: xr.open_zarr(path)["y"].mean("seed").values


def _open_netcdf(path: Path) -> Any:
    import netCDF4  # noqa: F401
    import xarray as xr

    return lambda: xr.open_dataset(path, engine="netcdf4")["y"].mean("seed").values


def _open_csv(path: Path) -> Any:
    import pandas as pd

    return lambda: pd.read_csv(path).groupby(["width", "variation"])["y"].mean().unstack().values


def _open_xyzpy(path: Path) -> Any:
    import xyzpy

    return lambda: xyzpy.load_ds(str(path))["y"].mean("seed").values


def _open_pipefunc(path: Path) -> Any:
    from pipefunc.map import load_xarray_dataset

    return lambda: load_xarray_dataset("y", run_folder=path)["y"].astype(float).mean("k").values


READERS: dict[str, Callable[[Path], Any]] = {
    "spinsweep.open_cube": _open_cube,
    "xarray.open_zarr of the cube": _open_zarr,
    "netCDF": _open_netcdf,
    "CSV, pandas": _open_csv,
    "xyzpy": _open_xyzpy,
    "pipefunc, dict": _open_pipefunc,
    "pipefunc, file_array": _open_pipefunc,
}


def read(reader: str, path: str, shape: Sequence[int], small: str) -> dict[str, float]:
    """Open, and take the mean: seconds, and peak memory in MB, beyond what the process held before and whole.

    A small store of the same kind is read before: that loads the libraries.
    """
    READERS[reader](Path(small))()
    work = READERS[reader](Path(path))
    before = _resident()
    with child.Clock() as clock:
        found = work()
    memory = child.peak()
    np.testing.assert_allclose(found, expected(shape), rtol=1e-5)
    return {"s": clock.seconds, "MB more": max(0.0, memory - before), "peak MB": memory}


def _resident() -> float:
    """Peak so far if the system does not tell what is held now, MB."""
    status = Path("/proc/self/status")
    found = re.search(r"VmRSS:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) * 1024 / 1e6 if found else child.peak()


def _size(path: Path) -> dict[str, float]:
    """What a store takes on disk."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return {"MB on disk": sum(p.stat().st_size for p in files) / 1e6, "files": len(files)}


def _table(folder: Path, small: Path, shape: Shape) -> Table:
    cells = int(np.prod(shape))
    many = f"{cells:,} cells would be as many files" if cells > MOST_FILES else ""

    def way(reader: str, file: str, uses: tuple[str, ...] = (), cannot: str = "", note: str = "") -> Way:
        found = Way(reader, lambda: {}, uses, note, cannot)
        path = folder / file
        for place, size in ((small, SMALL), (folder, shape)):
            if not cannot and not missing(found) and not (place / file).exists():
                child.run(__name__, "make", file=file, folder=str(place), shape=size)

        def measure() -> dict[str, float]:
            first = str(small / file)
            found = child.run(__name__, "read", reader=reader, path=str(path), shape=shape, small=first)
            return {**found, **_size(path)}

        return Way(reader, measure, uses, note, cannot)

    return Table(
        f"the mean over {shape[2]} seeds of {cells:,} cells",
        [
            way("spinsweep.open_cube", "cube.zarr", note="with units, states and times of all cells"),
            way("xarray.open_zarr of the cube", "cube.zarr", note="what any other program does"),
            way("netCDF", "y.nc", ("netCDF4",), note="one variable, no compression"),
            way("CSV, pandas", "y.csv"),
            way("xyzpy", "y.h5", ("xyzpy", "h5netcdf"), note="its netCDF file, by xyzpy.load_ds"),
            way("pipefunc, dict", "dict", ("pipefunc",), note="one pickle, by load_xarray_dataset"),
            way("pipefunc, file_array", "file_array", ("pipefunc",), many, "a pickle a cell"),
        ],
        ("s", "MB more", "peak MB", "MB on disk", "files"),
        "A float64 a cell. From a process that has loaded its libraries to the means in memory; the files are in the "
        "system's cache. MB more: peak memory beyond what the process held before.",
    )


@contextmanager
def tables(smallest: bool) -> Iterator[Sequence[Table]]:
    """A cube that each tool can hold, and one of a million cells."""
    shapes: Sequence[Shape] = ((3, 2, 30),) if smallest else ((10, 10, 100), (100, 100, 100))
    with tempfile.TemporaryDirectory() as name:
        found, small = [], Path(name, "small")
        small.mkdir()
        for shape in shapes:
            folder = Path(name, "x".join(map(str, shape)))
            folder.mkdir()
            found.append(_table(folder, small, shape))
        yield found
