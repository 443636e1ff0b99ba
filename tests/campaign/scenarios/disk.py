"""A disk that fills up and is freed, and one that turns read-only: real small file systems, for root only."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.campaign.cells import all_done
from tests.campaign.processes import Command, Fork, until
from tests.campaign.scenarios import Campaign, settled, words

SIZE = 4  # MB
SIDE = 16


class Skipped(Exception):
    """What this machine or user cannot do."""


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own."""
    if os.geteuid():
        raise Skipped("mounting a file system takes root")
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}m", "fire", disk], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", disk], check=True)
        disk.rmdir()


def play(c: Campaign, faults: int) -> None:
    """Fill, run, free, go on; and turn read-only in the middle."""
    for number in range(faults):
        with small_disk(c.folder) as disk:
            store = disk / "disk.zarr"
            c.reader.watch(store)
            sets = {"x": f"0:{SIDE}", "seed": f"0:{SIDE}", "seconds": 0.01}
            command = words(store, "--workers", 0 if number % 2 else 2, "--no-dashboard", **sets)
            try:
                (full if c.rng.random() < 0.7 else read_only)(c, disk, store, command)
                c.check(store)
                settled(c, store, Command([*command, "--retry-failed"], c.log))
                all_done(store, SIDE * SIDE)
            finally:
                c.reader.watch("")  # it holds no file there


def full(c: Campaign, disk: Path, store: Path, command: list[object]) -> None:
    """A file takes all the room but some; the run cannot go on; the file is removed."""
    filler = disk / "filler"
    if c.rng.random() < 0.5:  # after it has begun; else not even a cube can be made, or hardly
        half = Fork([*command[:-6], "--set", "x=0:4", *command[-4:]], c.log)
        half.wait()
    room = c.rng.randint(8, 160) * 1024
    filler.write_bytes(bytes(max(0, os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - room)))
    c.fault("disk full and freed")
    run = Command(command, c.log)
    c.runs += 1
    status = run.wait()
    c.complain(run)
    if status == 0 and c.check(store) != SIDE * SIDE:
        raise AssertionError(f"status 0 on a full disk, and not all is done: {run.said()}")
    filler.unlink()


def read_only(c: Campaign, disk: Path, store: Path, command: list[object]) -> None:
    """The file system turns read-only while blocks are written."""
    run = Command(command, c.log)
    c.runs += 1
    until(lambda: run.ended or c.check(store), "cells are done")
    time.sleep(c.rng.uniform(0, 0.5))
    c.fault("disk read-only and writable again")
    while subprocess.run(["mount", "-o", "remount,ro", disk], check=False, capture_output=True).returncode:
        if run.ended:  # a file that is open for writing keeps it from turning so
            return
    run.wait()
    c.complain(run)
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
