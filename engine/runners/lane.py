"""The lane: the Dask worker that owns a bench, alone.

A worker's resources route work, they do not exclude, and neither a raising plugin nor a raising preload keeps a
worker out.  So the order is: own the bench (operating-system lock, guard, handshake), hold a lease of its addresses
at the scheduler, and only then register.  The scheduler's lease has a time to live and is for lanes on other
machines: a lane that is cut off from the scheduler ends before another one can get the lease.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from distributed import Client, SchedulerPlugin, Security, Worker

from engine.dashboard.watch import TOPIC
from engine.errors import LeaseError, RunnerError, SpinsweepError
from engine.instruments.bench import Bench, load
from engine.instruments.lease import Lease
from engine.instruments.own import own
from engine.instruments.station import Station, pulses
from engine.runners.dask import quiet
from engine.runners.security import LOOPBACK, NO_DASHBOARD, host_of, on_loopback

TTL = 15.0  # seconds that the scheduler's lease lasts without being renewed
FENCE = 0.8  # of it, after which the lane ends itself
RENEW = 3.0  # seconds between renewals
PATIENCE = 3.0  # seconds that a lane waits for the bench, which the guard of a dead lane may hold
REVIVAL = 90.0  # the same for a lane that follows one that died: a source may refuse connections for a minute
START = 120.0  # seconds that a lane started here may take
LIVES = 3  # lanes that a run starts again when they die
FENCED = 75  # exit status of a lane that ended itself


class ClusterLease(SchedulerPlugin):
    """At the scheduler: which lane owns which address, until when."""

    name = "spinsweep-lease"
    idempotent = True

    async def start(self, scheduler: Any) -> None:
        """Answer to ``spinsweep_lease``."""
        self.since = time.monotonic()
        self.held: dict[str, tuple[str, str, float]] = {}
        scheduler.handlers["spinsweep_lease"] = self.request

    def request(
        self, addresses: Sequence[str], holder: str, host: str, release: bool = False, grace: float = 0.0
    ) -> str:
        """Take or renew the lease of all addresses; "" if granted, else why not.

        Lanes of one machine are told apart by its own locks: the newest to ask is the one that holds them.
        """
        now = time.monotonic()
        if release:
            self.held = {a: h for a, h in self.held.items() if h[0] != holder}
            return ""
        for address in addresses:
            other, elsewhere, until = self.held.get(address, (holder, host, now))
            if elsewhere != host and until > now:
                return f"{address} is owned by {other}"
        if now < self.since + grace and any(a not in self.held for a in addresses):
            left = self.since + grace - now
            return f"the scheduler has just started: an earlier lane may live for {left:.0f} s more"
        self.held |= {address: (holder, host, now + TTL) for address in addresses}
        return ""


async def serve(station: Station, address: str, security: Security | None = None) -> None:
    """Hold the scheduler's lease and be its worker until it closes or the lane is told to end."""
    bench, lease = station.bench, station.lease
    host = os.uname().nodename
    holder = f"lane {lease.epoch} of bench {bench.name}, process {os.getpid()} on {host}"
    addresses = sorted(i.address for i in bench.instruments.values())
    loopback = on_loopback(host_of(address))
    async with Client(address, asynchronous=True, timeout=10, security=security) as client:
        await client.register_plugin(ClusterLease())
        scheduler: Any = client.scheduler
        question = {"addresses": addresses, "holder": holder, "host": host, "grace": 0.0 if loopback else TTL}
        while True:
            sent = time.monotonic()
            refused = await scheduler.spinsweep_lease(**question)
            if not refused:
                break
            if "just started" not in refused:
                raise LeaseError(f"bench {bench.name}: {refused}; only one lane can own it")
            await asyncio.sleep(1)
        lease.valid_until = sent + FENCE * TTL
        _start_watchdog(lease)
        renewal = asyncio.create_task(_renew(scheduler, station, question))
        worker = Worker(
            address,
            nthreads=1,
            name=f"lane-{bench.name}",
            resources=bench.needs,
            memory_limit=0,
            host=LOOPBACK if loopback else None,
            dashboard_address=NO_DASHBOARD,
            security=security,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, _end, station, worker)
        station.on_progress = lambda progress: worker.log_event(TOPIC, {**_wear(bench), **progress})
        async with worker:
            print("ready", flush=True)
            await worker.finished()
        renewal.cancel()
        station.stopping.set()
        lease.valid_until = float("inf")  # no work can come any more; the bench is made safe now
        with suppress(OSError, TimeoutError, asyncio.TimeoutError):  # the scheduler may be gone
            await asyncio.wait_for(scheduler.spinsweep_lease(**question, release=True), RENEW)


