"""``spinsweep`` in processes of their own, and what the tests look at afterwards."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from spinsweep import CubeError
from spinsweep.cube import Cube

EXAMPLES = Path(__file__).parents[1] / "engine" / "examples.py"
SPINSWEEP = [sys.executable, "-m", "spinsweep.cli"]
OF_A_RUN = ("cell_attempt", "cell_duration", "cell_code")  # the code names the processor; the rest is the sweep's


def start(*words: object, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """``spinsweep ...``, in a process group of its own as a terminal starts it."""
    return _start([*SPINSWEEP, *map(str, words)], cwd, env)


def _start(command: list[str], cwd: Path, env: Mapping[str, str] | None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def start_with(
    setting: str, *words: object, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """The same with a constant of a module set, such as ``spinsweep.deployment.clients.ORPHAN = 3``."""
    module = setting.partition(" = ")[0].rpartition(".")[0]
    code = f"import {module}; {setting}; from spinsweep.cli import script; script()"
    return _start([sys.executable, "-c", code, *map(str, words)], cwd, env)


def ended(process: subprocess.Popen[str], seconds: float = 120) -> tuple[int, str]:
    """Exit status, and all that it said."""
    try:
        out, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, errors = process.communicate()
        raise AssertionError(f"it did not end:\n{out}{errors}") from None
    return process.returncode, out + errors


def spinsweep(*words: object, cwd: Path, env: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run ``spinsweep ...`` to its end."""
    return ended(start(*words, cwd=cwd, env=env))


def logged(folder: Path, seconds: float = 0.05) -> list[str]:
    """Words of a run of 100 cells that leave a trace each, in blocks of five, and that serves no page."""
    (folder / "log").mkdir(exist_ok=True)
    sets = [f"log={folder}/log", f"seconds={seconds}"]
    return ["run", f"{EXAMPLES}:LOGGED", "--no-dashboard", "--block", "5", *(w for s in sets for w in ("--set", s))]


def until(what: Callable[[], bool], seconds: float = 300) -> None:
    """Wait for something that has to happen."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def done(store: Path) -> int:
    """Cells of a cube that are done."""
    try:
        return Cube(store).counts().done
    except CubeError:
        return 0


def assert_same_cube(one: Path, other: Path) -> None:
    """Every number but those that tell of the run, bit by bit."""
    a, b = xr.open_zarr(one).load(), xr.open_zarr(other).load()
    assert set(a.variables) == set(b.variables)
    for name in set(a.variables) - set(OF_A_RUN):
        np.testing.assert_array_equal(a[name].values.view(np.uint8), b[name].values.view(np.uint8), err_msg=str(name))
    assert (a.cell_state == 1).all()
