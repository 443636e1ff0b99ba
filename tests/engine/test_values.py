"""Values of every kind, as axes, dims and outputs: what goes in comes back, from xarray as from us."""

from __future__ import annotations

import datetime
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import spinsweep
from spinsweep import Axis, Cell, Cells, Dim, Output, SpecError, Sweep, per_cell
from spinsweep.axis import canonical, key
from spinsweep.cli import main
from spinsweep.cube import Cube, examine
from spinsweep.evaluate import evaluate
from spinsweep.moments import text_of
from spinsweep.seeds import address

NOON = np.datetime64("2026-01-31T12:00:00.123456789", "ns")
DAYS = (np.datetime64("2026-01-30"), NOON)


@per_cell
def everything(cell: Cell) -> dict[str, Any]:
    if cell["kind"] == "broken" and cell["on"]:
        raise ValueError("no good")
    return {
        "name": f"{cell['kind']} {cell['on']} ångström {cell.rng().integers(9)}",
        "names": [["a", ""], ["longer", "é" * 40], ["\n", "c"]],
        "when": cell["day"] + np.timedelta64(1, "ns"),
        "times": [cell["day"], np.datetime64("nat")],
        "wave": [[1j, 2.5], [0, 3 - 1j], [1, 2]],
    }


MIXED = Sweep(
    name="mixed",
    title="Values of every kind",
    axes=(Axis("on", (True, False)), Axis("day", DAYS), Axis("kind", ("fine", "broken"))),
    dims=(Dim("row", 3), Dim("column", values=("left", "right")), Dim("at", values=DAYS)),
    outputs=(
        Output("name", dtype="str"),
        Output("names", ("row", "column"), str),  # type: ignore[arg-type]
        Output("when", dtype="datetime64[ns]"),
        Output("times", ("at",), "M8[ns]"),
        Output("wave", ("row", "column"), "complex64", "V"),
    ),
    function=everything,
)


def opened(store: Path) -> xr.Dataset:
    with warnings.catch_warnings(action="error"):
        return xr.open_zarr(store).load()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("mixed") / "c.zarr"
    spinsweep.run(MIXED.with_values(on=[True]), store, block=3, on_failure="keep")
    spinsweep.run(MIXED, store, on_failure="keep")  # grows, in blocks that hold failed cells
    return store


def test_xarray_opens_every_kind_of_value_as_what_it_was(store: Path) -> None:
    ds = opened(store)

    assert ds.on.dtype == bool
    assert ds.on.values.tolist() == [True, False]
    assert ds.day.dtype == ds.at.dtype == ds.when.dtype == ds.times.dtype == "datetime64[ns]"
    assert (ds.day.values == np.array(DAYS, "M8[ns]")).all()
    assert (ds["at"].values == np.array(DAYS, "M8[ns]")).all()
    assert ds.column.values.tolist() == ["left", "right"]
    cell = ds.sel(on=False, day=NOON, kind="fine")
    assert str(cell.name.values).startswith("fine False ångström ")
    assert cell.names.values.tolist() == [["a", ""], ["longer", "é" * 40], ["\n", "c"]]
    assert cell.when.values == NOON + np.timedelta64(1, "ns")
    assert cell.times.values[0] == NOON
    assert np.isnat(cell.times.values[1])
    assert cell.wave.values.tolist() == [[1j, 2.5], [0, 3 - 1j], [1, 2]]
    failed = ds.sel(on=True, day=NOON, kind="broken")
    assert str(failed.name.values) == ""
    assert np.isnat(failed.when.values)


def test_the_readers_of_the_engine_give_the_same(store: Path) -> None:
    ds, cube = spinsweep.open_cube(store).load(), Cube(store)

    assert cube.axes == {"on": (True, False), "day": tuple(np.array(DAYS, "M8[ns]")), "kind": ("fine", "broken")}
    assert ds.sel(on=True, kind="broken").name.values.tolist() == ["", ""]
    assert np.isnat(ds.sel(on=True, kind="broken").when.values).all()
    assert ds.sel(on=False, day=NOON, kind="fine").when.values == NOON + np.timedelta64(1, "ns")
    coords = {"on": True, "day": np.datetime64("2026-01-30", "ns"), "kind": "broken"}
    assert [failure.coords for failure in (ds.sweep.failures()[0], next(cube.failures()))] == [coords, coords]
    assert list(examine(store)) == []


