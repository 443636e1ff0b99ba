"""Which cell has been computed since when: real workers, real threads, real native code."""

from __future__ import annotations

import ctypes
import dataclasses
import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

import spinsweep
from spinsweep import Axis, Cell, Output, Parameter, Sweep, per_cell
from spinsweep.blocks import Block
from spinsweep.cli.status import _long
from spinsweep.cube import Task
from spinsweep.errors import CubeError
from spinsweep.executors import long_running
from spinsweep.executors.events import Attempt, LongAttempt
from spinsweep.executors.long_running import BlocksInHand, long_blocks
from spinsweep.executors.running import run
from spinsweep.interactive import display
from spinsweep.messages import LongBlock, LongReport
from spinsweep.provenance import RunRecord
from spinsweep.runs import Run, open_run


@per_cell
def slow(cell: Cell) -> dict[str, Any]:
    """Takes long at x=3; native code then, if asked for, that keeps Python's lock."""
    if cell["x"] == 3:
        if cell.params["native"]:
            ctypes.PyDLL(None).sleep(int(cell.params["seconds"]))
        else:
            time.sleep(cell.params["seconds"])
    return {"y": float(cell["x"])}


SLOW = Sweep(
    name="slow",
    title="Cells of which one is slow",
    axes=(Axis("x", tuple(range(6))),),
    outputs=(Output("y"),),
    parameters=(Parameter("seconds", 0.0), Parameter("native", 0)),
    function=slow,
)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes long is told after tenths of a second."""
    for name, seconds in (("LONG_S", 0.3), ("LOOK_S", 0.3), ("ANSWER_S", 0.5)):
        monkeypatch.setattr(long_running, name, seconds)


def lines(tmp_path: Path, sweep: Sweep, **where: Any) -> list[str]:
    """Every line that a run shows."""
    shown: list[str] = []

    def show(run: Run) -> None:
        shown.append(run.progress.line(time.monotonic()))

    assert run(sweep, tmp_path / "c.zarr", block=6, on_progress=show, **where).complete
    return shown


@pytest.mark.parametrize("name", ["serial", "processes", "dask"])
@pytest.mark.usefixtures("soon")
def test_the_very_cell_that_takes_long_is_named_with_its_block_and_worker(
    tmp_path: Path, client: Client, name: str
) -> None:
    where: dict[str, Any] = {"serial": {}, "processes": {"workers": 1}, "dask": {"client": client}}[name]
    shown = lines(tmp_path, SLOW.with_values(seconds=4.0), **where)

    worker = {"serial": "this process", "processes": r"process \d+", "dask": r"worker tls://[\d.:]+"}[name]
    pattern = rf", x=3 for \d[.\d]* s \(of a block of 6 cells, for \d[.\d]* s\) in {worker}$"
    assert any(re.search(pattern, line) for line in shown)
    assert " for " not in shown[-1]


@pytest.mark.usefixtures("soon")
def test_a_script_is_shown_the_cell_and_its_own_function_is_called_by_its_own_thread_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(display, "FIRST_LINE_S", 1.5)
    threads = set()
    sweep, store = SLOW.with_values(seconds=5.0), tmp_path / "c.zarr"
    spinsweep.run(sweep, store, block=6, on_progress=lambda run: threads.add(threading.get_ident()))

    assert re.search(r"slow: 0/1 blocks, 0/6 cells, x=3 for .* in this process", capsys.readouterr().err)
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize("name", ["processes", "dask"])
@pytest.mark.usefixtures("soon")
def test_of_a_worker_that_native_code_keeps_from_answering_the_block_is_named(
    tmp_path: Path, client: Client, name: str
) -> None:
    where: dict[str, Any] = {"workers": 1} if name == "processes" else {"client": client}
    shown = lines(tmp_path, SLOW.with_values(seconds=5.0, native=1), **where)

    assert any(re.search(r", x=0 and 5 more for .* s in .*, which does not answer", line) for line in shown)
    assert " for " not in shown[-1]


@per_cell
def slow_then_holding(cell: Cell) -> dict[str, Any]:
    """Python at first, which answers; then native code that does not."""
    if cell["x"] == 3:
        time.sleep(2.0)
        ctypes.PyDLL(None).sleep(5)
    return {"y": float(cell["x"])}


@pytest.mark.usefixtures("soon")
def test_what_a_worker_said_before_it_fell_silent_is_still_known(tmp_path: Path, client: Client) -> None:
    shown = lines(tmp_path, dataclasses.replace(SLOW, function=slow_then_holding), client=client)

    assert any(
        re.search(r"x=3 for .* s \(of a block of 6 cells, .*\) in .*, which does not answer", s) for s in shown
    )


def test_blocks_are_shown_longest_first_and_those_that_ended_meanwhile_are_not() -> None:
    axes = {"x": (0.1, 0.2, 0.3), "s": ("a", "b")}
    in_flight = {n: Attempt(n, Task(Block((n, 0), (n + 1, 2)))) for n in (0, 1)}
    told = [
        LongAttempt(0, "a", 11.0),
        LongAttempt(1, "b", 60.0, {"x": 0.2, "s": "b"}, 12.0),
        LongAttempt(2, "c", 99.0),
    ]
    first, second = long_blocks(told, in_flight, axes)

    assert (first.cell, first.in_hand, first.cells, first.cell_seconds) == ({"x": 0.2, "s": "b"}, True, 2, 12.0)
    assert (second.cell, second.in_hand, second.cell_seconds) == ({"x": 0.1, "s": "a"}, False, 11.0)


def test_a_block_that_raised_is_not_in_hand_any_more() -> None:
    blocks = BlocksInHand()
    try:
        with blocks.block("one"), blocks.block("two"):
            assert [block.block for block in blocks.now()] == ["one", "two"]
            raise ValueError
    except ValueError:
        assert blocks.now() == []


@pytest.mark.slow
def test_status_of_another_process_tells_which_cell_is_computed_since_when(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_running, "LONG_S", 0.3)
    said: list[str] = []

    def ask(run: Run) -> None:
        if run.progress.long and not said:
            for more in ([], ["--json"]):
                command = [sys.executable, "-m", "spinsweep.cli", "status", str(tmp_path / "c.zarr"), *more]
                said.append(subprocess.run(command, capture_output=True, text=True).stdout)

    result = run(SLOW.with_values(seconds=4.0), tmp_path / "c.zarr", block=6, workers=1, on_progress=ask)

    table, as_json = said
    line = r"computing +cells that take long, \d+[\d.]* s ago: *\n +x=0 and 5 more for \d[.\d]* s in process \d+"
    assert re.search(line, table)
    (block,) = json.loads(as_json)["runs"][-1]["long"]["blocks"]
    assert (block["cell"], block["cells"], block["answers"]) == ({"x": 0}, 6, True)
    assert block["seconds"] >= 0.3
    (record,) = result.cube.runs()
    assert (record.outcome, record.long) == ("complete", None)


def long_block(seconds: float) -> LongBlock:
    return LongBlock({"x": 1}, True, 1, seconds, seconds, "process 1")


def test_the_record_is_written_rarely_holds_the_longest_and_forgets_them_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, kept = 1000.0, []
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with open_run(SLOW, tmp_path / "c.zarr", block=6) as opened:
        written = opened.keep_long
        opened.keep_long = lambda report: (kept.append(report), written(report))  # type: ignore[func-returns-value]
        opened.note_long([], now)
        assert kept == []
        for now in range(1000, 1025):
            opened.note_long([long_block(100.0 - n) for n in range(10)], now)
        (record,) = opened.cube.runs()
        assert record.long == json.loads(json.dumps(kept[-1].to_json()))
        now = 1040
        opened.note_long([], now)
        assert opened.cube.runs()[0].long is None
        opened.note_long([], now + 20)

    assert [report and (len(report.blocks), report.more) for report in kept] == [(8, 2)] * 3 + [None]
    assert [block.seconds for block in kept[0].blocks] == [100.0 - n for n in range(8)]


def test_a_record_that_cannot_be_written_harms_no_run_and_is_said_once(tmp_path: Path) -> None:
    def fails(report: LongReport | None) -> None:
        raise CubeError("no room")

    with open_run(SLOW, tmp_path / "c.zarr", block=6) as opened:
        opened.keep_long = fails
        for later in (0.0, 1e6):
            opened._keep_long_at = later - 1e6
            opened.note_long([long_block(100.0)], 0.0)
        assert [note for note in opened.notes if "no room" in note] == [
            "spinsweep status cannot be told which cells are being computed: no room"
        ]


@pytest.mark.parametrize("long", [{}, {"version": 1, "seen": "x", "blocks": [{"cell": 1}]}, {"version": 99}])
def test_what_a_record_says_that_cannot_be_read_is_one_line_of_status(long: Any) -> None:
    ((name, line),) = _long(RunRecord(long=long), has_driver=True)

    assert name == "computing"
    assert line.startswith("what the run says of it cannot be read: ")


def test_status_of_a_run_whose_driver_is_gone_says_what_it_computed_last() -> None:
    blocks = (dataclasses.replace(long_block(70.0), cells=4), dataclasses.replace(long_block(20.0), answers=False))
    report = LongReport(seen="2026-01-01T00:00:00+00:00", blocks=blocks, more=2)
    rows = list(_long(RunRecord(long=json.loads(json.dumps(report.to_json()))), has_driver=False))

    assert re.fullmatch(r"cells that take long, \d+ d \d+ h ago, when the driver told last:", rows[0][1])
    assert rows[1:] == [
        ("", "x=1 for 1 min 10 s (of a block of 4 cells, for 1 min 10 s) in process 1"),
        ("", "x=1 for 20 s in process 1, which does not answer"),
        ("", "and 2 more blocks"),
    ]
