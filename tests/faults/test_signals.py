"""Ctrl-C, SIGTERM, SIGHUP and a closed terminal, once and twice, for whatever executes the blocks."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from held import CELLS

from spinsweep.cube import Cube
from spinsweep.deployment.connect import connect
from spinsweep.deployment.security import CLIENT, secured

pytestmark = pytest.mark.faults

HERE = Path(__file__).parent
SPINSWEEP = [sys.executable, "-m", "spinsweep.cli"]
SERIAL, LOCAL, PROCESSES, ATTACHED = "serial", "local", "processes", "attached"
OPTIONS = {
    SERIAL: ["--workers", "0"],
    LOCAL: ["--workers", "2", "--no-dashboard"],
    PROCESSES: ["--workers", "2", "--executor", "processes"],
}


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(HERE)}


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


@dataclass
class Held:
    """A run whose cells wait to be let go."""

    process: subprocess.Popen[str]
    store: Path
    log: Path
    threads: int
    """Cells that are computed at a time; each is a block."""

    def begun(self) -> list[Path]:
        return list(self.log.glob("cell-*"))

    def started(self) -> set[int]:
        """Processes that cells have started."""
        return {int(file.name.rpartition("-")[2]) for file in self.begun()} - {0}

    def workers(self) -> set[int]:
        return {int(file.name.split("-")[2]) for file in self.begun()} - {self.process.pid}

    def signal(self, number: int) -> None:
        os.killpg(self.process.pid, number)  # as a terminal does

    def let_go(self, all_cells: bool = True) -> None:
        """Let all cells end, or those that have begun."""
        for name in ["go"] if all_cells else [f"go-{file.name.split('-')[1]}" for file in self.begun()]:
            (self.log / name).touch()

    def says(self, words: str) -> str:
        """Read its standard error until it says so; what it said."""
        assert self.process.stderr is not None
        said = ""
        while words not in said:
            line = self.process.stderr.readline()
            assert line, said
            said += line
        return said

    def ended(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err

    def outcome(self) -> str:
        return Cube(self.store).runs()[-1].outcome


def alive(pids: set[int]) -> set[int]:
    """Those that run; what nobody has waited for yet does not."""
    found = set()
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.add(pid)
    return found


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A scheduler with two workers that outlive runs."""
    folder = tmp_path_factory.mktemp("scheduler")
    file = folder / "scheduler.json"
    server = [*SPINSWEEP, "scheduler", "--port", "0", "--dashboard-port", "0", "--scheduler-file", str(file)]
    workers = [*SPINSWEEP, "worker", str(file), "--workers", "2"]
    with subprocess.Popen(server, stdout=subprocess.PIPE, text=True, env=environment()) as first:
        assert first.stdout is not None
        assert first.stdout.readline().startswith("scheduler")
        with subprocess.Popen(workers, stdout=subprocess.PIPE, text=True, env=environment()) as second:
            assert second.stdout is not None
            assert second.stdout.readline() == "ready\n"
            yield file
            second.terminate()
        first.terminate()


@pytest.fixture
def run(tmp_path: Path, log: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Held]]:
    """Start a run by an executor; no cell has ended when this returns."""
    started: list[Held] = []

    def begin(executor: str, stuck: str = "", starts: str = "", **options: object) -> Held:
        where = OPTIONS.get(executor) or ["--cluster", str(request.getfixturevalue("scheduler"))]
        store = tmp_path / "held.zarr"
        sets = [f"log={log}", f"stuck={stuck}", f"starts={starts}"]
        command = [*SPINSWEEP, "run", f"{HERE / 'held.py'}:HELD", "--store", str(store), "--block", "1", *where]
        command += [word for text in sets for word in ("--set", text)]
        process = subprocess.Popen(
            command,
            **{  # type: ignore[call-overload]
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "text": True,
                "start_new_session": True,
                "env": environment(),
                **options,
            },
        )
        held = Held(process, store, log, 1 if executor == SERIAL else 2)
        started.append(held)
        until(lambda: len(held.begun()) == held.threads or process.poll() is not None)
        return held

    yield begin
    for held in started:
        held.let_go()
        held.process.kill()
        with suppress(ValueError):
            held.process.communicate()


