"""What every scenario has at hand, and the list of them."""

from __future__ import annotations

import random
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.campaign.cells import FILE, look
from tests.campaign.processes import Command
from tests.campaign.reader import Reader

from spinsweep.cube import Cube

ENDS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
"""What ends a process."""


@dataclass
class Campaign:
    """One scenario's place, its dice, and what it counts."""

    folder: Path
    rng: random.Random
    reader: Reader
    faults: Counter[str] = field(default_factory=Counter)
    """How often each kind of fault was done."""
    runs: int = 0
    """Commands that were under fire, or went on after it."""

    def fault(self, kind: str) -> None:
        """Count one that is done now."""
        self.faults[kind] += 1
        print(f"{time.strftime('%H:%M:%S')} {self.folder.name} {sum(self.faults.values())}: {kind}", flush=True)

    @property
    def log(self) -> Path:
        """Where commands leave what they say."""
        return self.folder / "said.txt"

    def check(self, store: Path) -> int:
        """Whatever was done: the cube can be read, and what is done is right."""
        return look(store) if (store / "zarr.json").exists() else 0

    def complain(self, command: Command) -> None:
        """What a command said must be no traceback, but Python's own before the command's first line runs."""
        _, broke, trace = command.said().partition("Traceback")
        files = re.findall(r'File "([^"]*)"', trace)
        if broke and not all(file.startswith("<") for file in files):
            raise AssertionError(f"{' '.join(command.words)}: {command.said()}")


def words(store: Path, *more: object, block: int = 4, **sets: object) -> list[object]:
    """``spinsweep run`` of the campaign's sweep."""
    found: list[object] = ["run", f"{FILE}:SWEEP", "--store", store, "--block", block, *more]
    for name, value in sets.items():
        found += ["--set", f"{name}={value}"]
    return found


def settled(campaign: Campaign, store: Path, command: Command, statuses: Sequence[int] = (0,)) -> None:
    """A command that nothing disturbs: it ends as it has to, and leaves no run open."""
    campaign.runs += 1
    status = command.wait()
    campaign.complain(command)
    if status not in statuses:
        raise AssertionError(f"{' '.join(command.words)} ended with {status}: {command.said()}")
    if (outcome := Cube(store).runs()[-1].outcome) not in ("complete", "failed cells"):
        raise AssertionError(f"{store}: the last run is {outcome!r}, and ended with {status}")


Scenario = Callable[[Campaign, int], None]


def scenarios() -> dict[str, tuple[Scenario, int]]:
    """Each scenario, and its share of the faults."""
    from tests.campaign.scenarios import attached, bench, disk, network, serial, workers

    return {
        "serial": (serial.play, 120),
        "workers": (workers.play, 90),
        "attached": (attached.play, 36),
        "bench": (bench.play, 36),
        "disk": (disk.play, 14),
        "network": (network.play, 4),
    }


def chosen(names: str, count: int) -> dict[str, tuple[Scenario, int]]:
    """Those that are named (all if none is), with ``count`` faults among them."""
    every = scenarios()
    known = [n for n in names.split(",") if n] or list(every)
    if unknown := [n for n in known if n not in every]:
        sys.exit(f"there is no scenario {unknown[0]!r}; they are {', '.join(every)}")
    total = sum(every[n][1] for n in known)
    return {n: (every[n][0], max(1, round(every[n][1] * count / total))) for n in known}
