"""Who computes the blocks of ``spinsweep run``: from the command line's options to an executor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from spinsweep.discovery import executor_named, executor_point
from spinsweep.equipment import Equipment
from spinsweep.errors import SpecError
from spinsweep.executors.protocol import Context, Executor, Start, in_process, on_this_machine

DASK, SERIAL = "dask", "serial"


class Workers:
    """An executor that needs no cluster; a context manager around the run.

    Parameters
    ----------
    executor : its name
    at_a_time : how many blocks are computed at a time
    bench : equipment that the sweep is measured with, owned by this process
    """

    def __init__(self, executor: str, at_a_time: int, bench: Equipment | None) -> None:
        self.at_a_time = at_a_time
        self.bench = bench
        self.executor: Start = executor_named(executor)
        self._reached = False
        self._stack = ExitStack()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *exc: Any) -> None:
        self._stack.__exit__(*exc)

    def reach_bench(self) -> None:
        """Own the bench, where there is one; once."""
        if self.bench is not None and not self._reached:
            self._reached = True
            self._reach(self._stack, self.bench)

    @property
    def start(self) -> Start:
        """For ``spinsweep.run``."""
        start = partial(self._start)  # a method has no room for the mark
        if self.is_on_this_machine:
            on_this_machine(start)
        return in_process(start) if self.is_in_process else start

    @property
    def is_on_this_machine(self) -> bool:
        """Whether blocks are computed here, and as many at a time as this machine has room for."""
        return getattr(self.executor, "on_this_machine", False)

    def require_room(self, memory: int | None) -> None:
        """Refuse what no worker can have.

        Parameters
        ----------
        memory : that a cell needs, bytes; None: any

        Raises
        ------
        RunnerError
            One line: how much its workers have.
        """

    @property
    def is_in_process(self) -> bool:
        """Whether blocks never leave this process."""
        return getattr(self.executor, "in_process", False)

    @contextmanager
    def _start(self, context: Context) -> Iterator[Executor]:
        with self._stack as stack:  # ends before the end of the run is recorded
            self.reach_bench()
            yield stack.enter_context(self._executor(stack, context)(context))

    def _reach(self, stack: ExitStack, bench: Equipment) -> None:
        stack.enter_context(bench.acquire())

    def _executor(self, stack: ExitStack, context: Context) -> Start:
        return self.executor


def name_of_executor(executor: str, workers: int | None) -> str:
    """The executor's name, where ``--workers 0`` means this process.

    Raises
    ------
    SpecError
        The options do not go together, or there is no such executor.
    """
    executor_point(executor)
    if executor == SERIAL and workers:
        raise SpecError(f"--executor serial computes in this process; leave out --workers {workers}")
    if workers == 0 and executor not in (DASK, SERIAL):
        raise SpecError(f"--executor {executor} needs workers; leave out --workers 0")
    return SERIAL if workers == 0 else executor


def require_no_cluster(executor: str, options: dict[str, Any], bench: Equipment | None) -> None:
    """Refuse what only Dask has.

    Raises
    ------
    SpecError
        One line: the first of the options that is given.
    """
    why = "this process" if executor == SERIAL else f"--executor {executor}"
    for option, value in options.items():
        if value:
            raise SpecError(f"{option} {value}: {why} has no scheduler; leave {option} out, or use --executor dask")
    if bench is not None and executor != SERIAL:
        raise SpecError(f"--executor {executor} cannot measure on bench {bench.name}; leave out --executor")
