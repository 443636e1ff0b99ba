"""A run on a bench as somebody at a terminal sees it: a real pseudoterminal, its screen, and the emulated bench."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyte
import pytest

SPINSWEEP = f"{sys.executable} -m spinsweep.cli"
RUN = "characterization --set device=0,1 --set currents=6 --set cycles=30 --set resamples=50 --no-dashboard"


class Terminal:
    """A command at a terminal of that size, and its screen."""

    def __init__(self, columns: int, rows: int, command: list[str]) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        where = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        terminal = {**where, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"}
        streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        self.process = subprocess.Popen(command, **streams, env=terminal, start_new_session=True)
        os.close(theirs)

    def read(self, seconds: float) -> bool:
        """Take what is written in that time; False once nobody writes any more."""
        if select.select([self._ours], [], [], seconds)[0]:
            with suppress(OSError):  # it fails when the other side is closed
                if part := os.read(self._ours, 65536):
                    self._stream.feed(part)
                    return True
            return False
        return True

    @property
    def lines(self) -> list[str]:
        """What a person sees."""
        return [line.rstrip() for line in self.screen.display]

    def screens(self, seconds: float = 120) -> Iterator[list[str]]:
        """Each state of the screen, until the command has ended."""
        deadline = time.monotonic() + seconds
        while self.read(0.5):
            assert time.monotonic() < deadline, "\n".join(self.lines)
            yield self.lines

    def end(self) -> None:
        """Take it away."""
        if self.process.poll() is None:
            self.process.terminate()
        while self.read(10):
            pass
        self.process.wait(30)
        os.close(self._ours)


@contextmanager
def at_a_terminal(folder: Path, columns: int, rows: int) -> Iterator[Terminal]:
    bench = folder / "bench.toml"
    run = f"{SPINSWEEP} run {RUN} --on {bench} --store {folder / 'cube.zarr'}"
    command = [*SPINSWEEP.split(), "emulate", str(bench), "--speed", "1e3", "--run", run]
    terminal = Terminal(columns, rows, command)
    try:
        yield terminal
    finally:
        terminal.end()


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINSWEEP_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("SPINSWEEP_STATE", str(tmp_path / "state"))


def rows_with(words: str, lines: list[str]) -> list[int]:
    return [number for number, line in enumerate(lines) if words in line]


def points(lines: list[str]) -> int:
    """Points of the curve: in the rows between its label and its axis."""
    label, axis = rows_with("fraction switched", lines), rows_with("└", lines)
    return sum(line.count("o") for line in lines[label[0] + 1 : axis[0]]) if label and axis else 0


def is_whole(lines: list[str]) -> bool:
    """Whether all of the view is there, once and from top to bottom; a reader may see a part of what is written."""
    view = ("fraction switched", "└", "write current (µA)", "characterization ━")
    view += ("cycles since the lane", "last reading of bar", "left of this cell")
    rows = [rows_with(words, lines) for words in view]
    return all(len(row) == 1 for row in rows) and rows == sorted(rows)


@pytest.mark.slow
def test_the_curve_grows_above_progress_last_reading_and_time_left_and_is_gone_at_the_end(tmp_path: Path) -> None:
    with at_a_terminal(tmp_path, 100, 34) as terminal:
        seen = [lines for lines in terminal.screens() if points(lines)]
        end = terminal.lines
        assert terminal.process.wait(30) == 0
    numbers = [points(lines) for lines in seen]
    assert len(set(numbers)) > 2  # it grew
    assert max(numbers) <= 6
    whole = next(lines for lines in reversed(seen) if is_whole(lines))
    assert re.search(r"width=0.5,device=[01]: current \d, [\d,]+ cycles since the lane started", "\n".join(whole))
    assert re.search(r"last reading of bar[01]: -?[\d.]+ µV \(low -?[\d.]+ µV, high [\d.]+ µV\)", "\n".join(whole))
    assert any("\u2800" < character <= "\u28ff" for lines in seen for line in lines for character in line)  # the fit
    assert any("about" in line and "of the run" in line for lines in seen for line in lines)
    assert not rows_with("fraction switched", end)
    assert rows_with("cells     2 of 2 done", end)


@pytest.mark.slow
def test_a_low_terminal_shows_the_lines_without_the_curve(tmp_path: Path) -> None:
    with at_a_terminal(tmp_path, 60, 12) as terminal:
        seen = list(terminal.screens())
        assert terminal.process.wait(30) == 0
    assert any(rows_with("last reading of bar", lines) for lines in seen)
    assert not any(rows_with("fraction switched", lines) for lines in seen)
