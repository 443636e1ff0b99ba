"""A process that holds more memory than a cell may use.

Its worker looks from a thread beside the one that computes, which sees most of what allocates: Python that grows a
list, and native code such as NumPy's, which lets other threads run while it fills an array.  For the rest, the driver
of a pool looks from outside (:mod:`spinsweep.executors.memory_guard`), and so does the nanny of a Dask worker.

A process keeps what earlier cells left in it, such as caches and figures.  So a cell is at fault only if its process
has computed nothing else; else it is computed again, in a process that is new.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from spinsweep import memory
from spinsweep.machine import in_words

OUT_OF_MEMORY = "spinsweep.OutOfMemory"
"""Type of the error of a cell that used more memory than it may."""
POLL_S = 0.05
"""Between looks at what a process holds."""
LEAVE_S = 5.0  # that a process has to be replaced, when what it holds stays too much
MORE_BYTES = 1 << 30  # that it may take meanwhile


class MemoryWatch:
    """Looks at this process while it computes a block.

    Parameters
    ----------
    allowed : of one cell, bytes
    """

    _lock: ClassVar[threading.Lock] = threading.Lock()
    _blocks: ClassVar[int] = 0  # that are computed now: several where a worker has several threads
    _calls: ClassVar[int] = 0  # that have ended in this process
    _given_up: ClassVar[bool] = False  # whether one is left behind here, with what it holds

    def __init__(self, allowed: int) -> None:
        self._allowed = allowed

    @contextmanager
    def computing(self) -> Iterator[None]:
        """While the block is computed."""
        with self._lock:
            MemoryWatch._blocks += 1
        try:
            yield
        finally:
            with self._lock:
                MemoryWatch._blocks -= 1

    def ended(self) -> None:
        """A call ended, whose remains the next one finds."""
        MemoryWatch._calls += 1

    def excess(self) -> int | None:
        """Bytes that this process holds, if that is more than the blocks in it may use; None: it is not."""
        return memory.more_than(os.getpid(), self._allowed * max(1, MemoryWatch._blocks))

    def give_up(self, thread: threading.Thread, abandon: type[BaseException], held: int) -> bool:
        """Leave a call behind, and end this process if it goes on holding too much; whether the cell is at fault.

        Parameters
        ----------
        abandon : is raised in the call
        held : bytes
        """
        with self._lock:
            at_fault = MemoryWatch._blocks == 1 and MemoryWatch._calls == 0 and not MemoryWatch._given_up
            MemoryWatch._given_up = True
        if thread.ident is not None:  # raised in there as soon as Python runs: what it holds may be freed at once
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(abandon))
        threading.Thread(target=self._leave, args=(held + MORE_BYTES,), name="memory", daemon=True).start()
        return at_fault

    def _leave(self, most: int) -> None:
        """A worker without a nanny is replaced by nobody, and goes on if it can."""
        until = time.monotonic() + LEAVE_S
        while time.monotonic() < until and memory.more_than(os.getpid(), most) is None:
            time.sleep(POLL_S)
        if self.excess() is not None:
            os._exit(1)


def used_more(allowed: int, held: int) -> str:
    """What is said of a cell that did."""
    return f"used more than its {in_words(allowed)} ({in_words(held)} when it was ended)"
