"""How fast cycles go through a bench: over bare sockets, with the drivers and the journal, and through the lane.

    python tests/bench/lane.py

The emulator is a process of its own; its time is so fast that only traffic counts.  The bare sockets send the very
messages of a cycle and look at nothing that comes back.  Medians of five turns, each way in turn.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import numpy as np

from spinneurons.device.pulse_cycle import PulseTrains
from spinsweep.bench.acquire import acquire_bench
from spinsweep.bench.bench_file import Bench, load
from spinsweep.bench.session import BenchSession
from spinsweep.bench.visa import Session
from spinsweep.cli import main

CYCLES = 500
TURNS = 5
SPEED = 1e7
WRITE, RESET, READ = 4.1e-4, -6.5e-4, 5e-5


@contextmanager
def emulated(folder: Path) -> Iterator[Path]:
    """``spinsweep emulate`` in a process of its own."""
    path = folder / "bench.toml"
    command = [sys.executable, "-m", "spinsweep.cli", "emulate", str(path), "--speed", str(SPEED)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.readline()
        yield path
        process.terminate()


def journalled(session: BenchSession, turn: int) -> float:
    """Cycles a second of a train: drivers, checks, journal."""
    with PulseTrains(session, f"bench {time.time()}") as experiment:
        began = time.perf_counter()
        experiment.run(f"turn {turn}", ["bar0"], np.full((CYCLES, 1), WRITE), [RESET], READ)
        return CYCLES / (time.perf_counter() - began)


def messages_of_a_cycle(session: BenchSession) -> list[tuple[str, str]]:
    """(role, message) of one cycle in the middle of a train."""
    seen: list[tuple[str, str]] = []
    role_of = {id(session): role for role, session in session.instruments.sessions.items()}
    ask: Callable[..., list[str]] = Session.ask

    def note(self: Session, message: str, answers: int, wait: float = 0.0) -> list[str]:
        seen.append((role_of[id(self)], message))
        return ask(self, message, answers, wait)

    Session.ask = note  # type: ignore[method-assign]
    try:
        with PulseTrains(session, f"messages {time.time()}") as experiment:
            experiment.run("one", ["bar0"], np.full((3, 1), WRITE), [RESET], READ)
    finally:
        Session.ask = ask  # type: ignore[method-assign]
    reset = [n for n, (_, message) in enumerate(seen) if "ARB:DATA -1,0" in message]
    return seen[reset[1] : reset[2]]


def bare(bench: Bench, cycle: list[tuple[str, str]]) -> float:
    """Cycles a second of the same messages over plain sockets."""
    links = {}
    for role, instrument in bench.instruments.items():
        link = socket.create_connection(("127.0.0.1", int(instrument.resource.split("::")[2])))
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        links[role] = link
    wire = [(links[role], message.encode() + b"\n") for role, message in cycle]
    route = ",".join(bench.device[0].channels)
    for role, message in (("switch", f":ROUT:OPEN ALL;:ROUT:CLOS (@{route});*OPC?"), ("source", "*CLS;*OPC?")):
        links[role].sendall(message.encode() + b"\n")
        links[role].recv(4096)
    began = time.perf_counter()
    for _ in range(CYCLES):
        for link, message in wire:
            link.sendall(message)
            while not link.recv(65536).endswith(b"\n"):
                pass
    took = time.perf_counter() - began
    links["source"].sendall(b":SOUR:WAVE:ABOR;:SOUR:CLE;*OPC?\n")
    links["source"].recv(4096)
    links["switch"].sendall(b":ROUT:OPEN ALL;*OPC?\n")
    links["switch"].recv(4096)
    for link in links.values():
        link.close()
    return CYCLES / took


def through_the_lane(path: Path, folder: Path) -> float:
    """Cycles a second of a characterization on a Dask lane, from the times in its journal."""
    asked = ["--set", "device=0", "--set", f"currents={TURNS}", "--set", f"cycles={CYCLES}", "--no-dashboard"]
    assert main(["run", "characterization", "--on", str(path), "--store", str(folder / "lane.zarr"), *asked]) == 0
    journal = max((load(path).folder / "journal").glob("*device=0*"), key=lambda p: p.stat().st_mtime)
    times: dict[str, dict[str, datetime]] = {}
    for row in map(json.loads, journal.read_text().splitlines()):
        if row["op"] in ("intent", "end") and row["train"].startswith("current"):
            times.setdefault(row["train"], {})[row["op"]] = datetime.fromisoformat(row["time"])
    return statistics.median(CYCLES / (t["end"] - t["intent"]).total_seconds() for t in times.values())


def measure() -> None:
    """All ways in turn, and what came of them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["SPINSWEEP_STATE"], os.environ["SPINSWEEP_LOCKS"] = str(folder / "state"), str(folder / "locks")
        with emulated(folder) as path:
            bench = load(path)
            rates: dict[str, list[float]] = {"bare sockets": [], "drivers and journal": []}
            for turn in range(TURNS):
                with acquire_bench(bench) as session:
                    cycle = messages_of_a_cycle(session)
                    rates["drivers and journal"].append(journalled(session, turn))
                rates["bare sockets"].append(bare(bench, cycle))
            rates["through the Dask lane"] = [through_the_lane(path, folder)]
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {len(cycle)} messages a cycle"
    )
    reference = statistics.median(rates["bare sockets"])
    for way, found in rates.items():
        middle = statistics.median(found)
        ratio = middle / reference
        print(f"{way:<22} {middle:7.0f} cycles/s   {1e3 / middle:6.2f} ms   {ratio:5.2f} of the bare sockets")


if __name__ == "__main__":
    measure()
