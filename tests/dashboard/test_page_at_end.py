"""A run writes the page of its cube when its results are safe, where it should, and never fails by it."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from watched import until

from spinsweep.cli import main
from spinsweep.cli.page_at_end import WORTH_S
from spinsweep.cube import Cube
from spinsweep.pace import MOST_RATES, RateHistory

CODE = """
import time
from pathlib import Path
from spinsweep import Axis, Output, Sweep, View, per_cell

@per_cell
def square(cell):
    gate = Path(__file__).with_name("gate")
    while gate.exists() and cell["x"] > 1:
        time.sleep(0.02)
    if cell["x"] == 7:
        raise ArithmeticError("seven")
    return {"y": cell["x"] ** 2}

SQUARES = Sweep("squares", "Squares", (Axis("x", tuple(range(4))),), (Output("y"),), square, views=(View("y"),))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sweep of our own, in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "squares.py").write_text(CODE)
    return tmp_path


def compute(*words: str) -> int:
    return main(["run", "squares.py", "--store", "s.zarr", "--workers", "0", *words])


def test_a_short_run_writes_no_page_and_one_that_is_asked_does(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compute() == 0
    assert not (folder / "s.html").exists()
    assert "matplotlib.figure" not in subprocess_modules("run", "squares.py", "--store", "t.zarr", "--workers", "0")
    assert compute("--page") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "page      s.html"
    assert "4</b> of 4 cells done" in (folder / "s.html").read_text()


def subprocess_modules(*words: str) -> str:
    """The modules that a process has imported when the command ends."""
    code = f"import sys; from spinsweep.cli import main; main({list(words)!r}); print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_a_page_is_renewed_by_each_run_that_computes_something(folder: Path) -> None:
    assert compute("--page") == 0
    page = folder / "s.html"
    before = page.stat().st_mtime_ns
    assert compute() == 0
    assert page.stat().st_mtime_ns == before, "nothing was computed"
    assert compute("--set", "x=0:6", "--no-page") == 0
    assert page.stat().st_mtime_ns == before, "nobody wants it"
    assert compute("--set", "x=0:8") == 1
    text = page.read_text()
    assert "7</b> of 8 cells done" in text
    assert "ArithmeticError: seven" in text
    assert "spinsweep cell s.zarr x=7" in text


def test_a_run_of_more_than_a_minute_writes_a_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert WORTH_S == 60
    monkeypatch.setattr("spinsweep.cli.page_at_end.WORTH_S", 0.0)
    assert compute() == 0
    assert (folder / "s.html").exists()


@pytest.mark.parametrize("fault", ["foreign", "folder", "unwritable"])
def test_a_page_that_cannot_be_written_is_one_line_and_changes_no_exit_status(
    fault: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = folder / "s.html"
    if fault == "foreign":
        page.write_text("mine")
    elif fault == "folder":
        page.mkdir()
    else:
        monkeypatch.setattr("spinsweep.saved_page.curves.content", lambda *_: 1 / 0)
        monkeypatch.setattr("spinsweep.saved_page.file.write_whole", lambda *_: Path("/not/there").stat())
    assert compute("--page") == 0
    out, error = capsys.readouterr()
    complaints = [line for line in error.splitlines() if line.startswith("spinsweep: ")]
    assert len(complaints) == 1
    assert "s.html" in complaints[0]
    assert "page  " not in out
    assert Cube("s.zarr").counts().done == 4
    if fault == "foreign":
        assert page.read_text() == "mine"


@pytest.mark.slow
def test_a_run_that_is_stopped_leaves_its_last_picture(folder: Path) -> None:
    (folder / "gate").touch()
    words = ["run", "squares.py", "--store", "s.zarr", "--executor", "processes", "--workers", "1", "--block", "1"]
    command = [sys.executable, "-m", "spinsweep.cli", *words, "--page"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    until(lambda: (folder / "s.zarr/zarr.json").exists() and Cube("s.zarr").counts().done == 2)
    running.send_signal(signal.SIGINT)
    assert any(line.startswith("stopping: ") for line in running.stderr)
    (folder / "gate").unlink()
    said = running.communicate(timeout=300)[0]
    text = (folder / "s.html").read_text()
    assert "3</b> of 4 cells done" in text
    assert '<td data-head="outcome">stopped</td>' in text
    assert said.splitlines()[-1] == "page      s.html"


@given(st.lists(st.floats(0.0, 20.0), min_size=1, max_size=3000))
def test_a_history_of_the_rate_is_short_and_evenly_spread_from_the_beginning(steps: list[float]) -> None:
    history, moments = RateHistory(), list(itertools.accumulate(steps))
    for moment in moments:
        history.note(moment, 2 * moment)
    times = [seconds for seconds, _ in history.points]
    assert len(times) <= MOST_RATES
    assert times == sorted(times)
    assert set(times) <= set(moments)
    assert times[0] == moments[0]
    assert all(rate == 2 * seconds for seconds, rate in history.points)
    gaps = [b - a for a, b in itertools.pairwise([*times, moments[-1]])]
    assert not gaps or max(gaps) <= max(2 * moments[-1] / MOST_RATES * 2, 1.0) + max(steps) * 2
