"""A cube is made to fit its sweep as it is now: cells keep their numbers, and new cells draw what they would have."""

from __future__ import annotations

import dataclasses
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import spinsweep
from spinsweep import Axis, Cell, Coordinate, CubeError, Dim, Output, Parameter, SpecError, State, Sweep, per_cell
from spinsweep.cli import main
from spinsweep.cube import Cube, examine
from spinsweep.cube.rewriting import rewrite
from spinsweep.executors.driver import drive
from spinsweep.executors.serial import serial
from spinsweep.runs import open_run
from spinsweep.runs.migration import plan_migration


def numbers(cell: Cell, width: str, seed: str) -> tuple[float, Any]:
    if cell[seed] == 3:
        raise ValueError("no seed of that number")
    shared = cell.rng("chip", (seed,)).random()
    return cell[width] + shared + cell.rng().random(), cell.rng("trace").normal(size=2)


@per_cell
def old_function(cell: Cell) -> dict[str, Any]:
    y, trace = numbers(cell, "w", "seed")
    return {"y": y, "trace": trace}


@per_cell
def new_function(cell: Cell) -> dict[str, Any]:
    y, trace = numbers(cell, "width", "seed")
    return {"trace": trace, "current": y + cell["delay"] + cell.params["offset"]}


W, SEED, T = Axis("w", (1.0, 2.0, 4.0), "m"), Axis("seed", (0, 1, 2, 3)), Dim("t", 2)
OLD = Sweep(
    name="bars",
    title="Bars",
    axes=(W, SEED),
    dims=(T,),
    outputs=(Output("y", unit="A"), Output("trace", ("t",), "float32")),
    parameters=(Parameter("gain", 2.0),),
    function=old_function,
)
NEW = Sweep(
    name="bars",
    title="Bars, later",
    axes=(
        Axis("width", (1.0, 2.0, 4.0), "um", "bar width", formerly="w"),
        Axis("delay", (0.0, 0.5), "s", neutral=0.0),
        SEED,
    ),
    dims=(dataclasses.replace(T, unit="s", long_name="time"),),
    outputs=(
        Output("trace", ("t",), "float32", attrs={"flag": [1, 2]}),
        Output("current", unit="mA", long_name="write current", formerly="y"),
    ),
    parameters=(Parameter("gain", 2.0), Parameter("offset", 1.0)),
    coordinates=(Coordinate("area", "width", lambda w, _: w * w, "um^2"),),
    function=new_function,
)
"""The same bars: an axis and an output renamed, an axis, a parameter and a coordinate more, units corrected."""


def compute(sweep: Sweep, path: Path, block: int | Mapping[str, int] = 2, **options: Any) -> Path:
    with open_run(sweep, path, block=block, **options) as run:
        drive(run, serial)
    return path


def migrate(path: Path, sweep: Sweep = NEW, **options: Any) -> tuple[str, ...]:
    cube = Cube(path)
    options.setdefault("parameters", {"offset": "0"} if any(p.name == "offset" for p in sweep.parameters) else {})
    plan = plan_migration(cube, sweep, **options)
    rewrite(cube, plan)
    assert list(examine(path)) == []
    assert plan_migration(Cube(path), sweep).steps == ()
    return plan.steps


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compute(OLD, tmp_path_factory.mktemp("cubes") / "bars.zarr")


@pytest.fixture
def old(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "bars.zarr"))


