"""Disks that fill up, limits on file sizes and storage that keeps a part: nothing cut is ever called done."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from spinsweep import Axis, Cells, Dim, Output, Sweep, disk
from spinsweep.cube import Cube, examine, open_storage
from spinsweep.errors import CubeError
from spinsweep.executors.driver import drive
from spinsweep.executors.serial import serial
from spinsweep.ledger import State
from spinsweep.runs import Run, open_run

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
NUMBERS = 37_500  # of 8 bytes: 300 kB a cell that do not compress


def noise(cells: Cells) -> dict[str, Any]:
    return {"y": np.array([cell.rng("y").random(NUMBERS) for cell in cells]).reshape(*cells.shape, NUMBERS)}


BIG = Sweep(
    "big", "Cells of 300 kB", (Axis("x", tuple(range(8))),), (Output("y", ("n",)),), noise, (Dim("n", NUMBERS),)
)


def go(store: Path, values: int = 8, block: int = 4) -> Run:
    with open_run(BIG.with_values(x=range(values)), store, block=block) as run:
        drive(run, serial)
    return run


@contextmanager
def tmpfs(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def assert_done_cells_are_whole(store: Path, done: set[int]) -> None:
    """``done`` at least; every chunk can be read, and what counts as done is right."""
    data = xr.open_zarr(store)
    y = data.y.where(data.cell_state == State.DONE).load()  # raises where any chunk is cut
    found = {int(x) for x in data.x.values[data.cell_state.values == State.DONE]}
    assert done <= found
    fresh = noise(Cells(BIG, {"x": tuple(sorted(found))}))["y"] if found else np.empty((0, NUMBERS))
    np.testing.assert_array_equal(y.sel(x=sorted(found)).values, fresh)
    assert list(examine(store)) == []


@ROOT
@pytest.mark.parametrize("size", ["600k", "1500k", "2400k", "3000k", "4m"])
def test_a_disk_that_fills_up_cuts_no_chunk_and_keeps_all_that_was_done(tmp_path: Path, size: str) -> None:
    with tmpfs(tmp_path / "disk", size) as folder:
        store = folder / "big.zarr"
        done: set[int] = set()
        for values, fill in ((3, 0), (7, 0), (8, 250_000)):  # the last growth completes a part-filled block
            with suppress(OSError):
                (folder / "other").write_bytes(bytes(fill))
            broken: list[str] = []
            with suppress(OSError, CubeError):
                broken = go(store, values).unwritten_blocks
            assert all("No space left on device" in what and str(store) in what for what in broken)
            if not (store / "zarr.json").exists():
                continue
            assert_done_cells_are_whole(store, done)
            done = set(np.flatnonzero(Cube(store).ledger("cell_state") == State.DONE).tolist())
        subprocess.run(["mount", "-o", "remount,size=20m", folder], check=True)  # somebody made room
        assert go(store).complete
        assert_done_cells_are_whole(store, set(range(8)))


@pytest.mark.parametrize("workers", ["0", pytest.param("2", marks=pytest.mark.slow)])
def test_a_limit_on_file_sizes_is_told_and_nothing_cut_counts_as_done(tmp_path: Path, workers: str) -> None:
    store = tmp_path / "big.zarr"
    words = [
        sys.executable,
        "-m",
        "spinsweep.cli",
        "run",
        f"{__file__}:BIG",
        "--store",
        str(store),
        "--workers",
        workers,
    ]
    limited = subprocess.run(
        ["sh", "-c", 'ulimit -f 200; exec "$@"', "sh", *words, "--block", "1"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert limited.returncode in (1, 2)
    assert "File too large" in limited.stdout + limited.stderr
    assert f"{store}/y/c/" in limited.stdout + limited.stderr
    assert "Traceback" not in limited.stderr
    assert_done_cells_are_whole(store, set())
    assert Cube(store).counts().done == 0
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0
    assert_done_cells_are_whole(store, set(range(8)))


@pytest.mark.slow
def test_an_object_above_two_gibibytes_is_written_to_its_end(tmp_path: Path) -> None:
    data = bytes(2**31 + 5)
    open_storage(tmp_path).write("big", data)

    assert (tmp_path / "big").stat().st_size == len(data)


def test_a_file_that_cannot_be_written_whole_leaves_the_old_one_and_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel may take any part of what it is given."""
    taken = iter([1, 5, 2, 100, 100])
    write = os.write
    monkeypatch.setattr(disk.os, "write", lambda handle, data: write(handle, data[: next(taken)]))
    disk.write_whole(str(tmp_path / "a"), b"0123456789" * 3)
    assert (tmp_path / "a").read_bytes() == b"0123456789" * 3

    def full(handle: int, data: memoryview) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk.os, "write", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        disk.write_whole(str(tmp_path / "a"), b"new")
    assert caught.value.filename == str(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"0123456789" * 3
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_storage_that_keeps_a_part_of_an_object_is_found_out(s3: dict[str, str], tmp_path: Path) -> None:
    place = open_storage(f"s3://cubes/{tmp_path.name}.zarr")
    place.write("whole", b"0123456789")

    with pytest.raises(CubeError, match="the storage kept 9 of 10 bytes"):
        place.write("cut-short", b"0123456789")
