"""A stop that is asked for while the last block is computed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from spinsweep import Axis, Cells, Output, Parameter, Sweep
from spinsweep.cli.display import Display
from spinsweep.executors.dask import on_client
from spinsweep.executors.driver import drive
from spinsweep.executors.serial import serial
from spinsweep.interrupts import Interrupts, quiet_ends
from spinsweep.runs import Run, open_run

pytestmark = pytest.mark.faults
BLOCKS = 4


def twice(cells: Cells) -> dict[str, Any]:
    if cells.params["bad"] in cells.coords["x"]:
        raise ValueError("no good")
    return {"y": 2.0 * cells.coords["x"]}


SWEEP = Sweep(
    name="twice",
    title="Twice",
    axes=(Axis("x", tuple(range(2 * BLOCKS))),),
    outputs=(Output("y"),),
    parameters=(Parameter("bad", -1),),
    function=twice,
)


GOES_ON = "stopped   what is done is kept; run the same command again to continue"
NOTHING_LEFT = "stopped   nothing was left to do by then"


@pytest.mark.parametrize(
    ("on_cluster", "pressed_at", "bad", "status", "words"),
    [
        (False, 2, -1, 1, GOES_ON),
        (False, BLOCKS, -1, 0, NOTHING_LEFT),
        (False, BLOCKS, 3, 1, NOTHING_LEFT),
        (True, BLOCKS, -1, 0, NOTHING_LEFT),
    ],
)
def test_a_stopped_run_that_had_done_all_that_was_asked_succeeds_and_says_that_nothing_is_left(
    tmp_path: Path,
    client: Client,
    capsys: pytest.CaptureFixture[str],
    on_cluster: bool,
    pressed_at: int,
    bad: int,
    status: int,
    words: str,
) -> None:
    with open_run(SWEEP.with_values(bad=bad), tmp_path / "twice.zarr", block=2) as run, Display() as show:
        requested = []

        def press(run: Run) -> None:
            show.update(run)
            if run.progress.blocks_ended == pressed_at and not requested:
                requested.append(True)
                os.kill(os.getpid(), signal.SIGINT)

        if on_cluster:
            drive(run, on_client(client), press)
        else:
            drive(run, serial, press)
        assert run.outcome == "stopped"
        assert show.finish() == status
    assert words in capsys.readouterr().out.splitlines()


class Unlucky:
    """Is told to end where Python cannot raise anything."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)


def test_a_ctrl_c_that_comes_while_python_collects_an_object_is_not_lost(tmp_path: Path) -> None:
    with quiet_ends(), Interrupts(), open_run(SWEEP, tmp_path / "twice.zarr", block=2) as run:
        Unlucky()
        drive(run, serial)
        assert run.outcome == "stopped"
        assert run.finish().done == 0
    with ThreadPoolExecutor(1) as pool, open_run(SWEEP, tmp_path / "twice.zarr") as run:
        pool.submit(drive, run, serial).result()  # hears of no signal, nor of that one
        assert run.finish().done == 2 * BLOCKS


TOLD_AGAIN = """
import atexit, os, signal, sys
import spinsweep

def tell(number=signal.SIGTERM):
    os.kill(os.getpid(), number)

class Late:
    def __del__(self):
        tell()

def y(x):
    if x == 1:
        tell()
    return 2.0 * x

Y = spinsweep.Sweep.from_function(y, x=range(4))
sys.late = Late()  # collected where Python has put its own handlers of signals away
atexit.register(tell)
atexit.register(tell, signal.SIGINT)
"""


def test_a_run_that_was_told_to_end_leaves_its_own_exit_status_though_it_is_told_again_when_it_ends(
    tmp_path: Path,
) -> None:
    (tmp_path / "own.py").write_text(TOLD_AGAIN)
    words = ["run", "own.py", "--store", "y.zarr", "--workers", "0", "--block", "1"]
    status, out, err = spinsweep(tmp_path, *words)
    assert (status, GOES_ON in out.splitlines()) == (1, True), err
    assert err.splitlines()[-1].startswith("stopping: waiting for the block that is being computed")
    assert "2 of 4 done" in out


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_command_that_is_told_to_end_while_its_modules_load_says_so_as_for_ctrl_c(
    tmp_path: Path, number: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"""
import os, signal, sys

class Teller:
    def find_spec(self, name, *_):
        if name == "typer":
            os.kill(os.getpid(), signal.{number})

sys.meta_path.insert(0, Teller())
""")
    assert spinsweep(tmp_path, "list") == (130, "", "spinsweep: interrupted\n")


def spinsweep(folder: Path, *words: str) -> tuple[int, str, str]:
    """The command in a process of its own: status, output, errors."""
    command = [sys.executable, "-m", "spinsweep.cli", *words]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr
