"""A driver with two worker processes of its own: workers die, freeze and are told to end, and so is the driver."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from tests.campaign.cells import all_done
from tests.campaign.processes import Command, kill, stop_for, until
from tests.campaign.scenarios import ENDS, Campaign, settled, words

SIDE = 16  # cells along each axis
SECONDS = 0.05  # of a cell


def play(c: Campaign, faults: int) -> None:
    """Several faults on one driver, the last of which may end it; then it goes on."""
    done, cube = 0, 0
    while done < faults:
        cube += 1
        store = c.folder / f"workers{cube}.zarr"
        c.reader.watch(store)
        command = words(store, "--workers", 2, "--no-dashboard", x=f"0:{SIDE}", seed=f"0:{SIDE}", seconds=SECONDS)
        for _ in range(3):
            if done >= faults:
                break
            done += volley(c, command, store)
            c.check(store)
        settled(c, store, Command([*command, "--retry-failed"], c.log))
        all_done(store, SIDE * SIDE)


def volley(c: Campaign, command: list[object], store: Path) -> int:
    """One run under fire until it ends; how many faults it met."""
    c.runs += 1
    hook = {}
    if c.rng.random() < 0.4:
        told = c.folder / f"killed{c.runs}"
        hook = {"KILL_AT": f"{c.rng.randint(20, 200)}:{store}:{told}"}
    run = Command(command, c.log, **hook)
    before = c.check(store)
    early = c.rng.random() < 0.2  # while it still starts them
    until(lambda: run.ended or (run.workers() if early else c.check(store) > before), "it has workers")
    met = 0
    for _ in range(c.rng.randint(3, 7)):
        time.sleep(c.rng.uniform(0.2, 0.8))
        if run.ended:
            break
        met += 1
        one_fault(c, run)
    if not run.ended and c.rng.random() < 0.7:
        met += 1
        number = c.rng.choice(ENDS)
        c.fault(f"driver with workers {number.name}")
        run.signal(number)
        if number != signal.SIGKILL and c.rng.random() < 0.4:
            time.sleep(c.rng.uniform(0, 0.5))
            run.signal(signal.SIGTERM)
    run.wait()
    c.complain(run)
    if hook and told.exists():
        c.fault("driver or worker killed at a file operation")
        met += 1
    return met


def one_fault(c: Campaign, run: Command) -> None:
    workers = [worker.pid for worker in run.workers()]
    if not workers:
        time.sleep(0.3)
        return
    one = [c.rng.choice(workers)]
    kind = c.rng.choice(["one", "one", "all", "freeze one", "freeze all", "freeze driver"])
    if kind == "one" or kind == "all":
        number = c.rng.choice(ENDS)
        c.fault(f"{'one worker' if kind == 'one' else 'all workers'} {number.name}")
        for pid in one if kind == "one" else workers:
            kill(pid, number)
    else:
        pids = {"freeze one": one, "freeze all": workers, "freeze driver": [run.pid]}[kind]
        who = {"freeze one": "one worker", "freeze all": "all workers", "freeze driver": "driver with workers"}[kind]
        c.fault(f"{who} SIGSTOP, SIGCONT")
        stop_for(pids, c.rng.uniform(0.1, 2.0))
