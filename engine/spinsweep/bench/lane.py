"""The lane: the Dask worker that owns a bench, alone.

A worker's resources route work, they do not exclude, and neither a raising plugin nor a raising preload keeps a
worker out.  So the order is: lock the bench (operating-system lock), hold a lease of its addresses at the scheduler,
reach the instruments (watchdog, handshake), and only then register.  The scheduler's lease has a time to live and is
for lanes on other machines: one that does not get it has touched nothing, and one that is cut off from the scheduler
ends before another can get it.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import dask
from distributed import Client, Security, Status, Worker

from spinsweep.bench import child, pipes
from spinsweep.bench.acquire import acquire_bench
from spinsweep.bench.address_lock import scope
from spinsweep.bench.bench_file import Bench, load
from spinsweep.bench.errors import BenchError, LeaseError
from spinsweep.bench.lease import BenchLease, exclusive_names, owners
from spinsweep.bench.make_safe import make_safe
from spinsweep.bench.session import BenchSession
from spinsweep.bench.watchdog import dirty
from spinsweep.deployment.equipment_lease import STARTED, TTL, ClusterLease
from spinsweep.deployment.local_cluster import own_files, quiet
from spinsweep.deployment.security import LOOPBACK, NO_DASHBOARD, from_text, host_of, on_loopback, to_text
from spinsweep.errors import RunnerError, SpinsweepError
from spinsweep.interrupts import Interrupts
from spinsweep.messages import LANE_STOP, StopAnswer
from spinsweep.printable import one_line, said, say
from spinsweep.reaper import Reaper
from spinsweep.system import host_name, tell_to_end

LEASE_FRACTION = 0.8  # of the lease's time to live, after which the lane ends itself
RENEW_INTERVAL_S = 3.0
BENCH_LOCK_TIMEOUT_S = 3.0  # that a lane waits for the bench, which the watchdog of a dead lane may hold
RESTART_TIMEOUT_S = 90.0  # the same after a lane that died: a source may refuse connections for a minute
START_TIMEOUT_S = 120.0  # that a lane started on this machine may take
REMIND_INTERVAL_S = 0.2  # of a lane that is to end at once
WATCHDOG_TIME_S = 0.5  # that the watchdog of a dead lane has before the run makes the bench safe itself
MAX_RESTARTS = 3  # lanes that a run starts again when they die
EXIT_LEASE_LOST = 75  # exit status of a lane that ended itself
STOP_TIMEOUT_S = 40.0  # in which the action in hand has to end: two reads of the longest time, and their replies
FAREWELL_S = 3.0  # that a stopped lane stays, so that pages get its answer before a run's own scheduler ends
STOPPING = "stopping: somebody pressed the button of the Sweep page"  # what a lane says as soon as it is told so
STOPPED = "somebody stopped the lane on the Sweep page"


@contextmanager
def admitted(lease: BenchLease, address: str, security: Security | None = None) -> Iterator[None]:
    """Hold the scheduler's lease of what a lane of this machine has locked, until the block ends.

    A thread renews it; when that is not done in time, the process ends, whatever it is doing.

    Raises
    ------
    LeaseError
        A lane on another machine owns an instrument, or another bench has the name.
    RunnerError
        No scheduler answers.
    """
    bench, host = lease.bench, host_name()
    question = {
        "addresses": exclusive_names(bench),
        "holder": f"lane {lease.epoch} of bench {bench.name}, process {os.getpid()} on {host}",
        "host": scope(),
        "bench": bench.name,
        "grace": 0.0 if on_loopback(host_of(address)) else TTL,
    }
    with ExitStack() as stack:
        with _reaching(address):
            client = stack.enter_context(Client(address, timeout=10, security=security, set_as_default=False))
            client.register_plugin(ClusterLease())
            ask = partial(
                client.sync, client.scheduler.spinsweep_lease, callback_timeout=RENEW_INTERVAL_S, **question
            )
            while True:
                sent = time.monotonic()
                if not (refused := ask()):
                    break
                if STARTED not in refused:
                    raise LeaseError(f"bench {bench.name}: {refused}")
                time.sleep(1)
        lease.valid_until = sent + LEASE_FRACTION * TTL
        ended = threading.Event()
        renewal = threading.Thread(target=_renew, args=(lease, ask, ended), name="lease-renewal", daemon=True)
        renewal.start()
        threading.Thread(target=_fence, args=(lease, ended), name="lease-watchdog", daemon=True).start()
        try:
            yield
        finally:
            ended.set()
            renewal.join()
            with suppress(OSError):  # the scheduler may be gone
                ask(release=True)


def _renew(lease: BenchLease, ask: Callable[[], str], ended: threading.Event) -> None:
    """Renew the lease; while the scheduler does not answer, no new cycle begins."""
    while not ended.wait(RENEW_INTERVAL_S):
        sent = time.monotonic()
        try:
            refused = ask()
        except OSError:  # TimeoutError is one
            lease.cut_off.set()
            continue
        lease.cut_off.clear()
        if refused:
            lease.lost = refused
            return
        lease.valid_until = sent + LEASE_FRACTION * TTL


def _fence(lease: BenchLease, ended: threading.Event) -> None:
    """End the process when its lease has run out, whatever it is doing; the watchdog makes the bench safe."""
    while time.monotonic() < lease.valid_until and not lease.lost:
        if ended.wait(0.2):
            return
    say(f"spinsweep: the lane ends: {lease.lost or 'its lease was not renewed in time'}", error=True)
    os._exit(EXIT_LEASE_LOST)


@contextmanager
def _reaching(address: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunnerError(f"no scheduler answers at {address} ({type(error).__name__})") from None


class _Lane(Worker):
    """A worker at whose end, whoever wants it, the work in hand ends after its cycle."""

    session: BenchSession
    ending: asyncio.Task[Any] | None = None
    """Its end, once that was requested: tasks that nobody holds are forgotten."""
    stopped = False
    """Whether somebody at the Sweep page stopped it."""

    async def stop_at_once(self) -> dict[str, Any]:
        """Give the cycle in hand up, make the bench safe, answer, and end; called by the scheduler."""
        doing, problem = self.session.live.doing, ""
        self.stopped = True
        self.session.stopping.set()
        self.session.hurry.set()
        asyncio.get_running_loop().run_in_executor(None, _say_stopping)  # a terminal may hold up what writes to it
        self.status = Status.paused  # nothing is begun any more
        try:
            await asyncio.to_thread(self.session.stop, STOP_TIMEOUT_S)
        except Exception as error:  # the lane ends and tries again, whatever it was
            problem = one_line(said(error))
        asyncio.get_running_loop().call_later(FAREWELL_S, _end, self)
        state = "0 A, output off" + (", relays open" if self.session.bench.switch else "")
        return StopAnswer(problem=problem, state="" if problem else state, doing=doing).to_json()

    async def close(self, *args: Any, **options: Any) -> Any:
        """As Dask's, which waits for the work in hand."""
        self.session.stopping.set()
        return await super().close(*args, **options)


