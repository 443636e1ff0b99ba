"""Being told to end: Ctrl-C, SIGTERM, and what a terminal sends that is closed, which all mean the same.

Once asks to end soon, twice to end now; what comes after that changes nothing, because the end is making things safe.
A signal that is ignored when a process starts stays ignored: so do ``nohup``, and shells that start a job in the
background of a script, say that it is not meant.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from spinsweep import system
from spinsweep.process import SAFE_PATH, environment
from spinsweep.system import END_SIGNALS, TERMINAL_SIGNALS


class Interrupted(KeyboardInterrupt):
    """This process was told to end: not what a cell raised."""


def end_now() -> None:
    """End with ``Interrupted``."""
    raise Interrupted


@contextmanager
def interrupts_told_apart() -> Iterator[None]:
    """Ctrl-C in the main thread comes from a frame of this module, unlike a ``KeyboardInterrupt`` of a cell's own.

    Python's own handler has no frame; any other handler stays.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not (ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler):
        yield
        return
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is _interrupt:  # else what the cell has set stays
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def was_told(error: BaseException) -> bool:
    """Whether a signal raised it: its innermost frame is a handler of this module."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and last.tb_frame.f_globals is globals()


@contextmanager
def quiet_ends() -> Iterator[None]:
    """What Ctrl-C left half-made, as a coroutine never awaited, says nothing when Python collects it."""

    def complain(unraisable: sys.UnraisableHookArgs) -> None:
        if not Interrupts.received():
            before(unraisable)

    def show(message: Warning | str, category: type[Warning], *more: Any) -> None:
        if not (Interrupts.received() and issubclass(category, RuntimeWarning | ResourceWarning)):
            showed(message, category, *more)

    before, showed = sys.unraisablehook, warnings.showwarning
    sys.unraisablehook = complain
    warnings.showwarning = show  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.unraisablehook, warnings.showwarning = before, showed


class Interrupts:
    """For a ``with`` in the main thread (nothing elsewhere): what the signals do there.

    Parameters
    ----------
    soon
        Called when the process is told to end for the first time, from a signal handler: nothing may be raised in
        it, because that could hit a lock of Dask's client half-way.  None: the first time ends the block at once.
    now
        Called when it is told so once more.
    until_exit
        The process ends after this block: told to end in it, it hears no more signals, because one that comes while
        Python takes itself down would put "killed" in place of the exit status that says how far it came.
    """

    _heard = 0  # how often this process was told to end since its outermost block began
    _depth = 0

    def __init__(
        self,
        soon: Callable[[], object] | None = None,
        now: Callable[[], object] = end_now,
        *,
        until_exit: bool = False,
    ) -> None:
        self.requested = False
        """Whether the process was told to end in this block."""
        self.requested_before = False
        """Whether it was told so in a block around this one."""
        self._soon, self._now, self._until_exit = soon, now, until_exit
        self._before: dict[signal.Signals, Any] = {}

    @staticmethod
    def received() -> int:
        """How often this process was told to end; what a handler raises is lost where Python ran a callback."""
        return Interrupts._heard

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            if Interrupts._depth == 0:
                Interrupts._heard = 0
            self.requested_before = Interrupts._heard > 0
            Interrupts._depth += 1
            for number in END_SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exc: object) -> None:
        if threading.current_thread() is threading.main_thread():
            Interrupts._depth -= 1
            deaf = self._until_exit and Interrupts._heard > 0
            for number, before in self._before.items():
                signal.signal(number, signal.SIG_IGN if deaf else before)

    @staticmethod
    def before_fork() -> None:
        """A fork hears no signal until its handlers are those of Python again: with ours it would not end."""
        if Interrupts._depth:
            _forking.mask = system.mask(END_SIGNALS)

    @staticmethod
    def after_fork() -> None:
        """In the parent, and at the end in the fork."""
        mask, _forking.mask = getattr(_forking, "mask", None), None
        system.unmask(mask)

    @staticmethod
    def forget() -> None:
        """In a fork: its handlers are those of Python again, so that its parent can end it."""
        if Interrupts._depth:
            Interrupts._depth = 0
            signal.set_wakeup_fd(-1)
            for number in END_SIGNALS:
                if isinstance(getattr(signal.getsignal(number), "__self__", None), Interrupts):
                    usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
                    signal.signal(number, usual)
        Interrupts.after_fork()

    def _handle(self, *_: object) -> None:
        Interrupts._heard += 1
        first, self.requested = not self.requested, True
        if first and self._soon is not None and Interrupts._heard == 1:
            self._soon()
        elif Interrupts._heard <= 2:
            self._now()


_forking = threading.local()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=Interrupts.before_fork, after_in_parent=Interrupts.after_fork, after_in_child=Interrupts.forget
    )


@contextmanager
def sigint_blocked() -> Iterator[None]:
    """What a terminal sends waits until the block has ended; processes and threads started inside never see it.

    It goes to the whole process group, and only the driver is to act on it.  Windows cannot hold it back: workers
    there ignore it once they have started.
    """
    if not system.POSIX:
        yield
        return
    from multiprocessing import resource_tracker  # late: most commands need it not

    with system.masked(TERMINAL_SIGNALS - {signal.SIGINT}):
        with environment({SAFE_PATH: "1"}):
            resource_tracker.ensure_running()  # it lets Ctrl-C in again when it starts, and is deaf to it itself
        with system.masked(TERMINAL_SIGNALS):
            yield
