"""``python -m tests.campaign.soak``: one long run on two local workers, whose processes must stay as they are.

    SOAK_SECONDS=600 make soak

Memory, open files and threads of each process are looked at once a second. The first fifth of the time is left out;
of the rest, the last third is compared with the first. Totals are kept in ``tests/bench/soak.json``.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import psutil
from tests.campaign import report
from tests.campaign.cells import FILE

from spinsweep.cube import Cube, examine

MEMORY = 0.05  # of the memory at first that may be gained in the rest of the time
HANDLES = 3  # files or threads more, likewise
LEAST_KEPT = 600  # seconds of a soak whose totals are kept


def main() -> int:
    """0 when every process stayed as it was."""
    seconds = int(os.environ.get("SOAK_SECONDS") or LEAST_KEPT)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        store = Path(folder) / "soak.zarr"
        words = [
            sys.executable,
            "-m",
            "spinsweep.cli",
            "run",
            f"{FILE}:SWEEP",
            "--store",
            str(store),
            "--block",
            "10",
        ]
        words += ["--workers", "2", "--set", "seconds=0.005", "--set", "x=0:1000", "--set", "seed=0:1000"]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            seen = watched(run, seconds)
            run.terminate()
        cube = Cube(store)
        done, damages = cube.counts().done, list(examine(store))
    processes = {name: growth(looks) for name, looks in seen.items()}
    problems = [f"{name}: {what}" for name, found in processes.items() for what in found["problems"]]
    problems += [f"{damage.object_name}: {damage.problem}" for damage in damages]
    print(f"{seconds} s, {done} cells done, {len(damages)} damaged")
    for name, found in processes.items():
        print(f"{name:24}" + "  ".join(f"{what} {a:g} to {b:g}" for what, (a, b) in found["medians"].items()))
    print("\n".join(f"WRONG  {problem}" for problem in problems) or "all as they were")
    if seconds >= LEAST_KEPT:
        totals = {"seconds": seconds, "cells": done, "processes": processes, "problems": problems}
        print(f"kept in {report.keep('soak', totals)}")
    return 1 if problems or not done else 0


def watched(run: subprocess.Popen[bytes], seconds: float) -> dict[str, list[dict[str, float]]]:
    """What each process of a run holds, once a second, after the first fifth of the time."""
    seen: dict[str, list[dict[str, float]]] = defaultdict(list)
    until, from_ = time.monotonic() + seconds, time.monotonic() + seconds / 5
    while time.monotonic() < until and run.poll() is None:
        time.sleep(1)
        if time.monotonic() < from_:
            continue
        driver = psutil.Process(run.pid)
        for process in [driver, *driver.children(recursive=True)]:
            try:
                with process.oneshot():
                    name = "driver" if process == driver else f"{kind(process.cmdline())} {process.pid}"
                    held = {"MB": process.memory_info().rss / 1e6, "files": process.num_fds()}
                    seen[name].append(held | {"threads": process.num_threads()})
            except psutil.Error:  # it ended just now
                continue
    return seen


def kind(words: list[str]) -> str:
    """What a process is, by its command line."""
    line = " ".join(words)
    known = {"spawn_main": "worker", "resource_tracker": "tracker", "reaper": "reaper", "reader": "reader"}
    return next((name for part, name in known.items() if part in line), "other")


def growth(looks: list[dict[str, float]]) -> dict[str, Any]:
    """Medians of the first and the last third, and what grew."""
    third = max(1, len(looks) // 3)
    medians = {
        what: tuple(
            round(statistics.median(look[what] for look in part), 1) for part in (looks[:third], looks[-third:])
        )
        for what in looks[0]
    }
    bounds = {"MB": medians["MB"][0] * MEMORY + 5, "files": HANDLES, "threads": HANDLES}
    return {
        "looks": len(looks),
        "medians": medians,
        "problems": [f"{what} grew from {a} to {b}" for what, (a, b) in medians.items() if b - a > bounds[what]],
    }


if __name__ == "__main__":
    sys.exit(main())
