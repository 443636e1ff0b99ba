"""What it costs that nothing is lost and nobody gets in: the overhead workload without one protection at a time.

    python -m tests.bench.protections [--rounds 9]

20,000 trivial cells in blocks of 100 on two workers, as in ``overhead.py``; each way in turn, so that the machine's
moods fall on all alike; ratios are of medians. The protections are taken away here, by other functions in their
place: the engine has no switch for it. Starting a cluster is measured apart, since it is paid once a run.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from distributed import Client, LocalCluster
from tests.bench.overhead import CELLS, TRIVIAL, machine
from tests.bench.trivial import BATCH

from spinsweep.deployment.local_cluster import local_client
from spinsweep.executors.dask import on_client
from spinsweep.executors.driver import drive
from spinsweep.provenance import Origin
from spinsweep.runs import open_run

Undo = Callable[[], None]


def replaced(module: Any, **others: Any) -> Undo:
    """Put other functions into a module or class; returns what puts the right ones back."""
    right_ones = {name: getattr(module, name) for name in others}
    for name, other in others.items():
        setattr(module, name, other)

    def back() -> None:
        for name, right in right_ones.items():
            setattr(module, name, right)

    return back


def no_checksums() -> Undo:
    """Neither CRC-32C nor digests, nor the objects that hold them."""
    from spinsweep.cube import block_array, digests, local

    crc = replaced(block_array.google_crc32c, value=lambda frame: 0)
    digest = replaced(digests, digest=lambda cells, arrays: "")
    write_all = local.LocalStorage.write_all

    def without(self: Any, objects: Any, *, sync: bool = False) -> None:
        kept = {name: data for name, data in objects.items() if digests.FOLDER not in name}
        write_all(self, kept, sync=sync)

    writes = replaced(local.LocalStorage, write_all=without)
    return lambda: [undo() for undo in (crc, digest, writes)] and None  # type: ignore[func-returns-value]


def no_syncs() -> Undo:
    """No ``syncfs`` and no ``fsync``, by the driver or the workers."""
    import os

    from spinsweep import disk
    from spinsweep.cube import local

    undo = [replaced(module, sync_all=lambda path: None, sync_folder=lambda path: None) for module in (disk, local)]
    undo.append(replaced(os, fsync=lambda handle: None))
    return lambda: [u() for u in undo] and None  # type: ignore[func-returns-value]


WAYS: dict[str, Callable[[], Undo]] = {
    "all": lambda: lambda: None,
    "no checksums and digests": no_checksums,
    "no syncs": no_syncs,
}
_undo: list[Undo] = []


def everywhere(client: Client, what: Callable[[], Undo]) -> None:
    """Take something away in the driver and in all workers."""

    def take() -> None:
        import protections

        protections._undo.append(what())

    client.run(take)
    _undo.append(what())


def back_everywhere(client: Client) -> None:
    def give() -> None:
        import protections

        protections._undo.pop()()

    client.run(give)
    _undo.pop()()


def blocks(rounds: int) -> None:
    times: dict[str, list[float]] = {f"{kind}{name}": [] for kind in ("", "plain TCP, ") for name in WAYS}
    here = str(Path(__file__).parent)

    def find() -> None:
        import sys

        sys.path.insert(0, here)

    with (
        tempfile.TemporaryDirectory() as folder,
        local_client(2, dashboard=False) as closed,
        LocalCluster(2, threads_per_worker=1, dashboard_address=None, resources={"cpu": 1}) as cluster,
        Client(cluster) as plain,
    ):
        for client in (closed, plain):
            client.run(find)
        for number in range(rounds):
            for kind, client in (("", closed), ("plain TCP, ", plain)):
                for name, take in WAYS.items():
                    everywhere(client, take)
                    began = time.perf_counter()
                    with open_run(
                        TRIVIAL, Path(folder) / f"{kind}{name}{number}.zarr", block=BATCH, workers=2
                    ) as run:
                        drive(run, on_client(client))
                    times[f"{kind}{name}"].append(time.perf_counter() - began)
                    back_everywhere(client)
                    assert run.complete
    base = statistics.median(times["all"])
    print(f"{CELLS} cells in blocks of {BATCH}, {rounds} rounds; {machine()}\n")
    print(f"{'way':40}{'µs a cell':>10}{'min':>8}{'max':>8}{'all over it':>13}")
    for name, found in times.items():
        each = [1e6 * t / CELLS for t in found]
        ratio = base / statistics.median(found)
        print(f"{name:40}{statistics.median(each):10.1f}{min(each):8.1f}{max(each):8.1f}{ratio:13.3f}")


def once(rounds: int) -> None:
    """What is paid once a run: the identity of the code, and a closed cluster in place of an open one."""
    Origin.of(TRIVIAL)
    identity, starts = [], {"closed": [], "open": []}
    for _ in range(rounds):
        began = time.perf_counter()
        Origin.of(TRIVIAL)
        identity.append(time.perf_counter() - began)
        for name in starts:
            began = time.perf_counter()
            if name == "closed":
                with local_client(2, dashboard=False):
                    starts[name].append(time.perf_counter() - began)
            else:
                with LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster):
                    starts[name].append(time.perf_counter() - began)
    print(f"\nidentity of the function: {1e3 * np.median(identity):.1f} ms a run")
    for name, found in starts.items():
        print(f"starting two workers, {name}: {np.median(found):.2f} s ({min(found):.2f} to {max(found):.2f})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What the protections cost.")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    blocks(options.rounds)
    once(max(3, options.rounds // 3))
