"""A link between scheduler and workers that is cut and healed: two network namespaces, for root only."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.campaign.cells import all_done
from tests.campaign.processes import Command, until
from tests.campaign.scenarios import Campaign, settled, words
from tests.campaign.scenarios.disk import Skipped

HERE, THERE = "10.99.77.1", "10.99.77.2"
SIDE = 14
SECONDS = 0.2


def ip(*arguments: object) -> None:
    subprocess.run(["ip", *map(str, arguments)], check=True, capture_output=True)


@contextmanager
def elsewhere() -> Iterator[str]:
    """A network namespace with one link to this one; its name, which is the link's, too."""
    if os.geteuid() or shutil.which("ip") is None:
        raise Skipped("a network namespace takes root and the command ip")
    name = f"fire{os.getpid()}"[:13]
    try:
        ip("netns", "add", name)
    except subprocess.CalledProcessError:
        raise Skipped("this machine has no network namespaces") from None
    try:
        ip("link", "add", name, "type", "veth", "peer", "name", "there", "netns", name)
        ip("addr", "add", f"{HERE}/24", "dev", name)
        ip("link", "set", name, "up")
        ip("-n", name, "addr", "add", f"{THERE}/24", "dev", "there")
        ip("-n", name, "link", "set", "there", "up")
        ip("-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        ip("netns", "del", name)


def play(c: Campaign, faults: int) -> None:
    """Cut for a moment, or for so long that the workers count as lost."""
    with elsewhere() as link:
        store = c.folder / "network.zarr"
        c.reader.watch(store)
        file = c.folder / "scheduler.json"
        listen = ["--host", HERE, "--insecure", "--port", 0, "--dashboard-port", 0]
        scheduler = Command(["scheduler", *listen, "--scheduler-file", file], c.log)
        until(lambda: scheduler.ended or (file.exists() and file.read_text().endswith("}")), "the scheduler is there")
        there = Command(["worker", file, "--workers", 2, "--insecure"], c.log, prefix=("ip", "netns", "exec", link))
        here = Command(["worker", file, "--workers", 1, "--insecure"], c.log)
        sets = {"x": f"0:{SIDE}", "seed": f"0:{SIDE}", "seconds": SECONDS}
        command = words(store, "--cluster", file, "--insecure", **sets)
        run = Command(command, c.log)
        try:
            until(lambda: run.ended or c.check(store), "cells are done")
            for number in range(faults):
                seconds = 45.0 if number == faults - 1 else c.rng.uniform(1, 8)
                c.fault("network cut and healed" if seconds < 30 else "network cut until the workers count as lost")
                ip("link", "set", link, "down")
                time.sleep(seconds)
                ip("link", "set", link, "up")
                time.sleep(c.rng.uniform(1, 3))
                c.check(store)
                if run.ended:
                    run = Command(command, c.log)
                    until(lambda: run.ended or run.log.stat().st_size, "it begins")  # noqa: B023
            c.runs += 1
            run.wait(600)
            settled(c, store, Command([*command, "--retry-failed"], c.log))
            all_done(store, SIDE * SIDE)
        finally:
            for process in (run, there, here, scheduler):
                if not process.ended:
                    process.signal(signal.SIGTERM)
                    process.wait()
