"""(a) The engine: sweeps of trivial cells and of cells of 50 ms, and what a ``kill -9`` at half time costs.

Each way ends with a labelled float32 cube on disk, whose every number is checked.  Two workers of one thread; where a
way lets one start them before, their start is not counted.  Each turn is a process of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import xarray as xr
from tests.bench import trivial
from tests.bench.peers import child
from tests.bench.peers.turns import LeftOut, Table, Way
from tests.bench.trivial import AXES, BATCH, CALLS, PAUSE, STEPS, Grid

WORKERS = 2
GRIDS = (Grid(10, 10, 20), trivial.FULL)
SLOW = Grid(5, 4, 25)
SMALLEST = Grid(2, 2, 5)
SLOW_BATCH = 10
"""Cells of 50 ms in a batch of a Crop: half a second, so that a kill costs little."""


@dataclass(frozen=True)
class Job:
    """What a way is to do."""

    grid: Grid
    path: Path
    slow: bool

    @property
    def function(self) -> Callable[..., Any]:
        return trivial.slow_value if self.slow else trivial.value


def _spinsweep(cellwise: bool, processes: bool = False, cells: int | None = None) -> Callable[[Any, Job], None]:
    def way(client: Any, job: Job) -> None:
        from spinsweep.executors.dask import on_client
        from spinsweep.executors.driver import drive
        from spinsweep.runs import open_run

        if cellwise:
            sweep = job.grid.sweep(trivial.one_slow_cell if job.slow else trivial.one_cell)
        else:
            sweep = job.grid.sweep()
        if processes:
            import spinsweep

            assert spinsweep.run(sweep, job.path, workers=WORKERS, progress=False).complete
            return
        with open_run(sweep, job.path, block=cells, workers=WORKERS) as run:
            drive(run, on_client(client))
        assert run.complete

    return way


def _client_map(client: Any, job: Job) -> None:
    trivial.client_map(client, job.grid, job.path, job.function)


def _regions(client: Any, job: Job) -> None:
    trivial.regions(client, job.grid, job.path, job.function)


def _crop(_: Any, job: Job) -> None:
    trivial.xyzpy_crop(job.grid, job.path, job.function, SLOW_BATCH if job.slow else BATCH, WORKERS)


def _harvester(_: Any, job: Job) -> None:
    import xyzpy

    runner = xyzpy.Runner(job.function, var_names=["y"], var_dims={"y": ["step"]}, var_coords={"step": range(STEPS)})
    harvester = xyzpy.Harvester(runner, str(job.path))
    harvester.harvest_combos(job.grid.combos, parallel=True, num_workers=WORKERS, verbosity=0)


def _pipefunc(storage: str) -> Callable[[Any, Job], None]:
    def way(pool: Any, job: Job) -> None:
        from pipefunc import Pipeline, pipefunc

        spec = f"{', '.join(f'{axis}[{i}]' for axis, i in zip(AXES, 'ijk', strict=True))} -> y[i, j, k]"
        pipeline = Pipeline([pipefunc(output_name="y", mapspec=spec)(job.function)])
        folder = job.path.parent / "pipefunc"
        found = pipeline.map(
            job.grid.combos, run_folder=folder, storage=storage, executor=pool, resume=True, show_progress=False
        )
        y = found["y"].output
        trivial.write(job.grid.dataset([y[at] for at in _indices(job.grid)]), job.path)

    return way


def _indices(grid: Grid) -> Iterator[tuple[int, ...]]:
    import numpy as np

    return np.ndindex(grid.widths, grid.variations, grid.seeds)


def _joblib(_: Any, job: Job) -> None:
    from joblib import Parallel, delayed

    found = Parallel(n_jobs=WORKERS)(delayed(job.function)(*point) for point in job.grid.points())
    trivial.write(job.grid.dataset(found), job.path)


@contextmanager
def dask() -> Iterator[Any]:
    from spinsweep.deployment.local_cluster import local_client

    with local_client(WORKERS, dashboard=False) as client:
        yield client


@contextmanager
def pool() -> Iterator[Any]:
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(WORKERS) as executor:
        yield executor


@dataclass(frozen=True)
class Tool:
    """A way of sweeping: what it does, and what it is given."""

    name: str
    work: Callable[[Any, Job], None]
    workers: Callable[[], AbstractContextManager[Any]]
    uses: tuple[str, ...] = ()
    file: str = "y.zarr"
    note: str = ""
    slow_too: bool = True


_XYZPY = ("xyzpy", "h5netcdf")
TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool("spinsweep, a function of one cell", _spinsweep(True), dask, note="on a Dask cluster; blocks chosen"),
        Tool("spinsweep, a function of a block", _spinsweep(False), dask, note="likewise", slow_too=False),
        Tool(
            f"spinsweep, blocks of {BATCH} cells",
            _spinsweep(False, cells=BATCH),
            dask,
            note="a function of a block",
            slow_too=False,
        ),
        Tool(
            "spinsweep.run, processes",
            _spinsweep(True, processes=True),
            nullcontext,
            note="a function of one cell; the start of the processes is counted",
        ),
        Tool("client.map, a task a cell", _client_map, dask, note="gathered, then written"),
        Tool(
            "client.map over aligned regions",
            _regions,
            dask,
            note="two variations and all seeds a task, which writes them; vectorised where the cells are trivial",
        ),
        Tool(
            "xyzpy Crop", _crop, nullcontext, ("xyzpy",), note=f"batches of {BATCH}; {SLOW_BATCH} if cells take time"
        ),
        Tool("xyzpy Harvester", _harvester, nullcontext, _XYZPY, "y.h5", "its own netCDF file; one save at the end"),
        Tool("pipefunc, file_array", _pipefunc("file_array"), pool, ("pipefunc",), note="a file a cell, then zarr"),
        Tool(
            "pipefunc, dict", _pipefunc("dict"), pool, ("pipefunc",), note="in memory, one file at the end, then zarr"
        ),
        Tool("joblib + xarray", _joblib, nullcontext, ("joblib",)),
    )
}


def once(
    tool: str, grid: Sequence[int], folder: str, pause: float, slow: bool = False, warm: bool = True
) -> dict[str, float]:
    """A whole sweep: seconds, peak memory of this process in MB, and files that lie in the folder at its end.

    ``warm``: a sweep of a few cells goes before, which loads libraries here and in the workers.
    """
    if pause:
        os.environ[PAUSE] = str(pause)
    job = Job(Grid(*grid), Path(folder) / TOOLS[tool].file, slow)
    with TOOLS[tool].workers() as workers:
        if warm:
            with tempfile.TemporaryDirectory() as other:
                TOOLS[tool].work(workers, Job(SMALLEST, Path(other) / TOOLS[tool].file, slow=False))
        with child.Clock() as clock:
            TOOLS[tool].work(workers, job)
    memory = child.peak()
    with _opened(job.path) as ds:
        job.grid.check(ds)
    files = sum(path.is_file() for path in Path(folder).rglob("*"))
    return {"s": clock.seconds, "driver MB": memory, "files": files}


def _opened(path: Path) -> xr.Dataset:
    if path.suffix == ".h5":
        return xr.open_dataset(path, engine="h5netcdf")
    return xr.open_zarr(path, consolidated=None if path.joinpath("cell_state").exists() else False)


def measured(tool: str, grid: Grid, pause: float = 0, slow: bool = False) -> dict[str, float]:
    """One turn, in a process and a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        size = [grid.widths, grid.variations, grid.seeds]
        return child.run(__name__, "once", tool=tool, grid=size, folder=folder, pause=pause, slow=slow)