def test_everything_at_once_keeps_the_numbers_and_the_streams(old: Path, tmp_path: Path) -> None:
    before = xr.open_zarr(old).load()
    steps = migrate(old)
    after = xr.open_zarr(old).load()

    assert after.current.dims == ("width", "delay", "seed")
    np.testing.assert_array_equal(after.current[:, 0], before.y)
    np.testing.assert_array_equal(after.trace[:, 0], before.trace)
    for name in ("cell_state", "cell_attempt", "cell_duration", "cell_error", "cell_code"):
        np.testing.assert_array_equal(after[name][:, 0], before[name])
    assert after.area.values.tolist() == [1.0, 4.0, 16.0]
    assert (after.current.attrs["units"], after.width.attrs["long_name"]) == ("mA", "bar width")
    assert Cube(old).runs() == [run for run in Cube(old).runs() if run.outcome == "failed cells"]
    assert next(iter(Cube(old).failures())).error.message == "no seed of that number"
    assert [line.partition("migrated: ")[2] for line in after.attrs["history"].splitlines()] == list(steps)
    assert after.attrs["cube_id"] != before.attrs["cube_id"]

    grown = NEW.with_values(offset=0.0, width=(1.0, 2.0, 4.0, 8.0), delay=(0.0, 0.5))
    compute(grown, old)
    wider = xr.open_zarr(compute(OLD.with_values(w=(8.0,)), tmp_path / "wide.zarr")).load()
    fresh = xr.open_zarr(compute(grown, tmp_path / "fresh.zarr", block=5)).load()
    now = xr.open_zarr(old).load()
    np.testing.assert_array_equal(now.current.sel(width=8.0, delay=0.0), wider.y.sel(w=8.0))
    for name in ("current", "trace", "cell_state", "cell_attempt"):
        np.testing.assert_array_equal(now[name], fresh[name])
    assert Cube(old).attributes.digest == Cube(tmp_path / "fresh.zarr").attributes.digest


def test_the_steps_are_said_one_by_one(old: Path) -> None:
    assert migrate(old, drop={"seed": "2"}) == (
        "parameter offset is added, and is 0.0",
        "axis w is called width",
        "axis delay is added; the cells are at delay=0",
        "output y is called current",
        "unit of axis width: 'm' becomes 'um', and the numbers stay",
        "long name of axis width: '' becomes 'bar width'",
        "attribute flag of output trace: None becomes [1, 2]",
        "unit of output current: 'A' becomes 'mA', and the numbers stay",
        "long name of output current: '' becomes 'write current'",
        "unit of dim t: '1' becomes 's', and the numbers stay",
        "long name of dim t: '' becomes 'time'",
        "coordinate area is added",
        "the outputs stand in another order",
        "seed=2 is dropped with 3 cells, 3 of them done",
    )


def test_dropped_values_are_gone_and_come_back_with_the_same_numbers(old: Path) -> None:
    before = xr.open_zarr(old).load()
    steps = migrate(old, OLD, drop={"seed": "0,3", "w": "2"})
    after = xr.open_zarr(old).load()

    assert steps == (
        "w=2 is dropped with 4 cells, 3 of them done",
        "seed=0,3 is dropped with 6 cells, 3 of them done",
    )
    assert (after.w.values.tolist(), after.seed.values.tolist()) == ([1.0, 4.0], [1, 2])
    np.testing.assert_array_equal(after.y, before.y.sel(w=after.w, seed=after.seed))
    assert spinsweep.CubeView(after).done.all()
    compute(OLD, old)
    xr.testing.assert_equal(xr.open_zarr(old).y.load().sel(before.y.coords), before.y)


def test_an_axis_that_the_sweep_has_at_its_neutral_value_is_added_when_that_is_wanted(old: Path) -> None:
    later = dataclasses.replace(OLD, axes=(W, SEED, Axis("delay", (0.0,), "s", neutral=0.0)), function=with_delay)
    assert plan_migration(Cube(old), later).steps == ()
    before = xr.open_zarr(old).y.load()

    assert migrate(old, later, add_axes=["delay"]) == ("axis delay is added; the cells are at delay=0",)
    compute(later.with_values(delay=(0.0, 1.0)), old)
    y = xr.open_zarr(old).y.load()
    np.testing.assert_array_equal(y.sel(delay=0.0), before)
    assert (y.sel(delay=1.0) != y.sel(delay=0.0)).all()


@per_cell
def with_delay(cell: Cell) -> dict[str, Any]:
    y, trace = numbers(cell, "w", "seed")
    return {"y": y + cell["delay"], "trace": trace}