async def serve(session: BenchSession, address: str, security: Security | None = None) -> bool:
    """Be the scheduler's worker for an admitted bench until it closes or the lane has to end.

    Returns
    -------
    Whether somebody at the Sweep page stopped it.
    """
    bench = session.bench
    worker: Any = _Lane(
        address,
        nthreads=1,
        name=f"lane-{bench.name}",
        resources=bench.needs,
        memory_limit=0,
        host=LOOPBACK if on_loopback(host_of(address)) else None,
        dashboard_address=NO_DASHBOARD,
        security=security,
    )
    worker.session = session
    worker.handlers[LANE_STOP] = worker.stop_at_once
    try:
        await worker
    except RuntimeError as error:  # Dask's, with the reason behind it
        raise RunnerError(f"the scheduler at {address} did not take the lane: {error.__cause__}") from None
    loop = asyncio.get_running_loop()
    async with worker:
        with Interrupts(lambda: loop.call_soon_threadsafe(_end, worker), session.hurry.set):
            say("ready")
            await worker.finished()
    session.lease.valid_until = float("inf")  # no work can come any more; the bench is made safe now
    return bool(worker.stopped)


def _say_stopping() -> None:
    """For who started the lane: whatever becomes of it from now on, it is not to be started again."""
    with suppress(OSError):
        say(STOPPING)


def _end(worker: _Lane) -> None:
    worker.ending = asyncio.get_running_loop().create_task(worker.close(reason="told to end"))


def run_lane(
    bench: Bench, address: str, timeout_s: float = BENCH_LOCK_TIMEOUT_S, security: Security | None = None
) -> None:
    """Be the lane of a bench for the scheduler at ``address`` (with its scheme), until it ends or SIGTERM comes.

    Raises
    ------
    LeaseError
        Another lane owns the bench, or another bench has its name.
    BenchError
        The bench cannot be reached or is another one.
    RunnerError
        No scheduler answers.
    """
    quiet()
    admit = partial(admitted, address=address, security=security)
    with (
        Reaper(),
        acquire_bench(bench, timeout_s, admit) as session,
        _reaching(address),
        dask.config.set(own_files()),
    ):
        is_stopped = asyncio.run(serve(session, address, security))
    if is_stopped:
        say(f"spinsweep: bench {bench.name}: {STOPPED}, and the bench is safe", error=True)