def killed(tool: str, grid: Grid, pause: float) -> dict[str, float]:
    """A sweep whose process group is killed when half of its cells have ended, and the same command once more.

    Cells are counted by the files that they leave when they begin and when they end.
    """
    with tempfile.TemporaryDirectory() as name:
        folder, calls = Path(name, "sweep"), [Path(name, "first"), Path(name, "second")]
        for path in (folder, *calls):
            path.mkdir()
        size = [grid.widths, grid.variations, grid.seeds]
        arguments = {"tool": tool, "grid": size, "folder": str(folder), "pause": pause, "slow": True, "warm": False}
        line = child.command(__name__, "once", arguments)
        began = time.perf_counter()
        _kill_at(line, calls[0], grid.cells // 2)
        environment = {**os.environ, CALLS: str(calls[1])}
        again = subprocess.run(line, cwd=child.ROOT, env=environment, capture_output=True, text=True, check=False)
        if again.returncode != 0:
            if tool.startswith("spinsweep"):
                raise AssertionError(f"{tool} did not continue after the kill:\n{again.stdout}{again.stderr}")
            error = again.stderr.strip().splitlines()[-1:]
            raise LeftOut(f"the same command fails after the kill: {''.join(error)}")
        whole = time.perf_counter() - began
        first, second = (_counted(path) for path in calls)
    kept_or_done = set(first["ended"]) | set(second["ended"])
    return {
        "ended before": len(first["ended"]),
        "computed again": len(set(first["began"]) & set(second["began"])),
        "lost": len(set(first["ended"]) & set(second["began"])),
        "missing at the end": grid.cells - len(kept_or_done),
        "s of both": whole,
    }


def _counted(calls: Path) -> dict[str, Counter[str]]:
    """Cells that began and that ended, and how often."""
    found: dict[str, Counter[str]] = {"began": Counter(), "ended": Counter()}
    for path in calls.iterdir():
        kind, cell = path.name.split(".", 1)
        found[kind][cell.rsplit(".", 1)[0]] += 1
    return found


def _kill_at(line: list[str], calls: Path, cells: int) -> None:
    """Start the command as a group of its own, and kill the group once so many cells have ended."""
    environment = {**os.environ, CALLS: str(calls)}
    with tempfile.TemporaryFile("w+") as said:
        driver = subprocess.Popen(
            line, cwd=child.ROOT, env=environment, stdout=said, stderr=said, start_new_session=True
        )
        try:
            while sum(path.name.startswith("ended") for path in calls.iterdir()) < cells:
                if driver.poll() is not None:
                    said.seek(0)
                    raise AssertionError(f"ended by itself with {driver.returncode}:\n{said.read()}")
                time.sleep(0.01)
            family = psutil.Process(driver.pid).children(recursive=True)
        finally:
            if driver.poll() is None:
                os.killpg(driver.pid, signal.SIGKILL)
            driver.wait()
    _, left = psutil.wait_procs(family, timeout=20)
    for process in left:  # workers in groups of their own, which wait for a driver that is gone
        with suppress(psutil.NoSuchProcess):
            process.kill()


@contextmanager
def tables(smallest: bool) -> Iterator[Sequence[Table]]:
    """Trivial cells, cells that take their time, and kills."""
    pause = 0.002 if smallest else 0.05
    slow = SMALLEST if smallest else SLOW
    columns = ("s", "driver MB", "files")
    some = [tool for tool in TOOLS.values() if tool.slow_too]

    def ways(grid: Grid) -> list[Way]:
        return [Way(t.name, lambda n=t.name: measured(n, grid), t.uses, t.note) for t in TOOLS.values()]

    found = [
        Table(
            f"{grid.cells:,} trivial cells",
            ways(grid),
            columns,
            "50 float32 a cell, into a cube on disk; two workers, already started. Files are those that lie there at "
            "the end. The driver's memory is its peak; with Dask, the scheduler lives in the driver.",
        )
        for grid in ((SMALLEST,) if smallest else GRIDS)
    ]
    found.append(
        Table(
            f"{slow.cells} cells of {1000 * pause:.0f} ms",
            [Way(t.name, lambda n=t.name: measured(n, slow, pause, True), t.uses, t.note) for t in some],
            columns,
            f"The same with cells that sleep: {slow.cells * pause / WORKERS:.1f} s on two workers at best.",
        )
    )
    found.append(
        Table(
            f"kill -9 at half time of {slow.cells} cells of {1000 * pause:.0f} ms",
            [Way(t.name, lambda n=t.name: killed(n, slow, pause), t.uses, t.note) for t in some],
            ("computed again", "lost", "ended before", "missing at the end", "s of both"),
            "The driver's process group is killed when half of the cells have ended; then the same command runs "
            "again, and ends well. Cells are counted by files that they leave when they begin and end. Computed "
            "again: begun in both runs. Lost: ended before the kill, and begun again all the same.",
            turns=1,
        )
    )
    yield found