def test_outputs_that_follow_from_a_parameter_are_those_of_the_cube(tmp_path: Path) -> None:
    follows = dataclasses.replace(OLD, outputs_of=more_outputs, function=with_more)
    store = compute(follows.with_values(gain=3.0), tmp_path / "more.zarr")
    assert plan_migration(Cube(store), follows).steps == ()
    assert migrate(store, follows, drop={"seed": "1"}) == ("seed=1 is dropped with 3 cells, 3 of them done",)
    assert set(Cube(store).output_names) == {"y", "trace", "more"}


def more_outputs(params: Mapping[str, Any]) -> tuple[Output, ...]:
    return (*OLD.outputs, Output("more")) if params["gain"] > 2 else OLD.outputs


@per_cell
def with_more(cell: Cell) -> dict[str, Any]:
    y, trace = numbers(cell, "w", "seed")
    return {"y": y, "trace": trace, "more": y}


def test_a_former_name_addresses_the_streams_and_is_part_of_the_identity() -> None:
    renamed = dataclasses.replace(OLD, axes=(dataclasses.replace(W, name="width", formerly="w"), SEED))
    plain = dataclasses.replace(OLD, axes=(dataclasses.replace(W, name="width"), SEED))
    draws = [
        Cell(sweep, {name: 1.0, "seed": 1}).rng("a").random()
        for sweep, name in ((OLD, "w"), (renamed, "width"), (plain, "width"))
    ]
    assert draws[0] == draws[1] != draws[2]
    assert len({OLD.digest, renamed.digest, plain.digest}) == 3
    assert renamed.identity()["axes"][0] == {"name": "width", "unit": "m", "kind": "float", "formerly": "w"}
    assert "formerly" not in str(OLD.identity())
    named = dataclasses.replace(OLD, outputs=(dataclasses.replace(OLD.outputs[0], formerly="z"), OLD.outputs[1]))
    assert named.digest == OLD.digest
    twice = (dataclasses.replace(W, name="width", formerly="w"), Axis("w", (1.0,)), SEED)
    for axes in (twice, (dataclasses.replace(W, formerly="seed"), SEED)):
        with pytest.raises(SpecError, match="is called like the"):
            dataclasses.replace(OLD, axes=axes)
    for wrong in ("w", "no name"):
        with pytest.raises(SpecError, match="is not another name"):
            dataclasses.replace(W, formerly=wrong)


def changed(**fields: Any) -> Sweep:
    return dataclasses.replace(OLD, **fields)