class LocalLane:
    """A lane in a process of this machine, started again when it dies."""

    def __init__(self, bench_path: Path, address: str, security: Security | None = None) -> None:
        self.bench = load(bench_path)
        self.security = to_text(security).encode()
        self.command = [sys.executable, "-P", "-m", "spinsweep.bench.lane", str(bench_path), address]
        self.process: subprocess.Popen[bytes] | None = None
        self.deaths = 0
        self.problem = ""
        """Why there is no lane any more."""
        self._stopped = False  # at the Sweep page
        self._ending = threading.Event()
        self._turn = threading.Lock()  # a lane is started, or the end begins
        self._thread = threading.Thread(target=self._watch, name="lane-watch", daemon=True)

    def begin(self) -> None:
        """Start the lane and wait until it works.

        Raises
        ------
        RunnerError
            It did not start; with the reason.
        """
        self._start(BENCH_LOCK_TIMEOUT_S)
        self._thread.start()

    def end(self) -> None:
        """Let it finish its cycle, make the bench safe, and go; without the cycle if it has to end at once."""
        with self._turn:
            self._ending.set()
            if self.process is not None:
                tell_to_end(self.process)
        interrupted: KeyboardInterrupt | None = None
        while self.process is not None:
            try:
                self.process.wait(REMIND_INTERVAL_S if Interrupts.received() >= 2 else None)
                break
            except subprocess.TimeoutExpired:
                tell_to_end(self.process)
            except KeyboardInterrupt as error:  # the second
                interrupted = error
        if self._thread.is_alive():
            self._thread.join()
        elif self.process is not None:
            leave_safe(self.bench)
        if interrupted is not None:
            raise interrupted

    def _start(self, timeout_s: float) -> None:
        with self._turn:
            if self._ending.is_set():
                return
            process, self._errors = child.start([*self.command, str(timeout_s)])
            self.process = process
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError), process.stdin:
            process.stdin.write(self.security)
        timer = threading.Timer(START_TIMEOUT_S, process.kill)
        timer.start()
        try:
            ready = process.stdout.readline().strip() == b"ready"
        finally:
            timer.cancel()
        if not ready:
            raise RunnerError(f"the lane did not start: {self._last_words(process)}")

    def _watch(self) -> None:
        while not self._ending.is_set():
            assert self.process is not None
            words = self._last_words(self.process)
            leave_safe(self.bench)
            if self._ending.is_set():
                return
            if self._stopped:  # whoever did that wants no other lane
                how = "and the bench is safe" if self.process.returncode == 0 else f"which ended with: {words}"
                self.problem = f"{STOPPED}, {how}"
                return
            self.deaths += 1
            try:
                if self.deaths > MAX_RESTARTS:
                    raise RunnerError(f"the lane died {self.deaths} times, the last time with: {words}")
                self._start(RESTART_TIMEOUT_S)
            except RunnerError as error:
                self.problem = str(error)
                return

    def _last_words(self, process: subprocess.Popen[bytes]) -> str:
        """Wait for the end of a lane: what it said last."""
        words = child.last_words(process, self._errors)
        assert process.stdout is not None
        self._stopped = STOPPING.encode() in pipes.rest(process.stdout)
        process.stdout.close()
        return words

    def check(self) -> None:
        """``RunnerError`` if the lane is gone for good."""
        if self.problem:
            raise RunnerError(f"{self.problem}; what was measured is kept; run the same command again to continue")


def leave_safe(bench: Bench) -> None:
    """Make a bench safe that a dead lane has left as it was, if no watchdog of it does within ``WATCHDOG_TIME_S``."""
    until = time.monotonic() + WATCHDOG_TIME_S
    while dirty(bench) and not owners(bench):
        if time.monotonic() < until:
            time.sleep(0.02)
            continue
        lease = BenchLease(bench, "the run of a lane that died, which makes the bench safe,")
        try:
            lease.take()
            make_safe(bench)
            say(f"spinsweep: lane and watchdog of bench {bench.name} died; the run has made it safe", error=True)
        except LeaseError:
            return  # a watchdog has it after all, or a new lane
        except BenchError as error:
            say(f"spinsweep: lane and watchdog of bench {bench.name} died; {error}", error=True)
            return
        finally:
            lease.release()


@contextmanager
def local_lane(bench_path: Path, address: str, security: Security | None = None) -> Iterator[LocalLane]:
    """A lane of this machine for the scheduler at ``address``, ended with the block."""
    lane = LocalLane(bench_path, address, security)
    try:
        lane.begin()
        yield lane
    finally:
        lane.end()


def main(arguments: Sequence[str]) -> int:
    """``python -m spinsweep.bench.lane BENCH.toml SCHEDULER TIMEOUT_S``: what :class:`LocalLane` starts.

    The certificates come on the standard input.
    """
    path, address, timeout_s = arguments
    try:
        run_lane(load(path), address, float(timeout_s), from_text(sys.stdin.read()))
    except SpinsweepError as error:
        say(f"spinsweep: {one_line(str(error))}", error=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