def test_what_a_worker_writes_is_byte_for_byte_what_zarr_writes(store: Path, tmp_path: Path) -> None:
    import zarr

    cube = Cube(store)
    for name in ("name", "names", "when", "wave"):
        values = cube.array(name).read()
        (tmp_path / name).mkdir()
        (tmp_path / name / "zarr.json").write_text(json.dumps(cube.metadata[name]))
        copy = zarr.open_array(tmp_path / name, mode="r+").with_config({"write_empty_chunks": True})
        copy[...] = values
        written = [file for file in (store / name / "c").rglob("*") if file.is_file()]
        assert written
        for file in written:
            assert file.read_bytes() == (tmp_path / name / "c" / file.relative_to(store / name / "c")).read_bytes()


def test_a_digest_finds_a_text_that_was_swapped(store: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(store, tmp_path / "c.zarr")
    chunks = sorted(file for file in (tmp_path / "c.zarr" / "name" / "c").rglob("*") if file.is_file())
    first, second = next((a, b) for a in chunks for b in chunks if a.read_bytes() != b.read_bytes())
    first.write_bytes(second.read_bytes())

    assert any("not those that were written" in damage.problem for damage in examine(tmp_path / "c.zarr"))


def test_the_commands_take_and_show_every_kind(store: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(store)]) == 1
    assert "failed  on=true day=2026-01-30 kind=broken" in capfd.readouterr().out
    main(["status", str(store), "--json"])
    report = json.loads(capfd.readouterr().out)
    assert report["axes"] == {"on": [True, False], "day": ["2026-01-30", text_of(NOON)], "kind": ["fine", "broken"]}
    assert report["failures"][0]["cell"] == {"on": True, "day": "2026-01-30", "kind": "broken"}
    cell = ["cell", str(store), "on=false", f"day={text_of(NOON)}", "kind=fine"]
    assert main([*cell, "--sweep", f"{__file__}:MIXED"]) == 0
    out = capfd.readouterr().out
    assert out.count("same") == 5
    assert text_of(NOON + np.timedelta64(1, "ns")) in out


def test_axes_are_set_from_text() -> None:
    sweep = MIXED.with_text({"on": "false", "day": "2026-01-30T00:00:00Z,2026-02-01 06:30:00.5+02:00"})

    assert sweep.axis("on").values == (False,)
    assert [key(v) for v in sweep.axis("day").values] == ["2026-01-30", "2026-02-01T04:30:00.5"]
    ranges = {
        "2026-01-01:2026-01-30:30": ("2026-01-02", "2026-01-30", 30),
        "2026-01-31T12:00:2026-01-31T13:00:20:5": ("2026-01-31T12:15:05", "2026-01-31T13:00:20", 5),
        "2026-01-02:2026-01-01T00:00:00Z:3": ("2026-01-01T12:00:00", "2026-01-01", 3),
        "1678-01-01:2261-12-31:2": ("2261-12-31", "2261-12-31", 2),
    }
    for text, (second, last, count) in ranges.items():
        days = MIXED.axis("day").parse(f"2020-01-01,{text}")
        assert (key(days[2]), key(days[-1]), len(days)) == (second, last, count + 1)
    for text, says in {
        "2026-01-01:2026-01-30": "is not a date",
        "2026-01-01:2026-01-30:1": "is not START:STOP:COUNT, such as 2026-01-01:2026-01-30:30",
        "2026-01-01:2026-13-30:4": "'2026-13-30' is not a date",
        "2026-01-01:2026-01-01:2": "has the value 2026-01-01 twice",
        "2026-01-01:2026-01-02:" + "9" * 5000: "values are more than the 10000000",
    }.items():
        with pytest.raises(SpecError, match=says):
            MIXED.axis("day").parse(text)
    assert sweep.with_text({"day+": "2026-01-30,2026-03-01"}).shape == (1, 3, 2)
    assert sweep.digest == MIXED.digest


def test_numbers_of_a_cell_do_not_depend_on_how_its_date_was_given() -> None:
    when = datetime.datetime(2026, 1, 31, 13, 0, 0, 250, datetime.timezone(datetime.timedelta(hours=1)))
    same = [when, np.datetime64("2026-01-31T12:00:00.000250"), pd.Timestamp(when), "2026-01-31T12:00:00.00025"]

    assert {canonical(value, "datetime") for value in same} == {np.datetime64("2026-01-31T12:00:00.00025", "ns")}
    assert canonical(pd.Timestamp(NOON), "datetime") == NOON
    assert canonical(datetime.date(2026, 1, 31), "datetime") == np.datetime64("2026-01-31", "ns")
    days = Axis("day", pd.DatetimeIndex(["2026-01-30", "2026-01-31"]))  # type: ignore[arg-type]
    assert days == Axis("day", np.array(["2026-01-30", "2026-01-31"], "M8[D]"))  # type: ignore[arg-type]


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_any_date_is_its_text(count: int) -> None:
    value = np.datetime64(count, "ns")

    assert canonical(text_of(value), "datetime") == canonical(value, "datetime") == value
    assert np.datetime64(text_of(value), "ns") == value


