"""``spinsweep.run`` in scripts: what it raises, returns and shows."""

from __future__ import annotations

import dataclasses
import os
import pty
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import Client
from examples import GRID

import spinsweep
from spinsweep import Axis, Cell, CubeError, Output, Parameter, RunnerError, SpecError, Sweep, SweepFailed, per_cell
from spinsweep.cube import Cube
from spinsweep.executors.running import Options
from spinsweep.executors.running import run as run_silently
from spinsweep.interactive.failures import sweep_failed
from spinsweep.interactive.words import in_python
from spinsweep.ledger import Counts


@per_cell
def hits(cell: Cell) -> dict[str, Any]:
    if cell["seed"] in cell.params["bad"]:
        raise (ValueError if cell["seed"] % 2 else KeyError)(f"no seed {cell['seed']}")
    return {"hits": 100, "good": True, "far": cell["gain"]}


HITS = Sweep(
    "hits",
    "Hits",
    (Axis("gain", (1.0, 2.0)), Axis("seed", tuple(range(5)))),
    (Output("hits", dtype="int64"), Output("good", dtype="bool"), Output("far")),
    hits,
    parameters=(Parameter("bad", []),),
)
BAD = HITS.with_values(bad=[1, 2, 3])


def test_failed_cells_are_raised_in_one_line_with_what_is_done_on_the_exception(tmp_path: Path) -> None:
    with pytest.raises(SweepFailed) as caught:
        spinsweep.run(BAD, tmp_path / "c.zarr")

    assert str(caught.value) == (
        f"{tmp_path}/c.zarr: 6 of 10 cells failed: 4 ValueError (no seed 1), 2 KeyError ('no seed 2'); the first is "
        f"gain=1, seed=1; spinsweep.open_cube('{tmp_path}/c.zarr').sweep.failures() has each traceback; "
        'retry_failed=True computes them again, on_failure="keep" goes on without them'
    )
    assert isinstance(caught.value, RunnerError)
    assert "in hits\n    raise" in caught.value.__notes__[0]
    ds = caught.value.dataset
    assert float(ds.hits.mean()) == 100, "cells that failed count in no mean"
    assert int(ds.hits.count()) == 4
    assert len(caught.value.result.failures) == 6
    with pytest.raises(SweepFailed, match="6 of 10 cells failed"):  # that there is nothing to do is no success
        spinsweep.run(BAD, tmp_path / "c.zarr")
    kept = spinsweep.run(BAD, tmp_path / "c.zarr", on_failure="keep")
    assert (kept.outcome, kept.complete, kept.counts.failed) == ("failed cells", False, 6)


def test_blocks_that_could_not_be_kept_are_raised_as_well(tmp_path: Path) -> None:
    result = spinsweep.run(HITS, tmp_path / "c.zarr", progress=False)
    lost = dataclasses.replace(
        result, counts=Counts(absent=2, done=8), unwritten_blocks=("block (1, 3): OSError: no",)
    )

    assert str(sweep_failed(lost)) == (
        f"{tmp_path}/c.zarr: 8 of 10 cells are done; 1 block could not be kept, as block (1, 3): OSError: no; what "
        "is done is in the cube, call run again to continue"
    )


def test_a_run_gives_the_cells_that_were_asked_for_in_that_order_and_the_whole_cube_on_request(
    tmp_path: Path,
) -> None:
    spinsweep.run(HITS, tmp_path / "c.zarr", progress=False)
    result = spinsweep.run(HITS.with_values(gain=(3.0, 1.0), seed=(4, 2)), tmp_path / "c.zarr", progress=False)

    assert result.counts.total == 4
    ds = result.dataset
    assert (ds.gain.values.tolist(), ds.seed.values.tolist()) == ([3, 1], [4, 2])
    np.testing.assert_array_equal(ds.far, [[3, 3], [1, 1]])
    assert ds.hits.dtype == np.int64, "nothing is blank"
    whole = result.open(whole=True)
    assert whole.far.shape == (3, 5)
    assert (int(whole.hits.count()), float(whole.hits.mean())) == (12, 100)
    assert result.open(whole=True, zeros=True).hits.dtype == np.int64


def test_failures_are_those_of_the_cells_asked_for(tmp_path: Path) -> None:
    spinsweep.run(BAD, tmp_path / "c.zarr", on_failure="keep")
    good = spinsweep.run(BAD.with_values(seed=(0, 4)), tmp_path / "c.zarr")
    assert (good.complete, good.failures) == (True, [])


# ---- what is shown ------------------------------------------------------------------------------------------------


