"""What a bench does when something dies or meddles, seen from outside: ``python -m tests.campaign.attacks``.

Recorders stand between the lane and the emulated instruments, and time every line; nothing of the product's own is
asked.  Each attack comes while a read current flows.  The table says how long the output stayed on, and how many
pulses left after the attack and before the output was off.  Then lanes are killed at random moments (``KILLS=100``),
and the pulses on the wire are compared with the journal.  The page is written to ``results/bench/attacks.md``.
"""

from __future__ import annotations

import json
import os
import platform
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from tests.drivers.wire_recorder import Recorder

from instrument_emulator.control import Control
from spinsweep.bench.bench_file import load
from spinsweep.bench.lease import owners
from spinsweep.bench.watchdog import dirty

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "results" / "bench" / "attacks.md"
SPINSWEEP = [sys.executable, "-P", "-m", "spinsweep.cli"]
LANE = """
import sys
import numpy as np
from spinneurons.device.pulse_cycle import PulseTrains
from spinsweep.bench.acquire import acquire_bench
from spinsweep.bench.bench_file import load
with acquire_bench(load(sys.argv[1]), timeout_s=60) as session, PulseTrains(session, "attacked") as trains:
    for number in range(100_000):
        trains.run(f"train {number}", ["bar0"], np.full((20, 1), 4.1e-4), [-6.5e-4], 5e-5)
"""
SPEED = 20.0
"""A read current flows for 25 ms, a rest takes 100 ms."""


class Timed(list[str]):
    """Lines of all recorders; :attr:`at` holds the monotonic time of each, s."""

    def __init__(self) -> None:
        super().__init__()
        self.at: list[float] = []

    def append(self, line: str) -> None:
        self.at.append(time.monotonic())
        super().append(line)


