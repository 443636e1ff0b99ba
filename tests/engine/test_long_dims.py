"""Inner dims of millions of values: arrays, not tuples; a digest stands for them in the definition."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import spinsweep
from spinsweep import Axis, Cell, CubeError, Dim, Output, SpecError, Sweep, per_cell
from spinsweep.cube import Cube, examine
from spinsweep.long_values import LONG, LongValues

TIMES = np.linspace(0.0, 1.0, LONG + 1)


@per_cell
def trace(cell: Cell) -> dict[str, Any]:
    return {"y": np.full(LONG + 1, cell["x"], np.uint8)}


def sweep(values: Any) -> Sweep:
    return Sweep(
        "trace", "", (Axis("x", (1, 2)),), (Output("y", ("t",), "uint8"),), trace, dims=(Dim("t", values=values),)
    )


@pytest.mark.parametrize("values", [TIMES, np.arange(LONG + 1)[::-1], np.arange(LONG + 1).astype("M8[us]")])
def test_a_long_dim_comes_back_from_the_cube_and_is_a_digest_in_its_definition(
    tmp_path: Path, values: np.ndarray[Any, Any]
) -> None:
    mine = sweep(values)
    spinsweep.run(mine, tmp_path / "c.zarr")

    np.testing.assert_array_equal(xr.open_zarr(tmp_path / "c.zarr").t.values, values)
    assert list(examine(tmp_path / "c.zarr")) == []
    assert len(json.dumps(mine.identity())) < 1000
    assert (tmp_path / "c.zarr" / "zarr.json").stat().st_size < 100_000
    with pytest.raises(CubeError, match="its dims"):
        spinsweep.run(sweep(values[::-1]), tmp_path / "c.zarr")
    grown = spinsweep.run(mine.with_values(x=[1, 2, 3]), tmp_path / "c.zarr")
    assert grown.counts.done == 3


def test_a_task_carries_the_digest_alone() -> None:
    mine = sweep(TIMES)
    lean = mine.with_one_value_an_axis()

    assert len(pickle.dumps(lean.dims)) < 1000
    assert lean.digest == mine.digest
    assert lean.output_shape(lean.outputs[0]) == (LONG + 1,)
    assert pickle.loads(pickle.dumps(mine.dims)) == mine.dims


def test_up_to_a_million_values_stand_in_the_definition_as_ever() -> None:
    assert sweep(TIMES[:3]).identity()["dims"] == [{"name": "t", "unit": "1", "values": TIMES[:3].tolist()}]
    assert isinstance(sweep(TIMES[:10]).dims[0].values, tuple)
    assert isinstance(sweep(TIMES.tolist()).dims[0].values, LongValues)


def test_a_cube_whose_definition_holds_all_values_is_not_different(tmp_path: Path) -> None:
    spinsweep.run(sweep(TIMES), tmp_path / "c.zarr")
    cube = Cube(tmp_path / "c.zarr")
    cube.definition = {**cube.definition, "dims": [{"name": "t", "unit": "1", "values": TIMES.tolist()}]}

    assert cube.differences(sweep(TIMES)) == []
    assert [name for name, _, _ in cube.differences(sweep(TIMES + 1))] == ["dims[t].values.sha256"]


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (7, np.nan, "dim 't': the value at 7 is not finite"),
        (7, np.inf, "dim 't': the value at 7 is not finite"),
        (7, 1.0, "dim 't' has the value 1.0 twice"),
    ],
)
def test_what_no_coordinate_can_be_is_refused(place: int, value: float, says: str) -> None:
    values = TIMES.copy()
    values[place] = value
    with pytest.raises(SpecError, match=says):
        Dim("t", values=values)


def test_what_the_caller_does_to_his_array_later_changes_nothing() -> None:
    values = TIMES.copy()
    dim = Dim("t", values=values)
    values[0] = 9

    assert dim == Dim("t", values=TIMES)


MEMORY = """
import resource
import numpy as np
from spinsweep import Axis, Dim, Output, Sweep
from spinsweep.cube import create

def sweep(dim):
    return Sweep("s", "", (Axis("x", (1,)),), (Output("y", ("t",), "bool"),), abs, dims=(dim,))

values = np.linspace(0.0, 1.0, 13_000_000)
create("small.zarr", sweep(Dim("t", 3)), (1,), {})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
create("large.zarr", sweep(Dim("t", values=values)), (1,), {})
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def test_thirteen_million_values_take_less_than_300_MB_beside_their_array(tmp_path: Path) -> None:
    out = subprocess.run([sys.executable, "-c", MEMORY], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert int(out.stdout) < 300e6
