"""Sweeps that rest on cubes of other sweeps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from spinsweep import Axis, CubeError, Input, Output, SpecError, Sweep, open_cube, per_cell, run
from spinsweep.cli import main
from spinsweep.cube import Cube

CHAIN = """
from spinsweep import Axis, Input, Output, Sweep, per_cell

@per_cell
def measure(cell):
    return {"bias": cell["width"] * 10 + cell["device"], "spread": 0.1}

DEVICES = Sweep(
    name="devices", title="Devices", axes=(Axis("width", (1.0, 2.0)), Axis("device", (0, 1))),
    outputs=(Output("bias", unit="A"), Output("spread")), function=measure,
)

@per_cell
def train(cell):
    bias = cell.params["devices"].bias.sel(width=cell["width"])
    return {"error": float(bias.sum()) + cell["x"], "devices_seen": bias.size}

NETWORK = Sweep(
    name="network", title="Network", axes=(Axis("width", (1.0, 2.0)), Axis("x", (0, 1, 2))),
    outputs=(Output("error"), Output("devices_seen", dtype="int64")),
    parameters=(Input("devices", sweep="chain.py:DEVICES", outputs=("bias",)),), function=train,
)
"""


@per_cell
def measured(cell: Any) -> dict[str, float]:
    return {"bias": cell["width"] * 10 + cell["device"] + cell.params["offset"]}


def devices(offset: float = 0.0) -> Sweep:
    from spinsweep import Parameter

    return Sweep(
        name="devices", title="Devices", axes=(Axis("width", (1.0, 2.0)), Axis("device", (0, 1))),
        outputs=(Output("bias"),), function=measured, parameters=(Parameter("offset", offset),),
    )  # fmt: skip


@per_cell
def summed(cell: Any) -> dict[str, float]:
    return {"total": float(cell.params["devices"].bias.sum()) * cell["x"]}


NETWORK = Sweep(
    name="network", title="Network", axes=(Axis("x", (1, 2)),), outputs=(Output("total"),), function=summed,
    parameters=(Input("devices"),),
)  # fmt: skip


def spinsweep(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "spinsweep.cli", *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
def test_one_command_runs_what_is_missing_upstream_and_then_the_sweep_on_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "chain.py").write_text(CHAIN)
    assert main(["run", "chain.py:NETWORK", "--workers", "0"]) == 2
    assert "needs the input 'devices', and there is no results/devices.zarr" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()

    done = spinsweep("run", "chain.py:NETWORK", "--with-inputs", "--workers", 1, "--executor", "processes",
                     cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "input devices: running chain.py:DEVICES into results/devices.zarr" in done.stderr
    cube = xr.open_zarr(tmp_path / "results" / "network.zarr")
    np.testing.assert_array_equal(cube.error, [[21, 22, 23], [41, 42, 43]])
    assert json.loads(cube.attrs["parameters"])["devices"]["coords"] == {"width": [1.0, 2.0], "device": [0, 1]}

    assert main(["plan", "chain.py:NETWORK"]) == 0
    assert "devices: results/devices.zarr, 2 width × 2 device" in capsys.readouterr().out
    assert main(["cell", "results/network.zarr", "width=2", "x=1", "--sweep", "chain.py:NETWORK"]) == 0
    assert "same" in capsys.readouterr().out


def test_an_input_that_grows_makes_nothing_stale_and_changes_no_later_cell(tmp_path: Path) -> None:
    run(devices(), tmp_path / "devices.zarr")
    sweep = NETWORK.with_values(devices=tmp_path / "devices.zarr")
    run(sweep, tmp_path / "c.zarr")
    run(devices().with_values(device=range(5)), tmp_path / "devices.zarr")

    grown = run(NETWORK.with_values(devices=tmp_path / "devices.zarr", x=[1, 2, 3]), tmp_path / "c.zarr")

    assert grown.counts.stale == 0
    np.testing.assert_array_equal(open_cube(tmp_path / "c.zarr").total, [62.0, 124.0, 186.0])


def test_an_input_may_move(tmp_path: Path) -> None:
    run(devices(), tmp_path / "devices.zarr")
    run(NETWORK.with_values(devices=tmp_path / "devices.zarr"), tmp_path / "c.zarr")
    (tmp_path / "devices.zarr").rename(tmp_path / "moved.zarr")

    done = run(NETWORK.with_values(devices=tmp_path / "moved.zarr", x=[1, 2, 3]), tmp_path / "c.zarr")

    assert done.complete
    assert Cube(tmp_path / "c.zarr").attributes.params["devices"]["store"] == str(tmp_path / "moved.zarr")


def test_other_values_of_an_input_are_another_definition(tmp_path: Path) -> None:
    run(devices(), tmp_path / "devices.zarr")
    run(NETWORK.with_values(devices=tmp_path / "devices.zarr"), tmp_path / "c.zarr")
    run(devices(offset=1.0), tmp_path / "devices.zarr", mark_stale=True)
    changed = NETWORK.with_values(devices=tmp_path / "devices.zarr")

    with pytest.raises(CubeError, match=r"was made with parameters\.devices"):
        run(changed, tmp_path / "c.zarr")
    again = run(changed, tmp_path / "c.zarr", mark_stale=True)

    assert again.complete
    np.testing.assert_array_equal(open_cube(tmp_path / "c.zarr").total, [66.0, 132.0])


def test_a_cell_never_gets_other_values_than_the_run_began_with(tmp_path: Path) -> None:
    run(devices(), tmp_path / "devices.zarr")
    sweep = NETWORK.with_values(devices=tmp_path / "devices.zarr")
    run(devices(offset=1.0), tmp_path / "devices.zarr", mark_stale=True)

    with pytest.raises(CubeError, match="has other values than when the run began"):
        _ = sweep.cell_params


def test_a_cube_that_is_not_complete_is_no_input(tmp_path: Path) -> None:
    run(devices(), tmp_path / "devices.zarr")
    cube = Cube(tmp_path / "devices.zarr")
    cube.mark_stale(devices(), np.array([[True, False], [False, False]]))

    with pytest.raises(SpecError, match="1 of 4 cells are not done; finish it with `spinsweep run devices"):
        NETWORK.with_values(devices=tmp_path / "devices.zarr")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("nothing.zarr", "is not a cube"),
        (3, "takes the folder or URL of a cube, not 3"),
        ({"store": "x"}, "takes the folder or URL of a cube"),
    ],
)
def test_what_is_no_cube_is_refused_in_one_line(value: Any, said: str) -> None:
    with pytest.raises(SpecError, match=said) as caught:
        NETWORK.with_values(devices=value)
    assert "\n" not in str(caught.value)


def test_an_output_that_the_input_lacks_is_named_with_the_nearest(tmp_path: Path) -> None:
    run(devices(), tmp_path / "devices.zarr")

    with pytest.raises(SpecError, match=r"has no output 'bies' \(did you mean 'bias'\?\)"):
        Input("devices", outputs=("bies",)).check(tmp_path / "devices.zarr")


def test_a_sweep_without_its_input_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="lacks the input 'devices'"):
        run(NETWORK, tmp_path / "c.zarr")
    assert not (tmp_path / "c.zarr").exists()


def test_sweeps_that_rest_on_each_other_are_refused(tmp_path: Path) -> None:
    loop = CHAIN + (
        "\nfrom dataclasses import replace"
        "\nA = replace(NETWORK, name='a', parameters=(Input('b', sweep='chain.py:B'),))"
        "\nB = replace(NETWORK, name='b', parameters=(Input('a', sweep='chain.py:A'),))\n"
    )
    (tmp_path / "chain.py").write_text(loop)

    said = spinsweep("run", "chain.py:A", "--with-inputs", "--workers", 0, cwd=tmp_path)

    assert said.returncode == 2
    assert "sweep 'a' is an input of itself: a -> b -> a" in said.stderr
