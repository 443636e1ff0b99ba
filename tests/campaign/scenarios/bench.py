"""An emulated bench: driver, lane, watchdog, emulator die and freeze; no pulse twice, the output off in the end."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections import Counter

import xarray as xr
from tests.campaign.cells import Wrong
from tests.campaign.processes import Command, kill, named, stop_for, until
from tests.campaign.scenarios import ENDS, Campaign

from instrument_emulator.control import Control
from spinsweep.bench.bench_file import load
from spinsweep.bench.lease import owner
from spinsweep.bench.watchdog import dirty

SPEED = 2000.0
SETS = {"device": "0,1", "cycles": 15, "currents": 8, "resamples": 20}


class Bench:
    """The emulator of one bench, and what all of its lives have fired."""

    def __init__(self, c: Campaign, number: int) -> None:
        self.c = c
        self.path = c.folder / f"bench{number}.toml"
        self.writes: Counter[str] = Counter()
        """Write pulses of each device, of the emulators that are gone."""
        os.environ["SPINSWEEP_LOCKS"] = str(c.folder / "locks")
        os.environ["SPINSWEEP_STATE"] = str(c.folder / f"state{number}")
        self.begin()

    def begin(self) -> None:
        said = self.c.folder / f"emulator{time.monotonic_ns()}.txt"
        self.emulator = Command(["emulate", self.path, "--speed", SPEED], said)
        until(lambda: self.emulator.ended or "control port" in self.emulator.said(), "the emulator serves")
        found = re.search(r"control port (\d+)", self.emulator.said())
        assert found, self.emulator.said()
        self.port = int(found[1])

    def kill(self) -> None:
        """SIGKILL, with its record read before: what it did after that is not known, so it is frozen first."""
        with Control(self.port) as control:
            written = self._written(control)
            kill(self.emulator.pid, signal.SIGSTOP)
        self.writes.update(written)
        kill(self.emulator.pid, signal.SIGKILL)
        self.emulator.wait()
        self.begin()

    @staticmethod
    def _written(control: Control) -> dict[str, int]:
        return {name: tally["positive_pulses"] for name, tally in control.exposure()["devices"].items()}

    def judge(self, sure: bool) -> None:
        """The bench is safe; each cycle that was fired was journalled before, once, and fired at most once."""
        until(lambda: not dirty(load(self.path)), "the bench is left safe")
        with Control(self.port) as control:
            state, exposure = control.state(), control.exposure()
            written = Counter(self._written(control)) + self.writes
        if state["source"]["output"] or state["source"]["wave"] != "idle" or state["switch"]["closed"]:
            raise Wrong(f"{self.path} is not safe: {state}")
        if (
            exposure["overall"]["hot_switchings"]
            or exposure["overall"]["max_current"] > load(self.path).limits.max_pulse
        ):
            raise Wrong(f"{self.path}: {exposure['overall']}")
        fired: Counter[str] = Counter()
        read: Counter[str] = Counter()
        for journal in (load(self.path).folder / "journal").glob("*.jsonl"):
            rows = [json.loads(line) for line in journal.read_bytes().splitlines() if line.endswith(b"}")]
            columns = {row["train"]: row["plan"]["devices"] for row in rows if row["op"] == "intent"}
            cycles = [(row["train"], row["cycle"]) for row in rows if row["op"] == "fire"]
            if len(cycles) != len(set(cycles)):
                raise Wrong(f"{journal}: a cycle was fired twice")
            for row in rows:
                if row["op"] in ("fire", "result"):
                    devices = columns[row["train"]]
                    (fired if row["op"] == "fire" else read)[devices[row["cycle"] % len(devices)]] += 1
        for device in fired:
            if not (read[device] if sure else 0) <= written[device] <= fired[device]:
                raise Wrong(
                    f"{self.path}: {device} got {written[device]} write pulses, {fired[device]} are in the journal "
                    f"and {read[device]} have results"
                )


def play(c: Campaign, faults: int) -> None:
    """A measurement that is disturbed until enough was done, then goes on to its end."""
    done, number = 0, 0
    while done < faults:
        number += 1
        bench = Bench(c, number)
        store = c.folder / f"measured{number}.zarr"
        workers = c.rng.choice([0, 2])
        command: list[object] = ["run", "characterization", "--on", bench.path, "--store", store, "--no-dashboard"]
        command += ["--workers", workers]
        for name, value in SETS.items():
            command += ["--set", f"{name}={value}"]
        sure = True
        try:
            for _ in range(c.rng.randint(4, 7)):
                if done >= faults:
                    break
                run = Command(command, c.log)
                c.runs += 1
                pulses = _pulses(bench) + c.rng.randint(1, 120)
                until(lambda: run.ended or _pulses(bench) > pulses, "it measures")  # noqa: B023
                if run.ended:
                    continue
                done += 1
                sure &= one_fault(c, bench, run)
                run.wait()
                bench.judge(sure)
            last = Command(command, c.log)
            c.runs += 1
            if (status := last.wait()) != 0:
                raise AssertionError(f"the last run ended with {status}: {last.said()}")
            bench.judge(sure)
            if not (xr.open_zarr(store, chunks=None).cell_state == 1).all():
                raise Wrong(f"{store} is not complete")
        finally:
            if not bench.emulator.ended:
                bench.emulator.signal(signal.SIGTERM)
                bench.emulator.wait()


def _pulses(bench: Bench) -> int:
    with Control(bench.port) as control:
        return int(control.exposure()["overall"]["pulses"])


def one_fault(c: Campaign, bench: Bench, run: Command) -> bool:
    """Whether the emulator's record is still whole."""
    number = c.rng.choice(ENDS)
    kind = c.rng.choice(["driver", "driver", "lane", "lane", "watchdog", "freeze", "twice", "emulator"])
    lane = _lane(bench)
    if kind == "lane" and lane == run.pid:
        kind = "driver"
    if kind == "driver":
        c.fault(f"driver at a bench {number.name}")
        run.signal(number)
    elif kind == "twice":
        c.fault("driver at a bench SIGINT twice")
        run.signal(signal.SIGINT)
        time.sleep(0.2)
        if not run.ended:
            run.signal(signal.SIGTERM)
    elif kind == "lane":
        c.fault(f"lane {number.name}")
        kill(lane, number) if lane else None
    elif kind == "watchdog":
        c.fault("watchdog SIGKILL")
        for pid in named("spinsweep.bench.watchdog"):
            kill(pid, signal.SIGKILL)
    elif kind == "freeze":
        c.fault("lane SIGSTOP, SIGCONT")
        stop_for([lane] if lane else [], c.rng.uniform(0.1, 3))
    else:
        c.fault("emulator SIGKILL")
        bench.kill()
        return False
    return True


def _lane(bench: Bench) -> int:
    found = re.search(r"process (\d+)", owner(load(bench.path).source.exclusive_names[0]))
    return int(found[1]) if found else 0
