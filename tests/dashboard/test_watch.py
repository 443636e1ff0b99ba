"""``spinsweep watch`` shows a real run from its cube alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from distributed import Client
from watched import WATCHED, held_at_half, running

from spinsweep.cli import main
from spinsweep.cube import Cube


def test_a_run_is_followed_from_its_cube_until_it_ends(tmp_path: Path, client: Client) -> None:
    store = tmp_path / "c.zarr"
    with held_at_half(store, client, bad=0.003) as gate:
        words = [sys.executable, "-m", "spinsweep.cli", "watch", str(store), "--every", "0.5"]
        watching = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert watching.stdout is not None
        first = watching.stdout.readline()
        assert first.startswith("47 of 96 cells done")
        gate.touch()
        said = watching.communicate(timeout=120)[0]
    assert watching.returncode == 1, "a cell failed"
    assert "95 of 96 done, 1 failed" in said
    assert "1 x ArithmeticError: <b>no</b> number  (first: current=0.003 seed=0)" in said
    assert "voltage (mean over seed)" in said


def test_an_output_is_drawn_against_an_axis_with_a_curve_for_each_value_of_another(
    tmp_path: Path, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(WATCHED, tmp_path / "c.zarr", client, block=12):
        pass
    view = ["--output", "trace", "--x", "time", "--lines", "current"]
    assert main(["watch", str(tmp_path / "c.zarr"), "--once", *view]) == 0
    said = capsys.readouterr().out
    assert said.count("trace (mean over seed, current=") == 4
    assert "and 4 more values of current" in said


@pytest.mark.parametrize(
    ("option", "name"), [("--output", "nothing"), ("--x", "width"), ("--lines", "width"), ("--over", "width")]
)
def test_an_output_or_axis_that_is_not_there_is_refused_in_one_line(
    option: str, name: str, tmp_path: Path, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(WATCHED, tmp_path / "c.zarr", client, block=12):
        pass
    assert main(["watch", str(tmp_path / "c.zarr"), "--once", option, name]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"spinsweep: {option} {name}: ")
    assert said.count("\n") == 1


def _read_all(terminal: int) -> None:
    with suppress(OSError):  # the other end is closed
        while os.read(terminal, 65536):
            pass


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no terminals of this kind")
def test_ctrl_c_on_a_terminal_leaves_quietly_and_the_run_goes_on(tmp_path: Path, client: Client) -> None:
    store = tmp_path / "c.zarr"
    with held_at_half(store, client):
        driver, terminal = os.openpty()
        words = [sys.executable, "-m", "spinsweep.cli", "watch", str(store), "--every", "0.5"]
        watching = subprocess.Popen(words, stdout=terminal, stderr=subprocess.PIPE, text=True)
        os.close(terminal)
        said = b""
        while b"voltage (mean over seed)" not in said:
            said += os.read(driver, 65536)
        rest = threading.Thread(target=_read_all, args=(driver,))  # a terminal that nobody reads holds it up
        rest.start()
        watching.send_signal(signal.SIGINT)
        assert watching.communicate(timeout=60)[1] == ""
        rest.join()
        os.close(driver)
        assert watching.returncode == 1
        assert Cube(store).counts().done == 48, "the run waits"
    assert Cube(store).counts().done == 96
