"""What a reader, a serial run and a lane need, on a Python from which our modules get no more than on Windows.

It is not Windows. ``blocked/sitecustomize.py`` says what it takes from our modules, and what it refuses them; locks
are portalocker's (which asks Linux), paths, encodings, consoles and signals between processes are those of Linux.
"""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import xarray as xr

from instrument_emulator.control import Control

HERE = Path(__file__).parent
BLOCKED = HERE / "blocked"
ROOT = HERE.parents[1]
EXAMPLES = HERE.parent / "engine" / "examples.py"
SPINSWEEP = [sys.executable, "-P", "-m", "spinsweep.cli"]
TIMEOUT_S = 300.0
ASKS_FIRST = {
    "bench/address_lock.py", "bench/watchdog.py", "cli/app.py", "dashboard/reader.py",
    "deployment/certificates.py", "disk.py", "identity/source.py", "interrupts.py", "locks.py", "reaper.py",
    "reaper_process.py", "resources.py", "system.py",
}  # fmt: skip
"""Modules that use what Windows lacks, where there is such a thing."""

KILLED_ONCE = """
import os, sys
import numpy as np
from pathlib import Path
from spinsweep import Axis, Output, Sweep, open_cube, per_cell, run

@per_cell
def cell(cell):
    if cell["x"] == 5 and not Path("killed").exists():
        Path("killed").touch()
        os._exit(9)
    with open("computed", "a") as log:
        log.write(f"{cell['x']}\\n")
    return {"y": cell["x"] ** 2}

AXES = (Axis("x", tuple(range(8))),)
SQUARES = Sweep(name="squares", title="Squares", axes=AXES, outputs=(Output("y"),), function=cell)
if __name__ == "__main__":
    run(SQUARES, "squares.zarr", executor="serial", block=1)
    with open_cube("squares.zarr") as cube:
        print(cube["y"].values.tolist())
"""
HOLDS_CUBE = """
import sys
from spinsweep.cube import Cube
with Cube(sys.argv[1]).write_guard.hold_driver_lock():
    print("held", flush=True)
    input()
"""
MEASURE = """
import sys
import numpy as np
from spinsweep.bench.acquire import acquire_bench
from spinsweep.bench.bench_file import load
from spinneurons.device.pulse_cycle import PulseTrains

with acquire_bench(load(sys.argv[1])) as session, PulseTrains(session, "key") as experiment:
    print("ready", flush=True)
    while True:
        experiment.run(f"train {session.lease.epoch}", ["bar0"], np.full((5000, 1), 4.1e-4), [-6e-4], 5e-5)
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """From here on Pythons that are started find as much as on Windows, and say that they were started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(BLOCKED))
    monkeypatch.setenv("PORTABLE_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("PROGRAMDATA", str(tmp_path / "ProgramData"))
    monkeypatch.setenv("SPINSWEEP_STATE", str(tmp_path / "state"))
    (tmp_path / "ProgramData").mkdir()
    return (tmp_path / "log").read_text


def said(*command: object, status: int = 0) -> str:
    done = subprocess.run(
        [*SPINSWEEP, *map(str, command)], capture_output=True, text=True, check=False, timeout=TIMEOUT_S
    )
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def python(program: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_what_is_taken_is_missing_for_our_modules_and_for_no_others(log: Callable[[], str]) -> None:
    tried = """
import os, select
code = compile('''
import os, select
from pathlib import Path
lacking = []
for lack in ("import fcntl", "from os import uname", "os.geteuid()", "os.open('.', os.O_RDONLY)",
             "os.open('text', os.O_RDONLY)", "select.select([0], [], [], 0)", "Path('other').rename('text')",
             "Path('text').unlink()", "Path('.').absolute().rename(Path('../moved').absolute())"):
    try:
        exec(lack, globals())
    except (ImportError, AttributeError, OSError, AssertionError) as error:
        lacking.append(type(error).__name__)
print(*lacking)
''', "x", "exec")
open("other", "w").close()
held = open("text", "w")
exec(code, {"__name__": "spinsweep.anything"})
import fcntl
print(os.geteuid() >= 0, os.O_CLOEXEC > 0)
"""
    done = subprocess.run([sys.executable, "-c", tried], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [
        *("ModuleNotFoundError", "ImportError", "AttributeError", "PermissionError", "AssertionError", "OSError"),
        *("FileExistsError", "PermissionError", "PermissionError", "True", "True"),
    ]


def test_a_serial_run_that_is_killed_goes_on_where_it_was_and_is_read(log: Callable[[], str]) -> None:
    Path("squares.py").write_text(KILLED_ONCE)
    command = [sys.executable, "squares.py"]
    assert subprocess.run(command, check=False, timeout=TIMEOUT_S).returncode == 9
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=TIMEOUT_S)
    assert done.stdout == f"{[float(x**2) for x in range(8)]}\n"
    assert sorted(map(int, Path("computed").read_text().split())) == list(range(8))  # nothing twice
    assert "8 done cells, all as they were written" in said("verify", "squares.zarr")
    assert xr.open_zarr("squares.zarr")["y"].values.tolist() == [x**2 for x in range(8)]


@pytest.mark.slow
def test_a_cube_has_one_driver_and_grows(log: Callable[[], str]) -> None:
    run = ["run", f"{EXAMPLES}:GRID", "--executor", "serial", "--store", "grid.zarr"]
    said(*run, "--set", "seed=0:3")
    with python(HOLDS_CUBE, "grid.zarr") as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        complaint = said(*run, status=2)
        assert f"is being written by process {holder.pid} on " in complaint
        assert complaint.count("\n") == 1
    assert "96 of 96 done (48 in this run" in said(*run)


PARTS = """
import os, threading, time
from pathlib import Path
from spinsweep.bench.pipes import PipeReader, first_line
from spinsweep.cube.local import LocalStorage
from spinsweep.disk import file_lock, write_whole

def refused(path, **how):
    try:
        with file_lock(path, timeout_s=0.05, **how):
            return ""
    except OSError as error:
        return type(error).__name__

# pipes that nobody could wait for by select
out, into = os.pipe()
reader = PipeReader(out)
print(reader.read(0.05))
os.write(into, b"sign of life")
print(reader.read(60))
os.close(into)
print(reader.read(60))
out, into = os.pipe()
lines = open(out, "rb", buffering=0)
print(first_line(lines, 0.05))
os.write(into, b"ready\\n")  # for the thread that still reads
out, into = os.pipe()
os.write(into, b"ready\\n")
print(first_line(open(out, "rb", buffering=0), 60))

# locks, between two handles as between two processes
path = Path("locked")
path.write_text("read by others while it is locked")
print(refused(path, shared=True, flags=os.O_RDONLY))  # who only looks makes no file
with file_lock(path, shared=True):
    print(refused(path, shared=True) or "shared", refused(path), path.read_text()[:4])
with file_lock(path):
    print(refused(path, shared=True), refused(path, shared=True, flags=os.O_RDONLY), refused(path))
print(refused(path) or "free")

# a file that others read is replaced when they have done
others = open("locked")
threading.Timer(0.2, others.close).start()
write_whole("locked", b"new", sync=True)
print(path.read_text())

# what a creation left is removed when it is old, and not while it may go on
left = Path(".cube.zarr.0.partial")
left.mkdir()
(left / ".busy").touch()
with LocalStorage(Path("cube.zarr")).staging() as storage:
    storage.write("zarr.json", b"{}")
print(left.exists(), sorted(os.listdir("cube.zarr")))
os.utime(left, (0, 0))
with LocalStorage(Path("cube.zarr")).replacing() as storage:
    storage.write("zarr.json", b"{ }")
print(left.exists(), Path("cube.zarr/zarr.json").read_text())
"""


def test_pipes_locks_and_files_do_what_they_do_on_linux(log: Callable[[], str]) -> None:
    Path("parts.py").write_text(PARTS)
    done = subprocess.run(
        [sys.executable, "parts.py"], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        *("None", "b'sign of life'", "b''", "None", "b'ready\\n'"),
        "FileNotFoundError",
        "shared BlockingIOError read",
        "BlockingIOError BlockingIOError BlockingIOError",
        "free",
        "new",
        "True ['zarr.json']",
        "False { }",
    ]


@contextmanager
def emulated() -> Iterator[Control]:
    with subprocess.Popen([*SPINSWEEP, "emulate", "bench.toml", "--speed", "1e4"], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(b"wrote")
            ready = process.stdout.readline().decode()
            with Control(int(ready.split("control port ")[1].split(";")[0])) as control:
                yield control
        finally:
            process.send_signal(signal.SIGINT)


@pytest.mark.slow
def test_a_lane_measures_has_one_owner_and_is_made_safe_when_it_is_killed(log: Callable[[], str]) -> None:
    with emulated() as control:
        with python(MEASURE, "bench.toml") as lane:
            assert lane.stdout is not None
            assert lane.stdout.readline() == "ready\n"
            until(lambda: control.exposure()["overall"]["pulses"] > 20)
            complaint = said("bench", "check", "bench.toml", status=2).partition("\n")[2]  # behind the plan
            assert f"is owned by a lane, process {lane.pid} on " in complaint
            assert complaint.count("\n") == 1
            lane.kill()
            until(lambda: not Path("state/emulated/dirty").exists())
            assert not control.state()["source"]["output"]
        noted = json.loads(Path("state/emulated/guard.jsonl").read_text().splitlines()[-1])
        assert noted["reason"] == "the lane died"
        assert noted["safe"]

        chosen = ["--set", "device=0", "--set", "currents=10", "--set", "cycles=5", "--set", "resamples=20"]
        said("run", "characterization", "--on", "bench.toml", "--store", "measured.zarr", *chosen)
    assert (xr.open_zarr("measured.zarr")["cell_state"] == 1).all()
    started = log()
    assert started.count("-m spinsweep.bench.watchdog") == 2  # of the owner that was killed, and of the lane
    assert started.count("-m spinsweep.bench.lane") == 1


def test_no_other_module_uses_what_windows_lacks() -> None:
    scope: dict[str, object] = {}
    exec((BLOCKED / "posix_names.py").read_text(), scope)
    modules, names = scope["MODULES"], scope["NAMES"]
    assert isinstance(modules, frozenset)
    assert isinstance(names, dict)
    found = set()
    for folder in ("engine/spinsweep", "engine/instrument_emulator", "sweeps/spinneurons"):
        for file in (ROOT / folder).rglob("*.py"):
            place = str(file.relative_to(ROOT / folder))
            for node in ast.walk(ast.parse(file.read_text())):
                match node:
                    case ast.Import(names=imported):
                        lacking = any(alias.name.partition(".")[0] in modules for alias in imported)
                    case ast.ImportFrom(module=str(module), names=imported):
                        lacking = module in modules or any(alias.name in names.get(module, ()) for alias in imported)
                    case ast.Attribute(value=ast.Name(id=module), attr=attribute):
                        lacking = attribute in names.get(module, ())
                    case _:
                        continue
                if lacking:
                    found.add(place)
    assert found == ASKS_FIRST


@pytest.mark.skipif(os.name != "posix", reason="asks Linux")
def test_on_linux_locks_are_the_kernels() -> None:
    from spinsweep import locks, system
    from spinsweep.bench import address_lock

    assert locks.KERNEL
    assert address_lock.SOCKETS
    assert system.POSIX