@given(st.booleans(), st.text(max_size=3), st.integers(0, 2**60))
def test_true_and_false_keep_the_random_streams_of_one_and_zero(value: bool, name: str, seed: int) -> None:
    assert address(seed, "s", name, {"a": value}) == address(seed, "s", name, {"a": int(value)})


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ((np.datetime64("nat"),), "'NaT' is no date from 1678"),
        ((pd.NaT,), "is not a date"),
        ((datetime.date(1500, 1, 1),), "is no date from 1678"),
        ((np.datetime64("1500-01-01"),), "is no date from 1678"),
        ((np.datetime64("2026-01-01T00:00:00.0000000001"),), "in whole nanoseconds"),
        ((DAYS[0], 3), "axis 'x' mixes names, numbers and dates"),
        ((DAYS[0], "2026-01-01"), "axis 'x' mixes names, numbers and dates"),
        ((NOON, NOON), "has the value 2026-01-31T12:00:00.123456789 twice"),
    ],
)
def test_a_date_that_cannot_be_is_one_line(values: tuple[Any, ...], says: str) -> None:
    with pytest.raises(SpecError, match=says) as caught:
        Axis("x", values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("axis", "text", "says"),
    [
        ("day", "2026-13-01", "axis 'day': '2026-13-01' is not a date such as 2026-01-31 or 2026-01-31T12:00:00"),
        ("day", "5", "axis 'day': '5' is not a date"),
        ("on", "maybe", "axis 'on': 'maybe' is not true or false; it takes true or false"),
    ],
)
def test_a_text_that_is_no_value_is_one_line(axis: str, text: str, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        MIXED.with_text({axis: text})


@pytest.mark.parametrize(
    ("dtype", "value", "says"),
    [
        ("str", 5, "output 'y' has 5 of type int, declared is str"),
        ("str", b"x", "output 'y' has b'x' of type bytes, declared is str"),
        ("str", "\ud800", "which is no text of Unicode"),
        ("datetime64[ns]", 5, "output 'y' has dtype int64, declared is datetime64"),
        ("datetime64[ns]", "2026-01-01", "output 'y' has dtype <U10, declared is datetime64"),
        ("datetime64[ns]", np.datetime64("1500-01-01"), "output 'y': '1500-01-01' is no date from 1678"),
        ("float64", NOON, "output 'y' has dtype datetime64"),
    ],
)
def test_an_output_of_another_kind_is_an_error_of_its_cell(dtype: str, value: Any, says: str) -> None:
    sweep = Sweep("s", "", (Axis("x", (1,)),), (Output("y", dtype=dtype),), per_cell(lambda cell: {"y": value}))

    assert says in evaluate(sweep, {"x": (1,)}).errors[0,].message


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=20), min_size=1, max_size=6))
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    def write(cells: Cells) -> dict[str, Any]:
        return {"y": np.array([texts[i] for i in cells.coords["x"]], object)}

    store = tmp_path_factory.mktemp("texts") / "c.zarr"
    axis = Axis("x", tuple(range(len(texts))))
    spinsweep.run(Sweep("texts", "", (axis,), (Output("y", dtype="string"),), write), store, block=2)

    assert opened(store).y.values.tolist() == texts


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Output("y", dtype="U5"), "output 'y': dtype 'U5' is not one of bool, "),
        (lambda: Output("y", dtype="datetime64[s]"), "is not one of bool"),
        (lambda: Output("y", dtype="datetime64[ns]", unit="s"), "output 'y': dates have no unit; leave out 's'"),
        (lambda: Output("y", dtype="M8[ns]", attrs={"units": "s"}), "leave out the attribute 'units'"),
        (lambda: Axis("x", DAYS, unit="s"), "axis 'x' has dates, which have no unit"),
        (lambda: Axis("x", DAYS, low=1), "axis 'x' has dates, which have no unit, low or high"),
    ],
)
def test_a_description_that_cannot_be_is_one_line(make: Any, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        make()
