"""In a notebook: what a reader of the documentation types, and what a Jupyter kernel shows and interrupts."""

from __future__ import annotations

import os
import re
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

import spinsweep

ROOT = Path(__file__).parents[2]
README, NOTEBOOK = ROOT / "README.md", ROOT / "sweeps/NOTEBOOK.md"


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "jupyter"))
    with tempfile.TemporaryDirectory(prefix="jp") as sockets:  # whose paths have to be short
        monkeypatch.setenv("JUPYTER_RUNTIME_DIR", sockets)
        yield


def client_of(folder: Path, *cells: str) -> NotebookClient:
    """A notebook of these cells, with a kernel of its own."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(text) for text in cells]
    return NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        startup_timeout=120,
    )


def executed(folder: Path, *cells: str) -> list[list[Any]]:
    """The outputs of each cell."""
    client = client_of(folder, *cells)
    client.execute()
    return [cell.outputs for cell in client.nb.cells]


def text(outputs: list[Any], name: str = "stderr") -> str:
    return "".join(output.text for output in outputs if output.get("name") == name)


def python_blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page, flags=re.M | re.S)


@pytest.mark.slow
def test_a_notebook_of_what_the_pages_say_runs_from_the_function_to_the_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)  # a kernel finds modules beside the notebook
    first = python_blocks(README.read_text().partition("## Your own sweep")[2])
    (tmp_path / "mine.py").write_text(next(block for block in first if "WALK = Sweep(" in block))
    outputs = executed(tmp_path, *first, *python_blocks(NOTEBOOK.read_text()))

    assert len([output for output in outputs[0] if "image/png" in output.get("data", {})]) == 1
    assert len([line for line in first[0].splitlines() if line.strip()]) <= 9, "lines, as in xyzpy's first example"
    assert len(spinsweep.open_cube(tmp_path / "results/first.zarr").walk.dims) == 3
    assert "ZeroDivisionError: x is 0" in "".join(text(o, "stdout") for o in outputs)


def test_a_notebook_shows_a_bar_that_goes_away_and_says_how_the_run_ended(tmp_path: Path) -> None:
    slow = "import time, spinsweep\ndef slow(x):\n    time.sleep(0.3)\n    return x\n"
    slow += "sweep = spinsweep.Sweep.from_function(slow, x=range(4))\n"
    client = client_of(
        tmp_path, slow, "spinsweep.run(sweep, 'slow.zarr', block=1)", "spinsweep.run(sweep, 'slow.zarr')"
    )
    bars = []
    show = client.process_message

    def noted(message: Any, cell: Any, index: int) -> Any:
        bars.append(message["content"].get("data", {}).get("text/html", ""))
        return show(message, cell, index)

    client.process_message = noted  # type: ignore[method-assign]
    client.execute()
    outputs = [cell.outputs for cell in client.nb.cells]

    assert re.search(r'<progress value="[0-4]" max="4"></progress> slow: [0-4]/4 blocks', "".join(bars))
    assert text(outputs[1]).startswith("slow: 4 cells to compute in 4 blocks\nslow: 4 of 4 cells done (")
    assert [o.data["text/html"] for o in outputs[1] if o.output_type == "display_data"] == [""], "the bar is gone"
    assert [o.data["text/plain"] for o in outputs[1] if o.output_type == "execute_result"] == [
        f"<Result {tmp_path}/slow.zarr: complete, 4 of 4 cells done>"
    ]
    assert text(outputs[2]) == "slow: nothing to compute, 4 are there\n", "the code of a cell is the same code"


SLOW = """
import os, time, spinsweep
from pathlib import Path

def slow(x):
    if x == 3:
        Path("part").write_text(str(os.getpid()))
        Path("part").rename("computing")
    time.sleep(0.3)
    return x

sweep = spinsweep.Sweep.from_function(slow, x=range(50), outputs="y")
spinsweep.run(sweep, "slow.zarr", block=1)
"""


def test_the_stop_button_raises_keyboard_interrupt_with_what_is_done(tmp_path: Path) -> None:
    def stop_once_it_computes() -> None:
        while not (tmp_path / "computing").exists() and not ended.wait(0.05):
            pass
        if not ended.is_set():
            os.kill(int((tmp_path / "computing").read_text()), signal.SIGINT)  # as Jupyter's button does

    ended = threading.Event()
    stopper = threading.Thread(target=stop_once_it_computes, daemon=True)
    stopper.start()
    try:
        with pytest.raises(CellExecutionError, match=r"slow.zarr: stopped, \d+ of 50 cells done"):
            executed(tmp_path, SLOW)
    finally:
        ended.set()
        stopper.join(60)
    assert 0 < spinsweep.open_cube(tmp_path / "slow.zarr").sweep.counts.done < 50
