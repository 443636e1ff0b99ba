"""Whom a run tells of its failures, of being stuck, and of its end."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from spinsweep.cli import main, notify
from spinsweep.cli.notify import Hook
from spinsweep.cube import Cube
from spinsweep.progress import Progress

OWN = """
import spinsweep

@spinsweep.cell
def own(n):
    if n == 3:
        raise ValueError("three")
    return {"y": 1.0 * n}

OWN = spinsweep.Sweep.from_function(own, n=range(6))
"""


@contextmanager
def webhook() -> Iterator[tuple[str, list[str]]]:
    """A server on loopback, and the lines that it got."""
    lines: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            lines.append(json.loads(body)["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", lines
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_webhook_and_a_command_are_told_of_the_first_failure_and_of_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(OWN)
    with webhook() as (url, lines):
        assert main(["run", "own.py", "--workers", "0", "--store", "a.zarr", "--notify", url]) == 1
    said = [
        "spinsweep: own in a.zarr: the first cell failed: ValueError: three",
        "spinsweep: own in a.zarr: 5 of 6 cells done, 1 failed",
    ]
    assert lines == said
    assert main(["run", "own.py", "--workers", "0", "--store", "b.zarr", "--notify", "tee -a said"]) == 1
    assert Path("said").read_text().replace("b.zarr", "a.zarr").splitlines() == said
    capfd.readouterr()


def test_a_webhook_that_does_not_answer_is_said_and_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(OWN.replace("== 3", "== 9"))
    assert main(["run", "own.py", "--workers", "0", "--store", "a.zarr", "--notify", "http://127.0.0.1:9/x"]) == 0
    assert "--notify: nobody was told" in capfd.readouterr().err


def test_a_cube_keeps_no_secret_of_the_command_that_filled_it(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN.replace("== 3", "== 9"))
    words = ["run", "own.py", "--workers", "0", "--store", "a.zarr", "--notify=http://me:word@127.0.0.1:9/hush-hush"]
    command = [sys.executable, "-m", "spinsweep.cli", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "nobody was told" in done.stderr
    (run,) = Cube(tmp_path / "a.zarr").runs()
    assert run.command.endswith("run own.py --workers 0 --store a.zarr --notify=...")
    for file in (tmp_path / "a.zarr").rglob("*"):
        assert not (file.is_file() and b"hush-hush" in file.read_bytes()), file


def test_a_run_that_is_stuck_is_told_once_and_so_is_that_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "STUCK_S", 0.0)
    monkeypatch.setattr(notify, "STUCK_TIMES", 0)
    with webhook() as (url, lines):
        run: Any = SimpleNamespace(progress=Progress(10, 10, time.monotonic()))
        run.progress.waiting = "a worker with cpu=1"
        with Hook(url, "x in c.zarr") as hook:
            for cells in (0, 0, 1):
                run.progress.cells_done = cells
                time.sleep(0.05)
                hook.update(run)
                hook._threads[-1].join()
            hook.ended("1 of 10 cells done")
    texts = [line.removeprefix("spinsweep: x in c.zarr: ") for line in lines]
    assert texts[0].startswith("no cell has ended for ")
    assert texts[0].endswith("; it waits for a worker with cpu=1")
    assert texts[1:] == ["it goes on", "1 of 10 cells done"]