async def _renew(scheduler: Any, station: Station, question: dict[str, Any]) -> None:
    """Renew the lease; while the scheduler does not answer, no new cycle begins."""
    while True:
        await asyncio.sleep(RENEW)
        sent = time.monotonic()
        try:
            refused = await scheduler.spinsweep_lease(**question)
        except OSError:
            station.cut_off.set()
            continue
        station.cut_off.clear()
        if refused:
            station.lease.lost = refused
            return
        station.lease.valid_until = sent + FENCE * TTL


def _start_watchdog(lease: Lease) -> None:
    """End the process when its lease has run out, whatever it is doing; the guard makes the bench safe."""

    def watch() -> None:
        while time.monotonic() < lease.valid_until and not lease.lost:
            time.sleep(0.2)
        print(f"spinsweep: the lane ends: {lease.lost or 'its lease was not renewed in time'}", file=sys.stderr)
        os._exit(FENCED)

    threading.Thread(target=watch, name="lease-watchdog", daemon=True).start()


_ending: set[asyncio.Task[Any]] = set()


def _end(station: Station, worker: Worker) -> None:
    station.stopping.set()  # the work in hand ends after its cycle
    task = asyncio.get_running_loop().create_task(worker.close(reason="told to end"))
    _ending.add(task)


def _wear(bench: Bench) -> dict[str, Any]:
    """Pulses of the bench's devices in their life, and which of them is nearest to its limit, and how near."""
    counted = pulses(bench)
    wear = {d.name: counted.get(d.name, 0) / bench.limits_of(d).max_pulses for d in bench.device}
    worn = max(wear, key=lambda name: wear[name])
    return {"bench": bench.name, "pulses": sum(counted.values()), "worn": worn, "wear": wear[worn]}


def run_lane(bench: Bench, address: str, patience: float = PATIENCE, security: Security | None = None) -> None:
    """Be the lane of a bench for the scheduler at ``address`` (with its scheme), until it ends or SIGTERM comes.

    Raises
    ------
    LeaseError
        Another lane owns the bench.
    BenchError
        The bench cannot be reached or is another one.
    RunnerError
        No scheduler answers.
    """
    quiet()
    with own(bench, patience) as station:
        try:
            asyncio.run(serve(station, address, security))
        except (OSError, TimeoutError) as error:
            raise RunnerError(f"no scheduler answers at {address} ({type(error).__name__})") from None


class LocalLane:
    """A lane in a process of this machine, started again when it dies."""

    def __init__(self, bench_path: Path, address: str) -> None:
        self.command = [sys.executable, "-m", "engine.runners.lane", str(bench_path), address]
        self.deaths = 0
        self.problem = ""
        """Why there is no lane any more."""
        self._ending = False
        self._start()
        self._thread = threading.Thread(target=self._watch, name="lane-watch", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Let it finish its cycle, make the bench safe, and go."""
        self._ending = True
        if self.process.poll() is None:
            self.process.terminate()
        self._thread.join()

    def _start(self, patience: float = PATIENCE) -> None:
        with TemporaryFile("w+") as errors:
            self.process = subprocess.Popen(
                [*self.command, str(patience)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
            assert self.process.stdout is not None
            timer = threading.Timer(START, self.process.kill)
            timer.start()
            said = self.process.stdout.readline().strip()
            timer.cancel()
            if said != b"ready":
                self.process.wait()
                errors.seek(0)
                lines = [line for line in errors.read().splitlines() if line.strip()] or ["it said nothing"]
                raise RunnerError(f"the lane did not start: {lines[-1].removeprefix('spinsweep: ')}")

    def _watch(self) -> None:
        while True:
            self.process.wait()
            if self._ending:
                return
            self.deaths += 1
            try:
                if self.deaths > LIVES:
                    raise RunnerError(f"the lane died {self.deaths} times")
                self._start(REVIVAL)
            except RunnerError as error:
                self.problem = str(error)
                return

    def check(self) -> None:
        """``RunnerError`` if the lane is gone for good."""
        if self.problem:
            raise RunnerError(f"{self.problem}; what was measured is kept, the same command goes on")


@contextmanager
def local_lane(bench_path: Path, address: str) -> Iterator[LocalLane]:
    """A lane of this machine for the scheduler at ``address``, ended with the block."""
    lane = LocalLane(bench_path, address)
    try:
        yield lane
    finally:
        lane.end()


def main(arguments: Sequence[str]) -> int:
    """``python -m engine.runners.lane BENCH.toml SCHEDULER PATIENCE``: what :class:`LocalLane` starts."""
    path, address, patience = arguments
    try:
        run_lane(load(path), address, float(patience))
    except SpinsweepError as error:
        print(f"spinsweep: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
