"""The watchdog: a separate process that makes the bench safe when the lane that owns it dies or falls silent.

A source that loses its connection goes on as it was set, so a dying lane cannot be trusted to switch it off.  The
watchdog holds the end of a pipe: when the lane dies, the pipe closes at once; when the lane is alive but silent
(stopped, or hung), the watchdog kills it first, because the bench has one owner at a time and a lane that wakes up
later must not act.  Then it takes the lease, which raises the epoch, and sends the safe state.

The watchdog is watched, too.  It has a *standby*, a fork of itself that waits on a pipe from it and takes its place
when it dies or falls silent, so that a lane and its watchdog may be killed together.  The lane looks whether its
watchdog lives, and ends when it does not.  A run that started the lane makes the bench safe itself when nobody else
has (:class:`~spinsweep.bench.lane.LocalLane`).

A Keithley 6221 on Ethernet may refuse connections for 30 to 60 s after its client died (seen by one laboratory):
the watchdog keeps trying, and only GPIB can be faster there.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, ClassVar

from spinsweep.bench import child
from spinsweep.bench.bench_file import Bench, parse
from spinsweep.bench.errors import BenchError, LeaseError
from spinsweep.bench.lease import BenchLease
from spinsweep.bench.pipes import PipeReader, first_line
from spinsweep.errors import SpinsweepError
from spinsweep.printable import say
from spinsweep.system import BINARY, END_SIGNALS, KILL, POSIX, send

HEARTBEAT_S = 0.25  # between signs of life
SILENCE_TIMEOUT_S = 10.0  # without one, after which a lane counts as hung
START_TIMEOUT_S = 30.0  # that a watchdog may take to start
FAREWELL = b"q"
RETRY_INTERVAL_S = 1.0  # between attempts to reach the instruments
GIVE_UP_S = 600.0  # after which instruments that do not answer are taken to be switched off
STANDBY_TIMEOUT_S = 30.0  # without a sign of life, after which a watchdog counts as hung; it may be busy for seconds


class Watchdog:
    """The lane's side: starts the process, sends signs of life, and dismisses it."""

    _left: ClassVar[list[subprocess.Popen[bytes]]] = []
    """Processes that still have to make a bench safe, which this one does not wait for."""
    command: ClassVar[list[str]] = [sys.executable, "-P", "-m", "spinsweep.bench.watchdog"]

    def __init__(self, bench: Bench, lease: BenchLease, on_death: Callable[[], None] = lambda: None) -> None:
        self._on_death = on_death
        self.process, errors = child.start(self.command, bufsize=0)
        order = {"bench": bench.model_dump(), "epoch": lease.epoch, "process": os.getpid()}
        self._say(json.dumps(order).encode() + b"\n")
        self._await_ready(errors)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="watchdog-heartbeat", daemon=True)
        self._thread.start()

    def dismiss(self, *, safe: bool) -> None:
        """End the watchdog if the bench is safe; else leave it to make it so, and do not wait."""
        self._stop.set()
        self._thread.join()
        if safe:
            self._say(FAREWELL)
        self._close()
        if safe:
            self.process.wait(timeout=START_TIMEOUT_S)
        else:
            self._left.append(self.process)

    def _close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with suppress(OSError):
                pipe.close()

    def _await_ready(self, errors: IO[str]) -> None:
        """``BenchError`` with the watchdog's own words unless it starts."""
        assert self.process.stdout is not None
        came = first_line(self.process.stdout, START_TIMEOUT_S)
        in_time, line = came is not None, b"silence" if came is None else came
        if line.strip() == b"ready":
            errors.close()
            return
        if line:  # else it has ended, and its last words are written
            self.process.kill()
        self._close()
        words = child.last_words(self.process, errors)
        how = "exited at once" if in_time else f"did not start within {START_TIMEOUT_S:.0f} s"
        raise BenchError(f"the bench watchdog {how}: {words}. No pulse was sent.")

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            if not self._say(b".") or self.process.poll() is not None:  # its standby would read the pipe
                self._on_death()
                return

    def _say(self, message: bytes) -> bool:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(message)
        except (OSError, ValueError):
            return False
        return True


def log_path(bench: Bench) -> Path:
    """Where watchdogs note what they did."""
    return bench.folder / "guard.jsonl"


def main() -> int:
    """The watchdog's process: the order comes on the standard input, then signs of life."""
    for number in END_SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # it ends with its lane, and not before
    order = json.loads(sys.stdin.buffer.readline())
    bench = parse(order["bench"])
    from spinsweep.bench.instruments import Instruments  # pyvisa is loaded now, not when it is needed

    standby = _Standby()
    if not standby.took_over:
        say("ready")
    reason = _watch(order["process"], standby)
    if reason:
        said = f"{standby.took_over}; {reason}" if standby.took_over else reason
        _make_safe(bench, Instruments, {"lane": order["epoch"], "reason": said}, standby)
    standby.dismiss()
    return 0