Y, TRACE = OLD.outputs
REFUSED: dict[str, tuple[Sweep, dict[str, Any]]] = {
    "the sweep has no axis 'w'; if that has another name now": (changed(axes=(Axis("v", (1.0,)), SEED)), {}),
    "in the order w, seed": (changed(axes=(SEED, W)), {}),
    "the axis 'b' is new; say in the sweep at which value": (changed(axes=(W, SEED, Axis("b", (1.0,)))), {}),
    r"dims.*and now it is \[\{'name': 't'": (
        changed(dims=(T, Dim("u", 2)), outputs=(Y, Output("trace", ("u",)))),
        {},
    ),
    "its output 'trace' is not one of the sweep any more": (changed(outputs=(Y,)), {}),
    r"outputs\[y\].dtype is 'float64', and now it is 'float32'": (
        changed(outputs=(dataclasses.replace(Y, dtype="float32"), TRACE)),
        {},
    ),
    "version is '1', and now it is '2', which gives other numbers": (changed(version="2"), {}),
    "dims.*and now": (changed(dims=(Dim("t", 3),)), {}),
    "of the sweep bars, whose name addresses its random streams": (changed(name="rods"), {}),
    "its parameter 'gain', which is 2.0, is not one of the sweep": (changed(parameters=()), {}),
    "the parameter 'offset' is new; say which value gives the old numbers": (
        changed(parameters=(*OLD.parameters, Parameter("offset", 0.0))),
        {},
    ),
    "--add-parameter gain: the cube has it, as 2.0": (OLD, {"parameters": {"gain": "3"}}),
    "--add-parameter gian: the sweep has no such": (OLD, {"parameters": {"gian": "3"}}),
    "--add-parameter late: the sweep says that 0.0 is neutral": (
        changed(parameters=(*OLD.parameters, Parameter("late", 1.0, neutral=0.0))),
        {"parameters": {"late": "1"}},
    ),
    "--drop sede: the cube has no such axis": (OLD, {"drop": {"sede": "1"}}),
    "--drop seed: the cube has no value 9": (OLD, {"drop": {"seed": "9"}}),
    "--drop w: no value would be left": (OLD, {"drop": {"w": "1,2,4"}}),
    "--add-axis w: the cube has this axis": (OLD, {"add_axes": ["w"]}),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_would_give_other_numbers_or_cannot_be_is_refused(made: Path, message: str) -> None:
    sweep, options = REFUSED[message]
    with pytest.raises((CubeError, SpecError), match=message) as refused:
        plan_migration(Cube(made), sweep, **options)
    assert "\n" not in str(refused.value)


def test_cubes_that_hold_readings_are_refused(tmp_path: Path) -> None:
    for name, attrs in {"bench": {"measured_on": "b"}, "log": {"imported_from": "l.csv"}}.items():
        cube = Cube(compute(OLD, tmp_path / name, attrs=attrs))
        with pytest.raises(CubeError, match="knows its cells by this cube"):
            plan_migration(cube, OLD, drop={"seed": "1"})


def test_what_others_put_into_a_cube_stays_or_stops_the_migration(old: Path) -> None:
    group = zarr.open_group(old, mode="r+")
    group.create_array("mine", data=np.arange(3.0), dimension_names=["w"])
    group.create_array("table", data=np.arange(5), dimension_names=["row"])
    group.attrs["remark"] = "do not lose this"

    with pytest.raises(CubeError, match="has the array mine of another program along w"):
        migrate(old, OLD, drop={"w": "1"})
    migrate(old, OLD, drop={"seed": "1"})
    after = zarr.open_group(old, mode="r")
    assert (after["mine"][:].tolist(), after["table"][:].tolist()) == ([0.0, 1.0, 2.0], [0, 1, 2, 3, 4])
    assert after.attrs["remark"] == "do not lose this"


def test_a_damaged_cube_and_one_that_is_written_stay_as_they_are(old: Path) -> None:
    plan = plan_migration(Cube(old), OLD, drop={"seed": "3"})
    with Cube(old).write_guard.hold_driver_lock(), pytest.raises(CubeError, match="being written"):
        rewrite(Cube(old), plan)
    (old / "y/c/0/0").unlink()
    with pytest.raises(CubeError, match="damaged"):
        rewrite(Cube(old), plan)
    assert Cube(old).shape == (3, 4)
    assert [p.name for p in old.parent.iterdir()] == ["bars.zarr"]


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from spinsweep import disk
from spinsweep.cube import Cube, local
from tests.engine.test_migrate import NEW, plan_migration, rewrite
left = [int(sys.argv[2])]
def counted(function):
    def call(*arguments, **options):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return call
local.write_whole, local.exchange = counted(local.write_whole), counted(local.exchange)
local.sync_folder = counted(local.sync_folder)
cube = Cube(sys.argv[1])
rewrite(cube, plan_migration(cube, NEW, {"offset": "0"}))
print(left[0])
"""


def killed(store: Path, after: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", KILLED, str(store), str(after), str(Path(__file__).parents[2])]
    return subprocess.run(command, check=False, timeout=120, capture_output=True, text=True)


def test_a_kill_leaves_the_old_cube_or_the_new_one(made: Path, tmp_path: Path) -> None:
    whole = killed(Path(shutil.copytree(made, tmp_path / "all.zarr")), 10**6)
    calls = 10**6 - int(whole.stdout)
    before, after = xr.open_zarr(made).y.values, xr.open_zarr(tmp_path / "all.zarr").current.values
    outcomes = []
    for number, at in enumerate((calls // 2, calls - 1, calls)):  # the last two: the exchange, and its sync
        store = Path(shutil.copytree(made, tmp_path / f"{number}.zarr"))
        assert killed(store, at).returncode == -signal.SIGKILL
        assert list(examine(store)) == []
        cube = xr.open_zarr(store)
        outcomes.append("current" in cube)
        np.testing.assert_array_equal(cube.current if outcomes[-1] else cube.y, after if outcomes[-1] else before)
        if not outcomes[-1]:
            migrate(store)
            np.testing.assert_array_equal(xr.open_zarr(store).current, after)
    assert outcomes == [False, False, True]


def test_the_command_shows_the_steps_and_does_them_only_when_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = (
        "from spinsweep import Axis, Output, Sweep, per_cell\n"
        "@per_cell\ndef f(cell):\n    return {OUT: cell[AXIS] + cell.rng().random()}\n"
        "AXIS, OUT = 'w', 'y'\n"
        "S = Sweep('mine', 'mine', (Axis('w', (1.0, 2.0)),), (Output('y'),), f)\n"
    )
    (tmp_path / "mine.py").write_text(source)
    store, sweep = str(tmp_path / "mine.zarr"), f"{tmp_path / 'mine.py'}:S"
    assert main(["run", sweep, "--store", store, "--workers", "0"]) == 0
    old = xr.open_zarr(store).y.values
    source = source.replace("Axis('w', (1.0, 2.0))", "Axis('width', (1.0, 2.0), formerly='w')")
    source = source.replace("Output('y')", "Output('i', formerly='y')").replace("'w', 'y'", "'width', 'i'")
    (tmp_path / "mine.py").write_text(source)
    capsys.readouterr()

    assert main(["migrate", store]) == 2
    assert "--sweep FILE.py:NAME" in capsys.readouterr().err
    command = ["migrate", store, "--sweep", sweep]
    assert main(command) == 1
    said = capsys.readouterr().out
    assert said.splitlines()[:2] == ["axis w is called width", "output y is called i"]
    assert "y" in xr.open_zarr(store)
    assert main(["run", sweep, "--store", store, "--workers", "0"]) == 2
    assert f"`spinsweep migrate {store}`" in capsys.readouterr().err
    assert main([*command, "--yes"]) == 0
    np.testing.assert_array_equal(xr.open_zarr(store).i, old)
    assert main(["run", sweep, "--store", store, "--workers", "0", "--set", "width=1,2,3"]) == 0
    assert main(command) == 0


@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_whatever_is_dropped_and_renamed_each_cell_keeps_its_number(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("any") / "bars.zarr"
    blocks = data.draw(st.fixed_dictionaries({"w": st.integers(1, 3), "seed": st.integers(1, 4)}))
    compute(OLD.with_values(w=(1.0, 2.0)), path, block=blocks)
    compute(OLD.with_values(seed=(1, 5)), path)
    before = xr.open_zarr(path).load()
    gone = {
        "width": data.draw(st.lists(st.sampled_from([1, 2, 4]), max_size=2, unique=True)),
        "seed": data.draw(st.lists(st.sampled_from([0, 1, 2, 3, 5]), max_size=4, unique=True)),
    }
    migrate(path, NEW, drop={name: ",".join(map(str, values)) for name, values in gone.items() if values})
    after = xr.open_zarr(path).load().sel(delay=0.0)
    kept = before.sel(w=after.width.values, seed=after.seed.values)
    assert set(after.width.values.tolist()) == {1.0, 2.0, 4.0} - set(map(float, gone["width"]))
    for name, old_name in {"current": "y", "trace": "trace", "cell_state": "cell_state"}.items():
        np.testing.assert_array_equal(after[name], kept[old_name])
    assert int((after.cell_state == State.ABSENT).sum()) == int((kept.cell_state == State.ABSENT).sum())
