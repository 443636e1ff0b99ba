"""Drivers that compute by themselves, killed at file operations and by signals: creation, growth, retry, stale."""

from __future__ import annotations

import mmap
import signal
import struct
from contextlib import suppress

from tests.campaign.cells import all_done
from tests.campaign.processes import Fork, kill, until
from tests.campaign.scenarios import ENDS, Campaign, settled, words
from tests.campaign.traces import marked


def play(c: Campaign, faults: int) -> None:
    """Cubes are made, grown, broken, mended and adopted, each under fire."""
    broken = c.folder / "broken"
    counter = mmap.mmap(-1, 8)
    done, cube = 0, 0
    while done < faults:
        cube += 1
        store = c.folder / f"serial{cube}.zarr"
        c.reader.watch(store)
        sets = {"x": "0:4", "seed": "0:4", "broken": broken}
        steps = [
            ({}, [], (0,), 16),
            ({"x": "0:7"}, [], (0,), 28),
            ({"seed": "0:6"}, [], (0,), 42),
            ({"x": "0:9", "fails": True}, [], (1,), 0),
            ({"fails": False}, ["--retry-failed"], (0,), 54),
            ({"gain": 2.0}, ["--mark-stale"], (0,), 54),
        ]
        for changes, more, statuses, cells in steps:
            if changes.pop("fails", False):
                broken.touch()
            else:
                broken.unlink(missing_ok=True)
            sets |= changes
            command = words(store, "--workers", 0, *more, **sets)
            operations = 300
            for _ in range(c.rng.randint(2, 5)):
                if done >= faults:
                    break
                done += fire(c, command, str(store), c.rng.randint(1, operations), counter)
                operations = max(30, struct.unpack("q", counter[:8])[0])
                c.check(store)
            settled(c, store, Fork(command, c.log), statuses)
            if cells:
                all_done(store, cells)
            else:
                c.check(store)


def fire(c: Campaign, command: list[object], store: str, nth: int, counter: mmap.mmap) -> int:
    """One run under one fault; 1 if it met it."""
    c.runs += 1
    counter[:8] = bytes(8)

    def count(number: int) -> None:
        counter[:8] = struct.pack("q", number)

    if c.rng.random() < 0.6:
        run = Fork(command, c.log, nth, store, count)
        hit = run.wait() == -signal.SIGKILL
        if hit:
            c.fault("driver killed at a file operation")
        return int(hit)
    run = Fork(command, c.log, 0, store, count)
    # at a random moment of its work, told by what it has done to files
    with suppress(AssertionError):
        until(lambda: run.ended or struct.unpack("q", counter[:8])[0] >= nth, "so many operations", 20)
    if run.ended:
        return 0
    what = c.rng.choice([*ENDS, signal.SIGSTOP, "twice", "reaper"])
    if what == "reaper":
        reapers = [p.pid for p in marked(set()) if p.ppid() == run.pid]
        for pid in reapers:
            kill(pid, signal.SIGKILL)
        run.wait()
        c.fault("reaper killed")
    elif what == "twice":
        run.signal(signal.SIGINT)
        run.signal(signal.SIGTERM)
        c.fault("driver SIGINT and SIGTERM")
    else:
        run.signal(what)
        c.fault(f"driver {what.name}")
        if what == signal.SIGSTOP:
            until(lambda: run.ended or run.process.status() == "stopped", "it stops")
            run.signal(c.rng.choice([signal.SIGCONT, signal.SIGKILL]))
    run.wait()
    return 1
