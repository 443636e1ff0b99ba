"""What the engine costs, beside what people would otherwise use, measured in one run.

    make bench            # overhead: 20,000 trivial cells, each way in turn, medians of three rounds
    python -m tests.bench.overhead --blocks 100000     # memory of driver and scheduler while blocks stream
    python -m tests.bench.overhead --blocks 1000000 --nothing --in-flight 60   # blocks that do and write nothing
    python -m tests.bench.overhead --blocks 20000 --cells 5000 --nothing       # the same with 10^8 cells
    python -m tests.bench.overhead --blocks 100000 --apart                     # driver and scheduler in two processes

Every way ends with the same labelled float32 zarr cube on disk, compared with the expected one. Starting workers is
not counted. Goal: no more than a hand-written ``client.map`` over aligned regions, with the durability that it lacks.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import xarray as xr
from distributed import Client
from tests.bench import trivial
from tests.bench.trivial import BATCH, FULL

import spinsweep.executors.dispatch
import spinsweep.executors.worker
from spinsweep import Axis, Cells, Output, Sweep
from spinsweep.cube import Job, Task
from spinsweep.deployment.connect import connect
from spinsweep.deployment.local_cluster import local_client
from spinsweep.deployment.security import CLIENT, scheduler_address, secured
from spinsweep.executors.dask import on_client
from spinsweep.executors.driver import drive
from spinsweep.ledger import Receipt
from spinsweep.runs import open_run

CELLS, TRIVIAL = FULL.cells, FULL.sweep()


def noop(cells: Cells) -> dict[str, Any]:
    return {"y": np.repeat(cells.coords["x"][:, None], len(cells.coords["seed"]), axis=1)}


def check(path: Path) -> None:
    FULL.check(xr.open_zarr(path, consolidated=None if path.joinpath("cell_state").exists() else False))


def engine_at(cells: int | None) -> Callable[[Client, Path], None]:
    def way(client: Client, path: Path) -> None:
        with open_run(TRIVIAL, path, block=cells, workers=2) as run:
            drive(run, on_client(client))
        assert run.complete

    return way


WAYS: dict[str, Callable[[Client, Path], None]] = {
    "spinsweep, 100 cells a block": engine_at(BATCH),
    "spinsweep, block chosen": engine_at(None),
    "client.map, one task a cell, gathered": lambda client, path: trivial.client_map(client, FULL, path),
    "client.map over aligned regions of 100": lambda client, path: trivial.regions(client, FULL, path),
    "xyzpy Crop, batches of 100, two processes": lambda _, path: trivial.xyzpy_crop(FULL, path),
}


def overhead(rounds: int) -> None:
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as folder, local_client(2, dashboard=False) as client:
        for number in range(rounds):
            for name, way in WAYS.items():
                path = Path(folder) / f"{number}.zarr"
                began = time.perf_counter()
                try:
                    way(client, path)
                except ImportError:
                    continue
                times[name].append(time.perf_counter() - began)
                check(path)
                shutil.rmtree(path)
    base = statistics.median(times["client.map over aligned regions of 100"])
    print(f"{CELLS} trivial cells on 2 workers, {rounds} rounds in turn, {machine()}\n")
    print(f"{'way':44}{'µs a cell':>11}{'min':>8}{'max':>8}{'ratio':>8}")
    for name, found in times.items():
        if found:
            middle, low, high = (f(found) / CELLS * 1e6 for f in (statistics.median, min, max))
            print(f"{name:44}{middle:11.1f}{low:8.1f}{high:8.1f}{statistics.median(found) / base:8.2f}")


def nothing(job: Job, task: Task) -> Receipt:
    """What a worker does with a block when only driver and scheduler are measured."""
    return Receipt(task.block, done=task.cells, failed=0, seconds=0.0)


def do_nothing() -> None:
    """On a worker: neither compute nor write."""
    spinsweep.executors.worker.execute = nothing


@contextmanager
def together(folder: Path) -> Iterator[tuple[Client, list[psutil.Process]]]:
    """Two workers, and a scheduler in this process; its client, and the workers."""
    with local_client(2, dashboard=False) as client:
        yield client, psutil.Process().children(recursive=True)


@contextmanager
def apart(folder: Path) -> Iterator[tuple[Client, list[psutil.Process]]]:
    """The same with a scheduler of its own, the first of the processes."""
    file, command = str(folder / "cluster.json"), (sys.executable, "-m", "spinsweep.cli")
    with ExitStack() as stack:
        for words in (("scheduler", "--scheduler-file", file), ("worker", file, "--workers", "2")):
            process = stack.enter_context(subprocess.Popen([*command, *words], stdout=subprocess.DEVNULL))
            stack.callback(process.terminate)
            while not Path(file).exists():
                time.sleep(0.1)
        address, security = secured(scheduler_address(file), None, CLIENT)
        client = stack.enter_context(connect(address, security))
        client.wait_for_workers(2, 60)
        scheduler, *workers = psutil.Process().children(recursive=True)
        yield client, [scheduler, *workers]


def megabytes(processes: Iterable[psutil.Process]) -> float:
    """Resident memory."""
    return sum(p.memory_info().rss for p in processes) / 1e6


def memory(blocks: int, cells: int, real: bool, own_scheduler: bool) -> None:
    """Resident memory of driver, scheduler and workers while blocks of ``cells`` cells stream through."""
    axes = (Axis("x", tuple(range(blocks))), Axis("seed", tuple(range(cells))))
    sweep = Sweep("noop", "No work", axes, (Output("y", dtype="int32"),), noop)
    start = apart if own_scheduler else together
    with tempfile.TemporaryDirectory() as folder, start(Path(folder)) as (client, others):
        first, workers = (others[:1], others[1:]) if own_scheduler else ([], others)
        if not real:
            client.run(do_nothing)
        began = time.perf_counter()
        with open_run(sweep, Path(folder) / "noop.zarr", block={"x": 1, "seed": cells}) as run:
            ready = time.perf_counter() - began
            marks = {blocks // 100, blocks // 10, blocks // 4, blocks // 2, blocks}
            kind = "trivial ones" if real else "which do and write nothing"
            print(f"{blocks} blocks of {cells} cells, {kind}; {machine()}\n")
            names = ("driver MB", "scheduler MB") if own_scheduler else ("driver and scheduler MB",)
            print(f"{'blocks':>9}{''.join(f'{name:>25}' for name in (*names, 'workers MB'))}{'blocks/s':>10}")

            def note(_: object) -> None:
                ended = run.progress.blocks_ended
                if ended in marks:
                    marks.remove(ended)
                    parts = [[psutil.Process()], *([first] if first else []), workers]
                    rate = ended / (time.perf_counter() - began)
                    print(f"{ended:9}{''.join(f'{megabytes(p):25.0f}' for p in parts)}{rate:10.0f}", flush=True)

            drive(run, on_client(client), note)
        print(f"making the cube and planning took {ready:.1f} s")
        assert run.complete or not real


def machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    return f"{os.cpu_count()} cores ({model}), Python {platform.python_version()}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Overhead and memory of the engine.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--blocks", type=int, default=0, help="measure memory over so many blocks instead")
    parser.add_argument("--cells", type=int, default=1, help="with --blocks: in each of them")
    parser.add_argument("--nothing", action="store_true", help="with --blocks: they compute and write nothing")
    parser.add_argument("--apart", action="store_true", help="with --blocks: the scheduler in a process of its own")
    parser.add_argument(
        "--in-flight", type=int, default=spinsweep.executors.dispatch.MOST_IN_FLIGHT, help="blocks per thread at most"
    )
    options = parser.parse_args()
    spinsweep.executors.dispatch.MOST_IN_FLIGHT = options.in_flight
    sys.exit(
        memory(options.blocks, options.cells, not options.nothing, options.apart)
        if options.blocks
        else overhead(options.rounds)
    )
