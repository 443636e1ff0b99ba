"""Stages: work that cells share beyond a block, computed once for each combination of values of some axes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from staged_cells import SWEEP, infer, train

from spinsweep import SpecError, Stage, Sweep, open_cube, per_cell, run
from spinsweep.cube import Cube


def logged(path: Path) -> list[str]:
    return sorted(path.read_text().split()) if path.exists() else []


def test_a_stage_is_computed_once_for_each_value_and_by_one_of_all_processes(tmp_path: Path) -> None:
    log = tmp_path / "log"
    sweep = SWEEP.with_values(log=str(log))

    run(sweep, tmp_path / "c.zarr", workers=2, block=1)
    run(sweep.with_values(noise=[0.0, 1.0, 2.0, 3.0]), tmp_path / "c.zarr", workers=1, executor="processes")

    assert logged(log) == ["0", "1", "2"]
    assert len(list((tmp_path / "c.zarr.stages" / "network").glob("*.npz"))) == 3


def test_numbers_do_not_depend_on_who_computed_a_stage(tmp_path: Path) -> None:
    run(SWEEP, tmp_path / "a.zarr", block=9)
    run(SWEEP, tmp_path / "b.zarr", block=1)
    run(SWEEP, "memory://c.zarr")

    a, b, c = (open_cube(store).y.values for store in (tmp_path / "a.zarr", tmp_path / "b.zarr", "memory://c.zarr"))
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(a, c)
    np.testing.assert_allclose(a[1] - a[0], 1.0)
    assert len(set(a[0])) == 3


def test_other_parameters_and_other_code_have_results_of_their_own(tmp_path: Path) -> None:
    log = tmp_path / "log"
    run(SWEEP.with_values(log=str(log)), tmp_path / "c.zarr")
    run(SWEEP.with_values(log=str(log), scale=3.0), tmp_path / "c.zarr", mark_stale=True)

    assert logged(log) == ["0", "0", "1", "1", "2", "2"]
    whole = open_cube(tmp_path / "c.zarr").y.values
    run(SWEEP.with_values(scale=3.0), tmp_path / "fresh.zarr")
    np.testing.assert_array_equal(whole, open_cube(tmp_path / "fresh.zarr").y.values)


def test_the_code_of_a_stage_belongs_to_the_code_of_its_sweep() -> None:
    from spinsweep.provenance import Origin

    assert any("train" in name for name in Origin.of(SWEEP).record.parts)


def test_a_file_that_is_damaged_or_gone_is_made_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    sweep = SWEEP.with_values(log=str(log))
    run(sweep, tmp_path / "c.zarr", workers=1)
    first, second, third = sorted((tmp_path / "c.zarr.stages" / "network").glob("*.npz"))
    first.unlink()
    second.write_bytes(second.read_bytes()[:100])
    third.write_bytes(b"")

    run(sweep.with_values(noise=[5.0]), tmp_path / "c.zarr", workers=1)

    assert logged(log) == ["0", "0", "1", "1", "2", "2"]
    assert Cube(tmp_path / "c.zarr").counts().done == 12


@pytest.mark.faults
def test_whoever_waits_for_a_stage_computes_it_when_the_one_that_did_is_killed(tmp_path: Path) -> None:
    script = f"""
import sys, time
from pathlib import Path
from spinsweep.cube.stage_files import StageFiles
from spinsweep.cube.stores import open_storage
def compute():
    print("computing", flush=True)
    time.sleep(float(sys.argv[1]))
    return {{}}
StageFiles(open_storage({str(tmp_path / "s")!r}), 1)("network", "x", compute)
print("there", flush=True)
"""
    command = [sys.executable, "-c", script]
    with subprocess.Popen([*command, "600"], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "computing\n"
        with subprocess.Popen([*command, "0"], stdout=subprocess.PIPE, text=True) as second:
            time.sleep(0.5)
            assert second.poll() is None
            os.kill(first.pid, signal.SIGKILL)
            assert second.communicate(timeout=60)[0] == "computing\nthere\n"


def changes_it(cell: Any) -> dict[str, float]:
    cell.stage("network")["weights"][0] = 0.0
    return {"y": 0.0}


def needs_noise(cell: Any) -> dict[str, Any]:
    return {"weights": cell["noise"]}


def returns_a_list(cell: Any) -> Any:
    return [1.0]


def returns_objects(cell: Any) -> Any:
    return {"net": object()}


@pytest.mark.parametrize(
    ("stage", "function", "said"),
    [
        (train, changes_it, "read-only"),
        (needs_noise, infer, "there is no axis 'noise'; there are seed"),
        (returns_a_list, infer, "stage 'network' returned [1.0], not a mapping of name to array"),
        (returns_objects, infer, "stage 'network': 'net' is of type object, not numbers or texts"),
    ],
)
def test_a_stage_that_is_wrong_fails_the_cells_that_ask_for_it(
    tmp_path: Path, stage: Any, function: Any, said: str
) -> None:
    sweep = Sweep(
        name="wrong", title="", axes=SWEEP.axes, outputs=SWEEP.outputs, function=per_cell(function),
        stages=(Stage("network", stage, axes=("seed",)),), parameters=SWEEP.parameters,
    )  # fmt: skip
    run(sweep, tmp_path / "c.zarr", on_failure="keep")
    failures = list(Cube(tmp_path / "c.zarr").failures())
    assert len(failures) == 9
    assert said in failures[0].error.message


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        (
            (Stage("network", train, axes=("sed",)),),
            r"names 'sed', which is not an axis of 'nets' \(did you mean 'seed'\?\)",
        ),
        ((Stage("a", train), Stage("a", train)), "stage 'a' is there twice; names must be unique"),
    ],
)
def test_a_stage_of_unknown_axes_is_refused(stages: tuple[Stage, ...], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        Sweep(name="nets", title="", axes=SWEEP.axes, outputs=SWEEP.outputs, function=infer, stages=stages)


def test_a_stage_that_is_not_there_is_named_with_those_that_are() -> None:
    from spinsweep.evaluate import Cell

    with pytest.raises(KeyError, match=r"there is no stage 'net' \(did you mean 'network'\?\); there are network"):
        Cell(SWEEP, {"noise": 0.0, "seed": 1}).stage("net")