def test_a_run_says_in_a_few_lines_what_it_does_and_what_to_know(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spinsweep.run(HITS, tmp_path / "c.zarr", block={"gain": 1, "seed": 2})
    spinsweep.run(BAD.with_values(bad=[]), tmp_path / "c.zarr", block=3)
    out, err = capfd.readouterr()

    assert out == ""
    lines = err.splitlines()
    assert lines[0] == "hits: 10 cells to compute in 6 blocks"
    assert lines[1].startswith("hits: 10 of 10 cells done (")
    assert lines[2:] == [
        "hits: nothing to compute, 10 are there",
        "the cube was made with blocks of gain=1, seed=2 and keeps them; block is for a new one",
    ]
    spinsweep.run(HITS, tmp_path / "silent.zarr", progress=False)
    assert capfd.readouterr() == ("", "")


def test_notes_and_errors_name_arguments_and_no_options_of_the_command_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spinsweep.run(HITS, tmp_path / "c.zarr", progress=False)
    says = "use another store, or mark_stale=True to compute its cells again"
    with pytest.raises(CubeError, match=says):
        spinsweep.run(HITS.with_values(bad=[1]), tmp_path / "c.zarr")
    for text in ("--" + name.replace("_", "-") for name in Options.__annotations__):
        assert "--" not in in_python(f"use {text} or {text}.")
    assert (
        in_python("`spinsweep verify c.zarr --store x`; use --store")
        == "`spinsweep verify c.zarr --store x`; use store"
    )
    assert in_python("(--workers 0); run the same command again") == '(executor="serial"); call run again'


def test_the_silent_run_of_the_command_line_says_and_raises_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_silently(BAD, tmp_path / "c.zarr").counts.failed == 6
    assert capfd.readouterr() == ("", "")


def test_a_resource_that_no_worker_offers_is_said_with_what_is_offered(
    tmp_path: Path, client: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    class Said(Exception):
        pass

    def end_once_it_is_said(run: Any) -> None:
        said.append(capfd.readouterr().err)
        if "waiting for" in said[-1]:
            raise Said

    said: list[str] = []
    needy = dataclasses.replace(HITS, resources={"magnet": 1})
    with pytest.raises(Said):
        spinsweep.run(needy, tmp_path / "c.zarr", client=client, block=5, on_progress=end_once_it_is_said)
    assert said[-1].startswith("waiting for a worker with magnet=1 (the 2 workers offer cpu=1")


def test_a_terminal_shows_a_bar_that_goes_away(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT.replace("range(50)", "range(4)"))
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # what a terminal that is closed says
        while part := os.read(ours, 4096):
            shown += part
    os.close(ours)
    assert child.wait(60) == 0
    text = shown.decode()
    assert "slow: 4 cells to compute in 4 blocks" in text
    assert re.search(r"slow .*\d/4 blocks, \d/4 cells", text)
    assert "\x1b[2K" in text, "the line is taken away"
    assert "slow: 4 of 4 cells done (" in text.rstrip().splitlines()[-1]


# ---- Ctrl-C -------------------------------------------------------------------------------------------------------

SCRIPT = """
import sys, time
import spinsweep
from spinsweep import Axis, Output, Sweep, per_cell

@per_cell
def slow(cell):
    if cell["n"]:
        print("computing", flush=True)
        time.sleep(0.2)
    return {"y": 1}

SWEEP = Sweep("slow", "Slow", (Axis("n", tuple(range(50))),), (Output("y", dtype="int64"),), slow)
try:
    spinsweep.run(SWEEP, "c.zarr", block=1, on_failure="keep")
except KeyboardInterrupt as stopped:
    counts = stopped.result.counts
    assert 0 < counts.done < 50
    assert int(stopped.result.dataset.y.count()) == counts.done
    raise
print("went on")
"""


def test_ctrl_c_ends_a_script_after_the_blocks_in_hand_and_what_is_done_is_kept(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    child = subprocess.Popen(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        restore_signals=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "computing\n"
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=120)

    assert "went on" not in out
    assert child.returncode == -signal.SIGINT
    assert "of 50 cells done; what is done is in the cube, call run again to continue" in err.splitlines()[-1]
    assert Cube(tmp_path / "c.zarr").counts().done >= 1


# ---- what is no sweep, store or client ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "options", "says"),
    [
        ((hits, "c.zarr"), {}, r"computes a Sweep, not <function hits.*Sweep.from_function"),
        ((None, "c.zarr"), {}, "computes a Sweep, not None; give a Sweep"),
        ((HITS, None), {}, "store must be a folder or a URL, such as 'results/walk.zarr', not None"),
        ((HITS, ""), {}, "store must be a folder or a URL"),
        ((HITS, "c.zarr"), {"client": "tcp://127.0.0.1:8786"}, "client must be a dask.distributed.Client, not 'tcp"),
        ((HITS, "c.zarr"), {"on_failure": "ignore"}, 'on_failure must be "raise" or "keep", not \'ignore\''),
    ],
)
def test_arguments_that_cannot_be_are_one_line(
    arguments: Any, options: Any, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match=says) as caught:
        spinsweep.run(*arguments, **options)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_an_asynchronous_client_is_one_line(tmp_path: Path, client: Client) -> None:
    import asyncio

    async def refused() -> str:
        async with Client(client.scheduler.address, asynchronous=True, security=client.security) as other:
            with pytest.raises(SpecError) as caught:
                spinsweep.run(GRID, tmp_path / "c.zarr", client=other)
            return str(caught.value)

    assert asyncio.run(refused()) == (
        "spinsweep.run: the client is asynchronous; make it with Client(..., asynchronous=False)"
    )


def slow(x: float) -> float:
    time.sleep(0.3)
    return x


def test_the_time_that_a_run_says_counts_from_its_call(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    spinsweep.run(spinsweep.Sweep.from_function(slow, x=range(4)), tmp_path / "cube.zarr")
    seconds = time.monotonic() - began
    said = re.search(r"4 of 4 cells done \(([\d.]+) s\)", capfd.readouterr().err)
    assert said, "all cells may be done before the first report"
    assert 1 <= float(said[1]) <= seconds + 0.1, "four sleeps, and the rounding of what is said"