def _make_safe(bench: Bench, instruments: Any, outcome: dict[str, Any], standby: _Standby) -> None:
    """Make the bench safe, unless somebody else does; tried again until it is, or for ``GIVE_UP_S``."""
    began = time.monotonic()
    outcome["time"] = time.time()
    lease = BenchLease(bench, "the watchdog of a lane that died, which makes the bench safe,")
    try:
        while dirty(bench):  # until somebody has left it safe: this watchdog, or a lane that came after
            standby.beat()
            try:
                lease.take(RETRY_INTERVAL_S)
                problem = _made_safe(instruments(bench))
                if not problem:
                    mark_clean(bench)
                    outcome.pop("problem", None)
                    _note(bench, outcome | {"safe": True, "epoch": lease.epoch, "seconds": time.monotonic() - began})
                    return
            except LeaseError as error:  # a newer lane has it, and a watchdog of its own
                problem = str(error)
            finally:
                lease.release()
            if problem != outcome.get("problem"):
                outcome["problem"] = problem
                _note(bench, outcome | {"safe": False, "seconds": time.monotonic() - began})
            if time.monotonic() - began > GIVE_UP_S:
                return
            time.sleep(RETRY_INTERVAL_S)
    finally:
        lease.release()


class _Standby:
    """A fork of the watchdog that takes its place when it dies or falls silent.

    ``_Standby()`` returns in the process that has to be the watchdog: at once in the one that made it, and in the
    fork when that one has died.  A system without forks has no standby.
    """

    def __init__(self) -> None:
        self.took_over = ""
        """Why this process is the watchdog now; empty of the first one."""
        self._process = self._pipe = -1
        self._stand_by()

    def _stand_by(self) -> None:
        """Fork; the fork waits for its turn, and stands here when it has come, with a standby of its own."""
        while POSIX:
            watchdog, (read_end, write_end) = os.getpid(), os.pipe()
            self._process = os.fork()
            if self._process:
                os.close(read_end)
                self._pipe = write_end
                return
            os.close(write_end)
            os.setsid()
            self.took_over = _await_turn(read_end, watchdog)
            os.close(read_end)

    def beat(self, *, renew: bool = False) -> None:
        """A sign of life; ``renew`` a standby that has died; not under a lease, which the fork would hold."""
        if self._process < 0:
            return
        if renew and os.waitpid(self._process, os.WNOHANG)[0]:
            os.close(self._pipe)
            self._stand_by()
        with suppress(BrokenPipeError):
            os.write(self._pipe, b".")

    def dismiss(self) -> None:
        """End it: its watchdog has done its work."""
        if self._process >= 0:
            with suppress(BrokenPipeError):
                os.write(self._pipe, FAREWELL)


def _await_turn(pipe: int, watchdog: int) -> str:
    """In a standby: why it has to be the watchdog now; the process ends here when it is dismissed."""
    signs_of_life = PipeReader(pipe)
    while True:
        received = signs_of_life.read(STANDBY_TIMEOUT_S)
        if received is None:
            with suppress(ProcessLookupError):
                send(watchdog, KILL)
            return f"the watchdog was silent for {STANDBY_TIMEOUT_S:.0f} s and was killed"
        if received.endswith(FAREWELL):
            os._exit(0)
        if not received:
            return "the watchdog died"


def dirty(bench: Bench) -> bool:
    """Whether somebody has owned the bench and nobody has left it safe since."""
    return (bench.folder / "dirty").exists()


def mark_dirty(bench: Bench) -> None:
    """Note that the bench may be unsafe from now on; on disk before this returns."""
    handle = os.open(bench.folder / "dirty", os.O_WRONLY | os.O_CREAT | BINARY, 0o644)
    os.fsync(handle)
    os.close(handle)


def mark_clean(bench: Bench) -> None:
    """Note that the bench was left safe."""
    (bench.folder / "dirty").unlink(missing_ok=True)


def _watch(lane: int, standby: _Standby) -> str:
    """Wait for the lane's end; why the bench has to be made safe, or "" when the lane said farewell."""
    signs_of_life, last_beat = PipeReader(sys.stdin.fileno()), time.monotonic()
    while True:
        standby.beat(renew=True)
        received = signs_of_life.read(4 * HEARTBEAT_S)
        if received is not None:
            if received.endswith(FAREWELL):
                return ""
            if not received:
                return "the lane died"
            last_beat = time.monotonic()
        elif time.monotonic() > last_beat + SILENCE_TIMEOUT_S:
            with suppress(ProcessLookupError):
                send(lane, KILL)
            return f"the lane was silent for {SILENCE_TIMEOUT_S:.0f} s and was killed"


def _made_safe(instruments: Any) -> str:
    """Open the instruments and send the safe state; what went wrong, or ""."""
    try:
        instruments.open(timeout_s=RETRY_INTERVAL_S)
    except BenchError as error:
        return str(error)
    finally:
        instruments.close()
    return ""


def _note(bench: Bench, row: dict[str, Any]) -> None:
    with suppress(OSError), log_path(bench).open("a") as file:
        file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SpinsweepError as error:
        sys.exit(f"spinsweep: {error}")
