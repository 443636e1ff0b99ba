"""What must not be there when a scenario has ended: processes, half-written files, held locks, shared memory."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

MARK = "CAMPAIGN"
"""Variable of the environment that everything started here carries."""
TIMEOUT_S = 20.0  # seconds in which what was told to end, or lost its parent, has to be gone
SHARED = Path("/dev/shm")


def mark() -> None:
    """Let all that this process starts be known."""
    os.environ[MARK] = str(os.getpid())


def shared() -> set[str]:
    """Names of shared memory."""
    return {path.name for path in SHARED.iterdir()} if SHARED.is_dir() else set()


def marked(spare: set[int]) -> Iterator[psutil.Process]:
    """Processes that were started here and run; Python's trackers of shared memory end by themselves."""
    for process in psutil.process_iter():
        try:
            if process.pid in spare or process.status() == psutil.STATUS_ZOMBIE:
                continue
            ours = process.environ().get(MARK) == os.environ[MARK] and process.pid != os.getpid()
            if ours and "multiprocessing.resource_tracker" not in " ".join(process.cmdline()):
                yield process
        except psutil.Error:
            continue


def left(folder: Path, spare: set[int], before: set[str]) -> list[str]:
    """What is left of a scenario in ``folder``, in words, after a while in which it may go."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        found = [f"process {p.pid}: {' '.join(p.cmdline())[:200]}" for p in _known(marked(spare))]
        found += [f"shared memory {name}" for name in sorted(_unused(shared() - before))]
        if not found or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    found += [f"file {path}" for path in folder.rglob("*.partial")]
    return found + [f"lock of {path}" for path in _locked(folder)]


def _unused(names: set[str]) -> set[str]:
    """Those that no process has open; others may be somebody else's."""
    for process in Path("/proc").glob("[0-9]*/maps") if names else ():
        try:
            maps = process.read_text()
        except OSError:
            continue
        names = {name for name in names if name not in maps}
    return names


def _known(processes: Iterator[psutil.Process]) -> Iterator[psutil.Process]:
    for process in processes:
        try:
            process.cmdline()
        except psutil.Error:
            continue
        yield process


def _locked(folder: Path) -> Iterator[Path]:
    """Files of a folder on which the kernel holds a lock for somebody."""
    held = {line.split()[5] for line in Path("/proc/locks").read_text().splitlines() if "->" not in line}
    for path in folder.rglob("*"):
        try:
            its = path.lstat()
        except OSError:
            continue
        if f"{os.major(its.st_dev):02x}:{os.minor(its.st_dev):02x}:{its.st_ino}" in held:
            yield path
