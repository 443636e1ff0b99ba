"""A scheduler and workers that outlive drivers: each of them dies, and a second driver or a second cluster comes."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.campaign.cells import all_done
from tests.campaign.processes import Command, kill, stop_for, until
from tests.campaign.scenarios import ENDS, Campaign, settled, words

SIDE = 14
SECONDS = 0.05


@contextmanager
def cluster(c: Campaign, *more: object) -> Iterator[tuple[Path, Command, Command]]:
    """``spinsweep scheduler`` and ``spinsweep worker`` with two workers."""
    file = c.folder / "scheduler.json"
    file.unlink(missing_ok=True)
    server = ["scheduler", "--port", 0, "--dashboard-port", 0, "--scheduler-file", file, *more]
    scheduler = Command(server, c.log)
    until(lambda: scheduler.ended or (file.exists() and file.read_text().endswith("}")), "the scheduler is there")
    workers = Command(["worker", file, "--workers", 2], c.log)
    try:
        until(lambda: workers.ended or len(workers.workers()) == 2, "the workers are there")
        yield file, scheduler, workers
    finally:
        for command in (workers, scheduler):
            kill(command.pid, signal.SIGCONT)
            command.signal(signal.SIGTERM) if not command.ended else None
            command.wait()


def play(c: Campaign, faults: int) -> None:
    """A new cluster after each fault that takes it; the cube stays until it is done."""
    done, cube = 0, 0
    while done < faults:
        cube += 1
        store = c.folder / f"attached{cube}.zarr"
        c.reader.watch(store)
        sets = {"x": f"0:{SIDE}", "seed": f"0:{SIDE}", "seconds": SECONDS}
        for _ in range(3):
            if done >= faults:
                break
            with cluster(c) as (file, scheduler, workers):
                run = Command(words(store, "--cluster", file, **sets), c.log)
                c.runs += 1
                until(lambda: run.ended or c.check(store), "cells are done")  # noqa: B023
                for _ in range(c.rng.randint(1, 3)):
                    if not run.ended:
                        done += 1
                        one_fault(c, store, run, scheduler, workers, sets)
                    time.sleep(c.rng.uniform(0, 0.5))
                    c.check(store)
                if not run.ended:
                    run.signal(signal.SIGTERM)
                run.wait()
        settled(c, store, Command(words(store, "--workers", 2, "--no-dashboard", "--retry-failed", **sets), c.log))
        all_done(store, SIDE * SIDE)


def one_fault(
    c: Campaign, store: Path, run: Command, scheduler: Command, workers: Command, sets: dict[str, object]
) -> None:
    kind = c.rng.choice(
        ["scheduler", "freeze scheduler", "workers", "one worker", "driver", "second driver", "second cluster"]
    )
    number = c.rng.choice(ENDS)
    if kind == "freeze scheduler":
        c.fault("scheduler SIGSTOP, SIGCONT")
        stop_for([scheduler.pid], c.rng.uniform(0.2, 3))
    elif kind == "one worker":
        alive = workers.workers()
        c.fault(f"one attached worker {number.name}")
        kill(c.rng.choice(alive).pid if alive else -1, number) if alive else None
    elif kind == "second driver":
        c.fault("second driver on the cube")
        all_there = c.check(store) == SIDE * SIDE  # then it has nothing to compute
        second = Command(words(store, "--workers", 0, **sets), c.log)
        c.runs += 1
        if second.wait() != 2 and not run.ended and not all_there:
            raise AssertionError(f"a second driver was let in: {second.said()}")
    elif kind == "second cluster":  # while blocks of the first are still computed
        c.fault("driver killed, and another cluster takes over at once")
        run.signal(signal.SIGKILL)
        run.wait()
        second = Command(words(store, "--workers", 2, "--no-dashboard", **sets), c.log)
        c.runs += 1
        second.wait()
        c.complain(second)
    else:
        target = {"scheduler": scheduler, "workers": workers, "driver": run}[kind]
        c.fault(f"{'all attached workers' if kind == 'workers' else f'attached {kind}'} {number.name}")
        target.signal(number)
        if kind == "workers":
            run.signal(signal.SIGINT)  # nobody is left to compute
