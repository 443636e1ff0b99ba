"""A published sweep gets a parameter or an axis: at the neutral value its older cubes still grow."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from spinsweep.cube import execute
from spinsweep.errors import CubeError, SpecError
from spinsweep.evaluate import Cell, Cells
from spinsweep.outputs import Coordinate, Output
from spinsweep.parameters import Parameter
from spinsweep.provenance import Origin
from spinsweep.runs import open_run
from spinsweep.spec import Axis, Sweep, per_cell


@per_cell
def before(cell: Any) -> dict[str, Any]:
    """A noisy product, as it was published first."""
    noisy = cell["x"] * cell.params["gain"] + cell.rng("noise").normal()
    return {"y": noisy + cell.rng("of seed", ("seed",)).normal()}


@per_cell
def after(cell: Any) -> dict[str, Any]:
    """The same with an offset and a delay, which are 0 if nothing is said."""
    noisy = cell["x"] * cell.params["gain"] + cell.rng("noise").normal()
    noisy += cell.rng("of seed", ("seed", "delay")).normal()
    return {"y": noisy + cell.params["offset"] + cell["delay"]}


X, SEED = Axis("x", (1.0, 2.0)), Axis("seed", (0, 1))
GAIN = Parameter("gain", 2.0)
OFFSET = Parameter("offset", 0.0, neutral=0.0)
DELAY = Axis("delay", (0.0,), unit="s", neutral=0.0)
OUTPUT = Output("y")
OLD = Sweep("growing", "A sweep", (X, SEED), (OUTPUT,), before, parameters=(GAIN,))
NEW = Sweep("growing", "A sweep", (X, DELAY, SEED), (OUTPUT,), after, parameters=(GAIN, OFFSET))


def compute(sweep: Sweep, store: Path) -> xr.DataArray:
    with open_run(sweep, store, block=1) as run:
        run.begin()
        for task in run.tasks():
            run.note(execute(run.job, task))
        assert run.finish().failed == 0
    with xr.open_zarr(store) as cube:
        return cube["y"].load()


def test_at_neutral_values_the_identity_the_axes_and_the_cells_are_those_from_before() -> None:
    assert NEW.digest == OLD.digest
    assert NEW.axis_names == ("x", "seed")
    assert [a.name for a in NEW.every_axis] == ["x", "delay", "seed"]
    old, new = (Cell(s, {"x": 1.0, "seed": 1}) for s in (OLD, NEW))
    assert new["delay"] == 0.0
    assert new.rng().random() == old.rng().random()
    assert new.rng(axes=("x", "delay")).random() == old.rng(axes=("x",)).random()
    box = Cells(NEW, {"x": (1.0,), "seed": (0, 1)})
    assert (box.shape, box.coords["delay"].tolist()) == ((1, 2), [0.0])
    old_box = Cells(OLD, {"x": (1.0,), "seed": (0,)})
    assert box.rng("s", seed=1, delay=0.0).random() == old_box.rng("s", seed=1).random()
    kept = [Cell(s, {"x": 1.0, "seed": 1}, "cube").address for s in (OLD, NEW)]
    assert kept[0] == kept[1]  # the journal of a bench knows what it has measured


def test_a_cube_from_before_grows_with_the_new_sweep_and_keeps_its_cells(tmp_path: Path) -> None:
    first = compute(OLD, tmp_path / "cube.zarr")
    grown = compute(NEW.with_values(x=(1.0, 2.0, 3.0)), tmp_path / "cube.zarr")
    np.testing.assert_array_equal(grown.sel(x=[1.0, 2.0]), first)
    np.testing.assert_array_equal(grown, compute(OLD.with_values(x=(1.0, 2.0, 3.0)), tmp_path / "other.zarr"))
    assert grown.dims == ("x", "seed")


def test_another_value_of_the_parameter_is_another_definition(tmp_path: Path) -> None:
    shifted = NEW.with_values(offset=1.0)
    assert shifted.digest != OLD.digest
    compute(OLD, tmp_path / "cube.zarr")
    with pytest.raises(CubeError, match=r"parameters\.offset = null"):
        compute(shifted, tmp_path / "cube.zarr")


def test_a_cube_that_has_the_axis_holds_the_cells_from_before_at_its_neutral_value(tmp_path: Path) -> None:
    first = compute(OLD, tmp_path / "old.zarr")
    both = compute(NEW.with_values(delay=(0.0, 5.0)), tmp_path / "new.zarr")
    assert both.dims == ("x", "delay", "seed")
    np.testing.assert_array_equal(both.sel(delay=0.0), first)
    assert not np.array_equal(both.sel(delay=5.0) - 5.0, first)  # it has luck of its own
    with pytest.raises(CubeError, match="arrays"):
        compute(NEW.with_values(delay=(0.0, 5.0)), tmp_path / "old.zarr")


def test_a_cube_that_has_the_axis_also_grows_where_only_its_neutral_value_is_given(tmp_path: Path) -> None:
    compute(NEW.with_values(delay=(0.0, 5.0)), tmp_path / "cube.zarr")
    grown = compute(NEW.with_values(x=3.0), tmp_path / "cube.zarr")
    assert grown.sizes == {"x": 3, "delay": 2, "seed": 2}
    alone = compute(OLD.with_values(x=3.0), tmp_path / "old.zarr")
    np.testing.assert_array_equal(grown.sel(x=[3.0], delay=0.0), alone)
    assert grown.sel(x=3.0, delay=5.0).isnull().all()


def test_a_sweep_as_it_is_in_an_old_cube_has_neutral_values_whatever_its_defaults_are() -> None:
    published = dataclasses.replace(
        NEW,
        axes=(X, Axis("delay", (0.0, 1.0), neutral=0.0), SEED),
        neutral_axes={},
        parameters=(GAIN, Parameter("offset", 3.0, neutral=0.0)),
    )
    assert published.digest != OLD.digest
    old = published.as_in_cube(0, {"gain": 2.0}, {"x": (1.0,), "seed": (0,)})
    assert old.digest == OLD.digest
    assert old.params["offset"] == 0.0


def test_what_a_cube_cannot_lack_is_refused() -> None:
    with pytest.raises(SpecError, match="needs at least one axis"):
        Sweep("s", "t", (DELAY,), (OUTPUT,), after)
    with pytest.raises(SpecError, match="its axis 'delay' has a neutral value, so a cube may lack that axis"):
        dataclasses.replace(NEW, coordinates=(Coordinate("c", "delay", lambda values, params: values),))
    with pytest.raises(SpecError, match=r"axis 'x': 7 is out of range"):
        Axis("x", (1.0,), high=5.0, neutral=7.0)
    with pytest.raises(SpecError, match="parameter 'p' takes true or false"):
        Parameter("p", True, neutral=1)


def test_outputs_may_follow_from_a_parameter_and_axes_may_bring_their_own_unit_and_limits() -> None:
    def outputs(params: Any) -> tuple[Output, ...]:
        if params["kind"] == "none":
            raise ValueError("kind 'none' gives no output")
        return (Output(f"y_{params['kind']}", unit=params["kind"]),)

    def sizes(kind: str) -> dict[str, Axis]:
        return {"x": Axis("x", (50.0, 100.0), unit="nm", low=1, high=1000)} if kind == "nm" else {"x": X}

    kinds = Parameter("kind", "um", axes=sizes)
    sweep = Sweep("s", "t", (X,), (), before, parameters=(kinds,), outputs_of=outputs)
    assert [o.name for o in sweep.outputs] == ["y_um"]
    other = sweep.with_text({"x": "500", "kind": "nm"})
    assert [o.name for o in other.outputs] == ["y_nm"]
    assert (other.axis("x").unit, other.axis("x").values) == ("nm", (500.0,))
    assert other.with_values(kind="um").axis("x") == X
    with pytest.raises(SpecError, match="sweep 's': kind 'none' gives no output"):
        sweep.with_values(kind="none")
    with pytest.raises(SpecError, match=r"axis 'x': 5000 is out of range; it takes numbers from 1 to 1000 nm"):
        sweep.with_values(kind="nm", x=5000)


class Doubled:
    """What a plug-in does."""

    def apply(self, value: float) -> float:
        return 2 * value


class Tripled:
    def apply(self, value: float) -> float:
        return 3 * value


def test_code_that_a_parameter_names_counts_as_the_sweep_s_own() -> None:
    plug_ins = {"doubled": Doubled, "tripled": Tripled}
    choice = Parameter("plug_in", "doubled", code=plug_ins.__getitem__)
    sweep = dataclasses.replace(OLD, parameters=(GAIN, choice))
    parts = Origin.of(sweep).code.parts
    assert any(name.endswith(":Doubled.apply") or name.endswith(":Doubled") for name in parts)
    assert not any("Tripled" in name for name in parts)
    assert Origin.of(sweep).number != Origin.of(sweep.with_values(plug_in="tripled")).number != Origin.of(OLD).number