@pytest.mark.parametrize(
    ("executor", "number"),
    [
        (SERIAL, signal.SIGINT),
        pytest.param(SERIAL, signal.SIGTERM, marks=pytest.mark.slow),
        (LOCAL, signal.SIGHUP),
        pytest.param(LOCAL, signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(PROCESSES, signal.SIGHUP, marks=pytest.mark.slow),
        pytest.param(PROCESSES, signal.SIGINT, marks=pytest.mark.slow),
        (ATTACHED, signal.SIGTERM),
    ],
)
def test_told_once_a_run_says_what_is_computed_waits_for_it_and_begins_nothing_else(
    run: Callable[..., Held], executor: str, number: int
) -> None:
    held = run(executor)
    held.signal(number)
    said = held.says("stopping: waiting for")  # while the cells wait
    assert re.search(r"being computed \((now|the first cell:) x=\d+\); Ctrl-C again", said)
    held.let_go(all_cells=False)
    status, out, err = held.ended()
    assert status == 1, said + err
    assert out.splitlines()[-1] == "stopped   what is done is kept; run the same command again to continue"
    assert "Traceback" not in said + err
    assert len(held.begun()) == held.threads
    assert Cube(held.store).counts().done == held.threads
    assert held.outcome() == "stopped"


@pytest.mark.slow
@pytest.mark.parametrize("executor", [LOCAL, pytest.param(PROCESSES, marks=pytest.mark.slow)])
def test_told_once_a_run_does_not_begin_again_what_a_worker_that_died_meanwhile_computed(
    run: Callable[..., Held], executor: str
) -> None:
    held = run(executor)
    held.signal(signal.SIGINT)
    held.says("stopping: waiting for 2 blocks")
    victim = held.workers().pop()
    os.kill(victim, signal.SIGKILL)
    until(lambda: not alive({victim}))
    held.says("waiting for 1 block ")
    held.let_go(all_cells=False)
    status, _, _ = held.ended()
    assert status == 1
    assert Cube(held.store).counts().done == 1


def test_a_worker_that_a_nanny_brings_back_begins_nothing_of_a_run_that_stops(
    run: Callable[..., Held], scheduler: Path
) -> None:
    held = run(ATTACHED)
    held.signal(signal.SIGINT)
    held.says("stopping: waiting for 2 blocks")
    held.process.send_signal(signal.SIGSTOP)  # it cannot tell the scheduler that nobody wants the block
    with connect(*secured(json.loads(scheduler.read_text())["address"], None, CLIENT)) as client:
        before = set(client.scheduler_info(n_workers=-1)["workers"])
        os.kill(held.workers().pop(), signal.SIGKILL)
        until(lambda: len(set(client.scheduler_info(n_workers=-1)["workers"]) - before) == 1)
        until(lambda: len(client.processing()) == 2)
        time.sleep(1)  # in which it would begin it
    held.process.send_signal(signal.SIGCONT)
    held.let_go(all_cells=False)
    assert held.ended()[0] == 1
    assert len(held.begun()) == 2
    assert Cube(held.store).counts().done == 1


@pytest.mark.parametrize(
    ("executor", "stuck", "status", "outcome"),
    [
        (SERIAL, "", 130, "interrupted"),
        pytest.param(SERIAL, "native", 130, "running", marks=pytest.mark.slow),
        (SERIAL, "deaf", -signal.SIGKILL, "running"),
        (LOCAL, "deaf", 130, "interrupted"),
        pytest.param(PROCESSES, "deaf", 130, "interrupted", marks=pytest.mark.slow),
        (ATTACHED, "", 130, "interrupted"),
    ],
)
def test_told_twice_a_run_ends_at_once_whatever_code_its_cells_are_in(
    run: Callable[..., Held], executor: str, stuck: str, status: int, outcome: str
) -> None:
    held = run(executor, stuck)
    held.signal(signal.SIGINT)
    if (executor, stuck) != (SERIAL, "deaf"):  # where no Python runs
        held.says("stopping: waiting for")
    else:
        time.sleep(0.1)  # signals that are pending at once count as one
    held.signal(signal.SIGTERM)
    ended, out, err = held.ended()  # no cell was let go
    assert ended == status, out + err
    if status == 130:
        assert err.splitlines()[-1] == "spinsweep: interrupted; run the same command again to continue"
    assert "Traceback" not in err
    assert held.outcome() == outcome
    if executor in (LOCAL, PROCESSES):
        until(lambda: not alive(held.workers()))


def test_a_signal_that_is_ignored_from_the_start_stays_ignored_and_sigterm_is_heard(
    run: Callable[..., Held],
) -> None:
    def ignoring() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in the background of a script
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as after nohup

    held = run(SERIAL, preexec_fn=ignoring)
    for _ in range(3):
        held.signal(signal.SIGINT)
        held.signal(signal.SIGHUP)
        time.sleep(0.05)
    assert held.process.poll() is None
    held.signal(signal.SIGTERM)
    held.says("stopping: waiting for")
    held.let_go()
    assert held.ended()[0] == 1


@pytest.mark.parametrize("disowned", [False, True])
def test_a_closed_terminal_ends_a_run_as_sigterm_does_and_one_that_is_disowned_goes_on(
    run: Callable[..., Held], disowned: bool
) -> None:
    terminal, inside = pty.openpty()

    def at_the_terminal() -> None:
        os.setsid()
        os.close(os.open(os.ttyname(2), os.O_RDWR))  # it becomes the one of the session
        if disowned:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    streams = {"stdin": inside, "stdout": inside, "stderr": inside}
    held = run(SERIAL, **streams, start_new_session=False, preexec_fn=at_the_terminal)
    os.close(inside)
    os.close(terminal)
    while held.process.poll() is None:
        held.let_go(all_cells=disowned)
        time.sleep(0.3)  # in which it hears of it
    assert held.process.returncode == (0 if disowned else 1)
    assert held.outcome() == ("complete" if disowned else "stopped")
    assert (Cube(held.store).counts().done == CELLS) == disowned


@pytest.mark.parametrize(
    ("executor", "starts"),
    [
        pytest.param(SERIAL, "program", marks=pytest.mark.slow),
        (SERIAL, "fork"),
        (LOCAL, "program"),
        pytest.param(LOCAL, "fork", marks=pytest.mark.slow),
        pytest.param(PROCESSES, "program", marks=pytest.mark.slow),
        pytest.param(PROCESSES, "fork", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("end", ["of itself", "by kill -9"])
def test_what_cells_have_started_ends_with_the_run_however_it_ends(
    run: Callable[..., Held], executor: str, starts: str, end: str
) -> None:
    held = run(executor, starts=starts)
    assert len(alive(held.started())) == held.threads
    if end == "of itself":
        held.let_go()
        assert held.ended()[0] == 0
        assert len(held.started()) == CELLS
    else:
        held.process.kill()
        held.process.communicate()
    until(lambda: not alive(held.started()))


@pytest.mark.parametrize("end", ["of itself", "by kill -9"])
def test_what_cells_have_started_at_workers_that_live_on_ends_with_the_run_and_its_last_block(
    run: Callable[..., Held], end: str
) -> None:
    held = run(ATTACHED, starts="program")
    if end == "of itself":
        held.let_go()
        assert held.ended()[0] == 0
    else:
        held.process.kill()
        held.process.communicate()
        assert len(alive(held.started())) == 2, "the cells that use them go on"
        held.let_go()
    until(lambda: not alive(held.started()))
    assert len(alive(held.workers())) == 2


def test_a_worker_whose_last_block_ended_ends_no_other_worker_of_its_machine(run: Callable[..., Held]) -> None:
    held = run(ATTACHED, starts="program")
    held.process.kill()
    held.process.communicate()
    first, second = (int(file.name.split("-")[2]) for file in held.begun())

    def nothing_is_left_of_the_first() -> bool:
        cells = [file.name.split("-") for file in held.begun()]
        its = [(x, int(started)) for _, x, worker, started in cells if int(worker) == first]
        for x, _ in its:  # it may begin another before the scheduler finds that the driver is gone
            (held.log / f"go-{x}").touch()
        return not alive({started for _, started in its})

    until(nothing_is_left_of_the_first)
    assert alive(held.workers()) == {first, second}
    assert len(alive(held.started())) == 1


def test_a_cell_may_end_processes_that_it_forked_though_the_run_hears_of_signals(run: Callable[..., Held]) -> None:
    held = run(SERIAL, starts="pool")  # whose end sends them SIGTERM
    held.let_go()
    assert held.ended()[0] == 0


FORKS = """
import os, signal, time
from spinsweep.interrupts import Interrupts

with Interrupts(soon=lambda: None):
    for _ in range(50):
        fork = os.fork()
        if not fork:
            time.sleep(60)
            os._exit(0)
        os.kill(fork, signal.SIGTERM)  # before the fork has come to anything
        assert os.WTERMSIG(os.waitpid(fork, 0)[1]) == signal.SIGTERM
"""


def test_a_fork_that_is_told_to_end_in_its_first_instant_ends() -> None:
    subprocess.run([sys.executable, "-c", FORKS], check=True, timeout=60)