@dataclass
class Wire:
    """An emulated bench behind recorders."""

    bench: Path
    control: Control
    lines: Timed

    def sent(self, since: float = 0.0) -> list[tuple[float, str]]:
        """Messages to the source, with their times."""
        return [(t, line[9:]) for t, line in zip(self.lines.at, self.lines, strict=False)
                if t >= since and line.startswith("source > ")]  # fmt: skip

    def output_is_on(self) -> bool:
        """Whether the last that was said of the output has switched it on."""
        for _, message in reversed(self.sent()):
            if ":OUTP 1" in message:
                return True
            if "SOUR:CLE" in message:
                return False
        return False

    def off_after(self, began: float, timeout_s: float) -> float:
        """How long after ``began`` the source was told to switch off, s; infinite if it was not in time."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            for t, message in self.sent(began):
                if "SOUR:CLE" in message:
                    return t - began
            time.sleep(0.002)
        return float("inf")

    def pulses(self, begin: float, end: float) -> int:
        return sum("WAVE:INIT" in message for t, message in self.sent(begin) if t < end)


@contextmanager
def wired(folder: Path) -> Iterator[Wire]:
    """``spinsweep emulate`` in a process of its own, and a bench file whose addresses are those of recorders."""
    direct, bench = folder / "direct.toml", folder / "bench.toml"
    command = [*SPINSWEEP, "emulate", str(direct), "--speed", str(SPEED)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        port = int(process.stdout.readline().split("control port ")[1].split(";")[0])
        text, lines, lock, recorders = direct.read_text(), Timed(), threading.Lock(), []
        for role, section in load(direct).instruments.items():
            number = section.resource.split("::")[2]
            recorders.append(Recorder(role, ("127.0.0.1", int(number)), lines, lock))
            text = text.replace(f"::{number}::", f"::{recorders[-1].port}::")
        bench.write_text(text)
        try:
            with Control(port) as control:
                yield Wire(bench, control, lines)
        finally:
            process.terminate()
            process.wait()
            for recorder in recorders:
                recorder.close()


def until(condition: Callable[[], object], timeout_s: float = 90.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("it did not happen")
        time.sleep(0.0005)


@dataclass
class Processes:
    """Those of one run: who may be killed."""

    driver: psutil.Process
    lane: psutil.Process
    watchdog: psutil.Process
    standby: psutil.Process


def processes(wire: Wire, driver: int) -> Processes:
    """The processes of the run, as soon as its bench is at work."""
    until(lambda: owners(load(wire.bench)) and wire.output_is_on())
    (lane,) = owners(load(wire.bench))
    watchdog = next(c for c in psutil.Process(lane).children() if "spinsweep.bench.watchdog" in c.cmdline())
    (standby,) = watchdog.children()
    return Processes(psutil.Process(driver), psutil.Process(lane), watchdog, standby)


def kill(*who: str) -> Callable[[Processes, Wire], None]:
    def attack(processes: Processes, _: Wire) -> None:
        for name in who:
            getattr(processes, name).kill()

    return attack


def send(who: str, number: int) -> Callable[[Processes, Wire], None]:
    return lambda processes, _: getattr(processes, who).send_signal(number)


def twice(processes: Processes, _: Wire) -> None:
    processes.driver.send_signal(signal.SIGINT)
    time.sleep(0.05)
    processes.driver.send_signal(signal.SIGINT)


def group(processes: Processes, _: Wire) -> None:
    os.killpg(processes.driver.pid, signal.SIGKILL)


def fault(name: str, role: str, **values: Any) -> Callable[[Processes, Wire], None]:
    return lambda _, wire: wire.control.set(name, role, **values)


ATTACKS: dict[str, Callable[[Processes, Wire], None]] = {
    "lane killed": kill("lane"),
    "lane and watchdog killed": kill("watchdog", "lane"),
    "lane, watchdog and standby killed, the run lives": kill("standby", "watchdog", "lane"),
    "run killed": kill("driver"),
    "the run's process group killed": group,
    "run and lane killed": kill("driver", "lane"),
    "run, lane and watchdog killed": kill("driver", "watchdog", "lane"),
    "watchdog killed": kill("watchdog"),
    "standby killed": kill("standby"),
    "lane frozen (SIGSTOP)": send("lane", signal.SIGSTOP),
    "SIGTERM to the lane": send("lane", signal.SIGTERM),
    "Ctrl-C at the run": send("driver", signal.SIGINT),
    "Ctrl-C twice at the run": twice,
    "the source's connection is reset": fault("reset", "source"),
    "the source's connection is closed in the middle of a question": fault("drop", "source"),
    "the meter's reply is garbage": fault("garbage", "meter"),
    "LOCAL pressed at the meter": fault("local_key", "meter", text="SENS:VOLT:DC:NPLC 0.01"),
    "another program writes 2.1 mA between check and pulse": fault(
        "foreign", "source", text="SOUR:WAVE:AMPL 2.1e-3", match="WAVE:ARM"),
    "another program sets the meter to NPLC 0.01": fault("foreign", "meter", text="SENS:VOLT:DC:NPLC 0.01"),
    "another program opens a relay": fault("foreign", "switch", text="ROUT:OPEN (@1!1)", match="ROUT:CLOS?"),
    "all four killed at once": kill("driver", "standby", "watchdog", "lane"),
}  # fmt: skip
"""By what the table says."""
PATIENCE_S = {"lane frozen (SIGSTOP)": 30.0, "all four killed at once": 5.0}
LASTS = {"another program writes 2.1 mA between check and pulse", "standby killed"}
"""After which the run goes on: nothing is switched off."""


def attacked(name: str) -> dict[str, Any]:
    """One attack on a run of its own."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ["SPINSWEEP_STATE"], os.environ["SPINSWEEP_LOCKS"] = str(folder / "state"), str(folder / "locks")
        with wired(folder) as wire:
            words = ["run", "characterization", "--on", wire.bench, "--store", folder / "cube.zarr", "--no-dashboard"]
            words += ["--set", "device=0", "--set", "currents=4", "--set", "cycles=400"]
            with subprocess.Popen(
                [*SPINSWEEP, *map(str, words)],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as run:
                found = processes(wire, run.pid)
                time.sleep(1.0)
                until(lambda: not wire.output_is_on())
                until(wire.output_is_on)
                began = time.monotonic()
                ATTACKS[name](found, wire)
                if name in LASTS:
                    time.sleep(3.0)
                    off = None
                else:
                    off = wire.off_after(began, PATIENCE_S.get(name, 20.0))
                end = began + (off if off is not None and off < float("inf") else 3.0)
                row: dict[str, Any] = {
                    "attack": name,
                    "off_s": off,
                    "pulses": wire.pulses(began, end) if off is not None else 0,
                    "max_current": wire.control.exposure()["overall"]["max_current"],
                }
                if off == float("inf"):
                    command = [*SPINSWEEP, "bench", "safe", str(wire.bench)]
                    asked = time.monotonic()
                    done = subprocess.run(command, capture_output=True, check=False)
                    row["by_hand_s"] = time.monotonic() - asked if done.returncode == 0 else None
                with suppress(psutil.NoSuchProcess):
                    found.lane.send_signal(signal.SIGCONT)
                run.terminate()
                with suppress(subprocess.TimeoutExpired):
                    run.communicate(timeout=60)
                run.kill()
            until(lambda: not dirty(load(wire.bench)) and not owners(load(wire.bench)), 60)
            state = wire.control.state()
            row["left"] = "safe" if not state["source"]["output"] and not state["switch"]["closed"] else "NOT SAFE"
            return row


def random_kills(number: int, seed: int) -> dict[str, Any]:
    """Lanes that are killed at random moments on one bench, one after the other: wire against journal."""
    rng, kinds = random.Random(seed), [("lane",), ("lane", "watchdog"), ("watchdog",), ("watchdog", "lane")]
    offs = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ["SPINSWEEP_STATE"], os.environ["SPINSWEEP_LOCKS"] = str(folder / "state"), str(folder / "locks")
        with wired(folder) as wire:
            for kill_number in range(number):
                command = [sys.executable, "-c", LANE, str(wire.bench)]
                with subprocess.Popen(command, stderr=subprocess.DEVNULL) as lane:
                    found = processes(wire, lane.pid)
                    time.sleep(rng.uniform(0.0, 1.5))
                    on, began = wire.output_is_on(), time.monotonic()
                    for who in rng.choice(kinds):
                        getattr(found, who).kill()
                    off = wire.off_after(began, 20.0)
                    offs += [off] if on else []
                    lane.wait(30)
                until(lambda: not owners(load(wire.bench)) and not dirty(load(wire.bench)), 60)
                print(f"kill {kill_number + 1} of {number}: off after {off:.2f} s", flush=True)
            writes = wire_writes(wire)
            rows = [json.loads(r) for j in (load(wire.bench).folder / "journal").glob("*.jsonl")
                    for r in j.read_text().splitlines()]  # fmt: skip
            fired = [(row["train"], row["cycle"]) for row in rows if row["op"] == "fire"]
            return {
                "kills": number,
                "seed": seed,
                "writes": writes,
                "journalled": len(fired),
                "twice": len(fired) - len(set(fired)),
                "emulator": wire.control.exposure()["devices"]["bar0"]["positive_pulses"],
                "off_s": sorted(offs),
            }


def wire_writes(wire: Wire) -> int:
    """Write pulses on the wire: waves that were started with a positive sign."""
    sign, writes = 0, 0
    for _, message in wire.sent():
        if data := re.search(r"ARB:DATA (-?1),0", message):
            sign = int(data[1])
        writes += "WAVE:INIT" in message and sign > 0
    return writes


def page(rows: list[dict[str, Any]], kills: dict[str, Any]) -> str:
    """The page, in Markdown."""
    lines = [
        "# A bench under attack",
        "",
        "Emulated instruments, recorders on the wires, each attack while a read current flows. *Off after*: until",
        "the message that switches the source off has passed the recorder. Where the run goes on, nothing is",
        "switched off.",
        f"Machine: {os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f} at the end.",
        f"`python -m tests.campaign.attacks` (KILLS={kills['kills']} SEED={kills['seed']}) makes this page.",
        "",
        "| attack | off after | pulses until then | largest current at a device | in the end |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        off = "goes on" if row["off_s"] is None else f"{row['off_s']:.2f} s"
        if row["off_s"] == float("inf"):
            off = f"stays on; `bench safe` took {row['by_hand_s']:.1f} s"
        lines.append(
            f"| {row['attack']} | {off} | {row['pulses']} | {1e3 * row['max_current']:.3g} mA | {row['left']} |"
        )
    offs = kills["off_s"]
    lines += [
        "",
        f"{kills['kills']} lanes or watchdogs killed at random moments, one after the other on one bench: "
        f"{kills['writes']} write pulses on the wire, {kills['emulator']} at the device, {kills['journalled']} in "
        f"the journal, {kills['twice']} of them twice. A row without a pulse is a kill between the two. "
        + (f"With a read current on, the output was off after {offs[0]:.2f} to {offs[-1]:.2f} s "
           f"(median {offs[len(offs) // 2]:.2f} s, {len(offs)} of the kills)." if offs else ""),
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def main() -> int:
    """0 when every bench was left safe and no pulse was fired twice."""
    only = os.environ.get("ONLY", "")
    rows = []
    for name in ATTACKS:
        if only in name:
            rows.append(attacked(name))
            print(json.dumps(rows[-1]), flush=True)
    kills = random_kills(int(os.environ.get("KILLS") or 100), int(os.environ.get("SEED") or 1))
    print(json.dumps(kills))
    if not only:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page(rows, kills))
    good = (
        all(row["left"] == "safe" for row in rows) and not kills["twice"] and kills["writes"] <= kills["journalled"]
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
