"""``spinsweep.run``: the same cube whatever computes it, and what it returns."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from distributed import Client
from examples import GRID, LOGGED

import spinsweep
from spinsweep import Axis, Cells, Output, SpecError, Sweep
from spinsweep.resources import THREAD_SETTINGS


def threads(cells: Cells) -> dict[str, Any]:
    return {"threads": [sum(int(os.environ.get(name, "99")) for name in THREAD_SETTINGS)] * len(cells.coords["x"])}


THREADS = Sweep("threads", "Threads of a worker", (Axis("x", (1, 2)),), (Output("threads", dtype="int64"),), threads)


def test_serial_processes_and_dask_give_the_same_bits(tmp_path: Path, client: Client) -> None:
    cubes = []
    for name, options in {
        "serial": {},
        "processes": {"executor": "processes", "workers": 2},
        "dask": {"client": client},
    }.items():
        result = spinsweep.run(GRID, tmp_path / f"{name}.zarr", block=9, **options)  # type: ignore[arg-type]
        assert result.complete
        assert result.outcome == "complete"
        cubes.append(result.dataset.load())
        assert sum(len(run.workers or ()) > 0 for run in result.cube.runs()) == 1
    keep = ["sum", "noise", "cell_state", "cell_attempt", "cell_error", "cell_code"]
    for other in cubes[1:]:
        xr.testing.assert_identical(other[keep].drop_attrs(), cubes[0][keep].drop_attrs())


def test_workers_alone_mean_processes_of_this_machine_which_use_one_thread_each(tmp_path: Path) -> None:
    result = spinsweep.run(THREADS, tmp_path / "t.zarr", workers=8, block=2)

    assert (result.dataset.threads == len(THREAD_SETTINGS)).all()
    assert result.notes[-1] == "on 1 process of this machine", "there is one block"
    assert [worker.address.split()[0] for worker in result.cube.runs()[-1].workers or ()] == ["process"]


def test_what_failed_is_in_the_result_and_a_second_run_has_nothing_to_do(tmp_path: Path, log: Path) -> None:
    (log / "broken").write_text("first")
    sweep = LOGGED.with_values(log=str(log), bad=0.4)
    result = spinsweep.run(sweep, tmp_path / "c.zarr", block=20, on_failure="keep")

    assert (result.outcome, result.complete, result.counts.failed) == ("failed cells", False, 1)
    assert [failure.coords for failure in result.failures] == [{"x": 0.4, "seed": 1}]
    assert str(result) == f"{tmp_path / 'c.zarr'}: failed cells, 99 of 100 cells done, 1 failed"
    assert spinsweep.run(sweep, tmp_path / "c.zarr", on_failure="keep").counts == result.counts


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"executor": "serial", "workers": 2}, 'executor "serial" computes in this process'),
        ({"executor": "processes", "workers": 0}, "0 workers cannot compute"),
        ({"executor": "proceses"}, "there is no executor 'proceses' (did you mean 'processes'?)"),
    ],
)
def test_what_does_not_go_together_is_one_line(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as error:
        spinsweep.run(GRID, tmp_path / "c.zarr", **options)
    assert message in str(error.value)
    assert not (tmp_path / "c.zarr").exists()


def test_a_client_brings_its_own_workers(tmp_path: Path, client: Client) -> None:
    with pytest.raises(SpecError, match="a client has its workers"):
        spinsweep.run(GRID, tmp_path / "c.zarr", client=client, workers=3)


def test_a_sweep_that_needs_a_resource_is_not_for_processes(tmp_path: Path) -> None:
    needy = dataclasses.replace(GRID, resources={"bench": 1})
    with pytest.raises(SpecError, match="sweep 'grid' needs bench: give it Dask workers"):
        spinsweep.run(needy, tmp_path / "c.zarr", executor="processes", block=24)
    assert not (tmp_path / "c.zarr").exists()


SCRIPT = """
import spinsweep
from spinsweep import Axis, Output, Sweep, per_cell

@per_cell
def one(cell):
    return {"y": float(cell["n"])}

SWEEP = Sweep("script", "Of a script", (Axis("n", (0, 1, 2)),), (Output("y"),), one)
"""


@pytest.mark.parametrize("guarded", [True, False])
def test_a_script_may_define_its_sweep_and_without_the_usual_guard_it_is_told_what_is_missing(
    tmp_path: Path, guarded: bool
) -> None:
    guard = 'if __name__ == "__main__":\n    ' if guarded else ""
    last = "print(spinsweep.run(SWEEP, 'c.zarr', block=1, executor='processes', workers=2))\n"
    (tmp_path / "script.py").write_text(f"{SCRIPT}\n{guard}{last}")
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    if guarded:
        assert done.stdout.endswith("c.zarr: complete, 3 of 3 cells done\n"), done.stderr
    else:
        assert done.returncode == 1
        assert 'it under `if __name__ == "__main__":`' in done.stderr.splitlines()[-1]
