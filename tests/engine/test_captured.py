"""What failed cells had printed."""

from __future__ import annotations

import dataclasses
import io
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from distributed import Client
from hypothesis import given
from hypothesis import strategies as st

from spinsweep import Axis, Cell, Cells, Output, Sweep, per_cell
from spinsweep.captured import LONGEST, Tail, captured
from spinsweep.cli import main
from spinsweep.cube import Cube, open_storage
from spinsweep.cube.groups import error_group, keep_error
from spinsweep.evaluate import CellError
from spinsweep.executors.running import run


@per_cell
def talking(cell: Cell) -> dict[str, Any]:
    print(f"cell {cell['x']} begins")
    helper = threading.Thread(target=print, args=(f"a thread of {cell['x']}",))
    helper.start()
    helper.join()
    print("a warning \udcff", file=sys.stderr)
    if cell["x"] % 2:
        raise ValueError("no good")
    return {"y": 0.0}


def talking_blocks(cells: Cells) -> dict[str, Any]:
    return {"y": [talking(cell)["y"] for cell in cells]}


TALKING = Sweep("talking", "Cells that print", (Axis("x", (0, 1, 2, 3)),), (Output("y"),), talking)


@pytest.mark.parametrize(
    ("where", "function"),
    [
        ("serial", talking),
        ("serial", talking_blocks),
        ("processes", talking),  # where a whole block is computed as on dask
        ("dask", talking_blocks),
        pytest.param("dask", talking, marks=pytest.mark.slow),
    ],
)
def test_what_a_failed_cell_printed_is_kept_with_its_error_and_that_of_others_is_not(
    tmp_path: Path, client: Client, where: str, function: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    options: dict[str, Any] = {"serial": {}, "processes": {"workers": 1}, "dask": {"client": client}}[where]
    sweep = dataclasses.replace(TALKING, function=function)
    result = run(sweep, tmp_path / "c.zarr", block=4, **options)

    assert [failure.error.output for failure in result.failures] == [
        f"cell {x} begins\na thread of {x}\na warning \\udcff\n" for x in (1, 3)
    ]
    assert main(["status", str(tmp_path / "c.zarr"), "--traceback"]) == 1
    assert "It had printed:\ncell 1 begins\na thread of 1\n" in capfd.readouterr().out


def test_it_still_goes_where_it_always_goes_and_the_streams_are_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    with captured() as outer:
        with captured() as inner:
            print("inner")
        print("outer")
    assert sys.stdout is stream
    assert stream.getvalue() == "inner\nouter\n"
    assert (outer.text, inner.text) == ("outer\n", "inner\n")


def test_threads_that_compute_at_a_time_have_each_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    together, texts = threading.Barrier(2), {}

    def work(name: str) -> None:
        with captured() as tail:
            for _ in range(50):
                together.wait(10)
                print(name)
            texts[name] = tail.text

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == {name: f"{name}\n" * 50 for name in "ab"}
    assert sys.stdout is stream


@given(st.lists(st.text(max_size=20) | st.sampled_from(["x" * (LONGEST - 1), "y" * (LONGEST + 5)]), max_size=20))
def test_a_tail_is_the_end_of_all_that_was_written(texts: list[str]) -> None:
    tail = Tail()
    for text in texts:
        tail.write(text)
    assert tail.text == "".join(texts)[-LONGEST:]


def test_errors_without_output_are_stored_as_they_always_were(tmp_path: Path) -> None:
    result = run(TALKING, tmp_path / "c.zarr")
    storage = open_storage(tmp_path / "c.zarr")
    plain = keep_error(storage, CellError("builtins.X", "m", "t"))

    assert plain == 0x36E95AB201BF10EC
    assert b'"output"' not in (error_group(storage, plain).read("zarr.json") or b"")
    assert Cube(tmp_path / "c.zarr").error(plain) == CellError("builtins.X", "m", "t")
    assert result.counts.failed == 2
