"""(f) Start: a command's help, and a sweep of one cell from nothing to its result on disk, command and all.

The programs are those of the documentation (`sweeps/NOTEBOOK.md`), with one value on each axis and without the plot.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench.peers.child import Clock
from tests.bench.peers.turns import Table, Way
from tests.peers.compare import DASK, PIPEFUNC, SPINSWEEP, XYZPY

BIN = Path(sys.executable).parent
FILE = """
import spinsweep
def walk(noise, drift, seed, steps, rng):
    path = rng.normal(drift, noise, steps).cumsum()
    return abs(path).max()
WALK = spinsweep.Sweep.from_function(walk, noise=[0.1], drift=[0], seed=range(1), steps=1000)
"""


def one_cell(program: str, *changes: tuple[str, str]) -> str:
    """The program with one value on each axis, that prints the mean in place of a plot.

    Raises ValueError if it has none of what is changed.
    """
    axes = (("[0.1, 0.2, 0.5]", "[0.1]"), ("[0, 0.01]", "[0]"), ("range(20)", "range(1)"))
    for before, after in (*axes, *changes):
        if before not in program:
            raise ValueError(f"{before!r} is not in the program")
        program = program.replace(before, after)
    changed, count = re.subn(
        r"^( +)(\S+)\.mean\(.*\)\.plot\(.*\)$", r"\1print(float(\2.mean()))", program, flags=re.M
    )
    if count != 1:
        raise ValueError("the program does not end with one plot")
    return changed


def _timed(command: Sequence[str], folder: Path) -> tuple[float, str]:
    """Wall time of a command that ends well, and what it prints."""
    with Clock() as clock:
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    if ended.returncode != 0:
        raise AssertionError(f"{command} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
    return clock.seconds, ended.stdout


def _command(*words: str) -> Callable[[], dict[str, float]]:
    def measure() -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            return {"s": _timed(words, Path(folder))[0]}

    return measure


def _script(program: str) -> Callable[[], dict[str, float]]:
    def measure() -> dict[str, float]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "first.py").write_text(program)
            seconds, said = _timed([sys.executable, "-W", "ignore", "first.py"], folder)
            assert 0 < float(said.splitlines()[-1]) < 1e3, said
            return {"s": seconds}

    return measure


def _run(*options: str) -> Callable[[], dict[str, float]]:
    def measure() -> dict[str, float]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "mine.py").write_text(FILE)
            seconds, _ = _timed(
                [str(BIN / "spinsweep"), "run", "mine.py:WALK", "--store", "y.zarr", *options], folder
            )
            import xarray as xr

            with xr.open_zarr(folder / "y.zarr") as ds:
                assert 0 < float(ds["walk"].mean()) < 1e3
            return {"s": seconds}

    return measure


@contextmanager
def tables(smallest: bool) -> Iterator[Sequence[Table]]:
    """Both; there is nothing to make smaller but the number of ways."""
    python = sys.executable
    helps = [
        Way("spinsweep --help", _command(str(BIN / "spinsweep"), "--help")),
        Way("python -c pass", _command(python, "-c", "pass"), note="the least that a Python program takes"),
        Way("python -c 'import xarray'", _command(python, "-c", "import xarray")),
        Way("xyzpy-grow --help", _command(str(BIN / "xyzpy-grow"), "--help"), ("xyzpy",)),
        Way("pipefunc-cli --help", _command(str(BIN / "pipefunc-cli"), "--help"), ("pipefunc",)),
    ]
    two = (", workers=2", "")
    parallel = (", parallel=True, num_workers=2", "")
    pool = ("executor=ProcessPoolExecutor(2)", "parallel=False")
    starts = [
        Way("spinsweep run, serial", _run("--workers", "0")),
        Way("spinsweep run, two processes", _run("--executor", "processes", "--workers", "2")),
        Way("spinsweep run, Dask, two workers", _run("--workers", "2"), note="with its dashboard"),
        Way("spinsweep.run in a script, serial", _script(one_cell(SPINSWEEP, two))),
        Way("spinsweep.run in a script, two processes", _script(one_cell(SPINSWEEP))),
        Way("xyzpy, serial", _script(one_cell(XYZPY, parallel)), ("xyzpy", "h5netcdf")),
        Way("xyzpy, two processes", _script(one_cell(XYZPY)), ("xyzpy", "h5netcdf")),
        Way("pipefunc, serial", _script(one_cell(PIPEFUNC, pool)), ("pipefunc",)),
        Way("pipefunc, two processes", _script(one_cell(PIPEFUNC)), ("pipefunc",)),
        Way("plain Dask, two workers", _script(one_cell(DASK))),
    ]
    yield [
        Table("help", helps[:2] if smallest else helps, ("s",), "Wall time of the whole command."),
        Table(
            "a sweep of one cell, from nothing to its result on disk",
            [starts[0], starts[3]] if smallest else starts,
            ("s",),
            "Wall time of the whole command or script, interpreter and all; the programs of the documentation's "
            "comparison, with one value on each axis and without the plot.",
        ),
    ]
