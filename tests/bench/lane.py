"""How fast cycles go through a bench: over bare sockets, with the drivers and the journal, and through the lane.

    python -m tests.bench.lane

The emulator is a process of its own; its time is so fast that only traffic counts.  The bare sockets send the very
messages of a cycle; what comes back is looked at afterwards.  Medians of five turns, each way in turn.
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


def journalled(session: BenchSession, turn: int, cycles: int = CYCLES) -> float:
    """Cycles a second of a train: drivers, checks, journal."""
    with PulseTrains(session, f"bench {time.time()}") as experiment:
        began = time.perf_counter()
        experiment.run(f"turn {turn}", ["bar0"], np.full((cycles, 1), WRITE), [RESET], READ)
        return cycles / (time.perf_counter() - began)


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


Ask = Callable[[str, str], str]
"""Sends a message to the instrument of a role, and returns its reply."""


@contextmanager
def over_sockets(bench: Bench) -> Iterator[Ask]:
    """Plain sockets."""
    links = {}
    for role, instrument in bench.instruments.items():
        link = socket.create_connection(("127.0.0.1", int(instrument.resource.split("::")[2])))
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        links[role] = link

    def ask(role: str, message: str) -> str:
        links[role].sendall(message.encode() + b"\n")
        reply = b""
        while not reply.endswith(b"\n"):
            reply += links[role].recv(65536)
        return reply.decode()

    yield ask
    for link in links.values():
        link.close()


def same_messages(bench: Bench, ask: Ask, cycle: list[tuple[str, str]], cycles: int = CYCLES) -> float:
    """Cycles a second of the very messages of a cycle, whose replies are those of a cycle that went well.

    Raises AssertionError if one says otherwise.
    """
    route = ",".join(bench.device[0].channels)
    ask("switch", f":ROUT:OPEN ALL;:ROUT:CLOS (@{route});*OPC?")
    ask("source", "*CLS;*OPC?")
    replies: list[tuple[str, str]] = []
    began = time.perf_counter()
    for _ in range(cycles):
        replies += [(role, ask(role, message)) for role, message in cycle]
    took = time.perf_counter() - began
    ask("source", ":SOUR:WAVE:ABOR;:SOUR:CLE;*OPC?")
    ask("switch", ":ROUT:OPEN ALL;*OPC?")
    assert all(reply.rstrip().endswith('0,"No error"') for _, reply in replies)
    readings = [float(reply.split(";")[0]) for role, reply in replies if role == "meter"]
    assert len(readings) == 2 * cycles
    assert all(1e-6 < abs(volt) < 1e-2 for volt in readings)
    return cycles / took


def through_the_lane(path: Path, store: Path, turns: int = TURNS, cycles: int = CYCLES) -> float:
    """Cycles a second of a characterization on a Dask lane, from the times in its journal."""
    asked = ["--set", "device=0", "--set", f"currents={turns}", "--set", f"cycles={cycles}", "--no-dashboard"]
    assert main(["run", "characterization", "--on", str(path), "--store", str(store), *asked]) == 0
    journal = max((load(path).folder / "journal").glob("*device=0*"), key=lambda p: p.stat().st_mtime)
    times: dict[str, dict[str, datetime]] = {}
    for row in map(json.loads, journal.read_text().splitlines()):
        if row["op"] in ("intent", "end") and row["train"].startswith("current"):
            times.setdefault(row["train"], {})[row["op"]] = datetime.fromisoformat(row["time"])
    return statistics.median(cycles / (t["end"] - t["intent"]).total_seconds() for t in times.values())


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
                with over_sockets(bench) as ask:
                    rates["bare sockets"].append(same_messages(bench, ask, cycle))
            rates["through the Dask lane"] = [through_the_lane(path, folder / "lane.zarr")]
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
