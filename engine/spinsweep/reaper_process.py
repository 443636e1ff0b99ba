"""What a command leaves running when it ends or is killed, and the small process, its reaper, that ends it.

The functions of cells may start processes of their own.  They outlive a worker, and a driver that is killed cannot
end them.  So all that a command starts carries its mark: a variable of the environment, which programs inherit, and
an open file, which forks inherit.  The reaper watches the command's process; when that has ended, however it did, the
reaper kills whatever carries the mark.  Both need Linux's ``/proc``; elsewhere nothing is ended.

It also relays signals to a driver that computes in its own process: while native code keeps Python from running
there, no handler of Python's runs, but Python's own C handler writes each signal into the reaper's pipe.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MARK = "SPINSWEEP_MARK"
"""Variable of the environment; its value tells commands apart."""
END = 0
"""The byte that sends a reaper away; others are numbers of signals."""
FIRST, SECOND = b"first\n", b"second\n"
"""What a reaper tells a driver that was told to end."""
RELAY = "relay"
"""Argument of a reaper that relays signals."""
POLL_S = 0.25
"""Between looks whether the command lives."""
GRACE_S = 1.2
"""That a driver has to end after it was told so twice."""
KILL_TIMEOUT_S = 5.0
"""That killed processes may take to go."""

_lock = threading.Lock()


def unmarked() -> dict[str, str]:
    """The environment for a process that is to outlive this one, such as the watchdog of a bench."""
    return {name: value for name, value in os.environ.items() if name != MARK}


@contextmanager
def marking(token: str) -> Iterator[None]:
    """What is started inside carries a mark, beside those that are there."""
    with _lock:
        os.environ[MARK] = " ".join([*os.environ.get(MARK, "").split(), token])
    try:
        yield
    finally:
        with _lock:
            left = os.environ.get(MARK, "").split()
            left.remove(token)
            os.environ[MARK] = " ".join(left)


def marked_file(token: str) -> int:
    """A file that every fork of this process has open until it runs another program."""
    if not hasattr(os, "memfd_create"):
        return os.open(os.devnull, os.O_RDONLY)
    return os.memfd_create(f"{MARK}-{token}", os.MFD_CLOEXEC)


def kill_marked(token: str, spare: set[int]) -> None:
    """Kill whatever carries a mark, but ``spare``; parents first, so that none can tell of its children's end."""
    deadline = time.monotonic() + KILL_TIMEOUT_S
    while (processes := sorted(marked(token, spare))) and time.monotonic() < deadline:
        for _, process in processes:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.005)


def marked(token: str, spare: set[int]) -> Iterator[tuple[int, int]]:
    """(time of start, process) of all that carry a mark, but ``spare``."""
    file, own_program = f"/memfd:{MARK}-{token}", Path("/proc/self/exe")
    python = own_program.readlink() if own_program.exists() else None
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) in spare:
            continue
        try:
            carries = _carries(process, token) or (
                (process / "exe").readlink() == python
                and any(str(link.readlink()).startswith(file) for link in (process / "fd").iterdir())
            )
            # Python's tracker of shared memory ends, and tidies up, when the last process that uses it has ended
            if carries and b"resource_tracker" not in (process / "cmdline").read_bytes():
                started = (process / "stat").read_bytes().rpartition(b")")[2].split()[19]
                yield int(started), int(process.name)
        except (OSError, IndexError):  # gone, or another user's
            continue


def _carries(process: Path, token: str) -> bool:
    for variable in (process / "environ").read_bytes().split(b"\0"):
        if variable.startswith(f"{MARK}=".encode()):
            return token.encode() in variable
    return False


def main(token: str, command: int, *, relays_signals: bool) -> None:
    """The reaper's process.

    Parameters
    ----------
    token : the mark
    command : the process to watch, which is this one's parent
    relays_signals : whether it is told of signals by bytes on the standard input
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signals, deadline = 0, float("inf")
    while os.getppid() == command:
        wait = max(0.0, min(POLL_S, deadline - time.monotonic()))
        received = os.read(0, 4096) if select.select([0], [], [], wait)[0] else b""
        if END in received:
            break
        if received and relays_signals:
            if not signals:
                os.write(1, FIRST)
            signals += len(received)
            if signals >= 2 and deadline == float("inf"):
                deadline = time.monotonic() + GRACE_S
        if time.monotonic() >= deadline:
            os.write(1, SECOND)
            time.sleep(POLL_S)
            if os.getppid() == command:  # not even a thread runs there
                os.kill(command, signal.SIGKILL)
            deadline = float("inf")
    kill_marked(token, {os.getpid(), command} if os.getppid() == command else {os.getpid()})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), relays_signals=sys.argv[3] == RELAY)
