"""What a large cube takes to be made and read: ``python -m tests.bench.scale [--seeds 1000]``.

A cube of 100 widths x 100 variations x ``--seeds`` seeds, of one float64 a cell: 10^7 cells by default.  Making it
and each way of reading it is a process of its own, whose peak memory (resident) is its own.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tests.bench.overhead import machine
from tests.bench.peers import child
from tests.bench.peers.reading import expected, value

import spinsweep

MOST = 1000
"""Megabytes that reading may take."""


def _open(ds: Any, shape: Sequence[int]) -> None:
    assert dict(ds.sizes) == dict(zip(("width", "variation", "seed"), shape, strict=True))


def _slice(ds: Any, shape: Sequence[int]) -> None:
    width, variation = shape[0] // 2, shape[1] - 1
    found = ds["y"].sel(width=width, variation=variation).values
    np.testing.assert_array_equal(found, value(width, variation, np.arange(shape[2])))


def _mean(ds: Any, shape: Sequence[int]) -> None:
    np.testing.assert_allclose(ds["y"].mean("seed").values, expected(shape), rtol=1e-9)


def _spread(ds: Any, shape: Sequence[int]) -> None:
    rest = ds["y"].std(("width", "variation")).values
    assert rest.shape == (shape[2],)
    assert np.isfinite(rest).all()


READS: dict[str, Callable[[Any, Sequence[int]], None]] = {
    "opened": _open,
    "one slice of all seeds": _slice,
    "mean over the seeds": _mean,
    "standard deviation over the rest": _spread,
}


def read(name: str, path: str, shape: Sequence[int]) -> dict[str, float]:
    """Open the cube and do one of these: seconds, and peak memory in MB.

    Raises AssertionError where a number is wrong.
    """
    with child.Clock() as clock:
        READS[name](spinsweep.open_cube(path), shape)
    return {"s": clock.seconds, "MB": child.peak()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what each takes; the status is 1 if one takes more than it may."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale")
    parser.add_argument("--seeds", type=int, default=1000)
    shape = [100, 100, parser.parse_args(arguments).seeds]
    print(f"{np.prod(shape):,} cells, load {os.getloadavg()[0]:.1f}, {machine()}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        made = child.run("tests.bench.peers.reading", "make", file="cube.zarr", folder=folder, shape=shape)
        path = Path(folder, "cube.zarr")
        files = [file for file in path.rglob("*") if file.is_file()]
        size = sum(file.stat().st_size for file in files) / 1e6
        print(f"made in one process: {made['s']:.1f} s, {size:.0f} MB in {len(files)} files", flush=True)
        took = {
            name: child.run("tests.bench.scale", "read", name=name, path=str(path), shape=shape) for name in READS
        }
    for name, found in took.items():
        print(f"{name:34}{found['s']:8.2f} s{found['MB']:8.0f} MB")
    return int(any(found["MB"] > MOST for found in took.values()))


if __name__ == "__main__":
    sys.exit(main())
