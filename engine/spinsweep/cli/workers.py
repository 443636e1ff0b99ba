"""Who computes the blocks of ``spinsweep run``: from the command line's options to an executor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from spinsweep.cli.display import Display
from spinsweep.discovery import executor_named, executor_point
from spinsweep.equipment import Equipment
from spinsweep.errors import SpecError
from spinsweep.executors.protocol import Context, Executor, Start, in_process, on_this_machine
from spinsweep.resources import cpu_count

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
        if getattr(self.executor, "on_this_machine", False):
            on_this_machine(start)
        return in_process(start) if self.is_in_process else start

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


@dataclass(frozen=True)
class DashboardOptions:
    """What the command line says of a run's pages."""

    shown: bool = True
    token: bool = False
    hosts: tuple[str, ...] = ()
    watchers: int | None = None


def choose_workers(
    executor: str,
    workers: int | None,
    cluster: str | None,
    tls: Path | None,
    bench: Equipment | None,
    show: Display,
    *,
    insecure: bool,
    dashboard: DashboardOptions,
) -> Workers:
    """The workers that the command line asks for.

    Raises
    ------
    SpecError, RunnerError
        One line: options that do not go together, or what the cluster lacks.
    """
    name = name_of_executor(executor, workers)
    if name != DASK:
        require_no_cluster(name, {"--cluster": cluster, "--tls": tls, "--watchers": dashboard.watchers}, bench)
        return Workers(name, 1 if name == SERIAL else workers or cpu_count(), bench)
    from spinsweep.cli.dask_workers import DaskWorkers  # late: Dask takes long to load
    from spinsweep.dashboard.access import Pages, new_token
    from spinsweep.deployment.check import Access
    from spinsweep.deployment.clients import deployment

    pages = Pages(dashboard.hosts, new_token() if dashboard.token else "")
    access = Access(tls, insecure, dashboard.shown, pages, dashboard.watchers)
    return DaskWorkers(deployment(cluster, workers), access, bench, show)


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
