"""A cube as netCDF, a table and an archive: the same numbers, blank where a cell is not done, whole or not there."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

import spinsweep
from spinsweep import Axis, Cell, CubeError, Dim, Output, Parameter, SpecError, State, Sweep, per_cell
from spinsweep.cli import main
from spinsweep.cube import Cube
from spinsweep.executors.driver import drive
from spinsweep.executors.serial import serial
from spinsweep.exports import csv_file, export
from spinsweep.exports.pieces import boxes, chunk_and_shard, piece_lengths
from spinsweep.exports.table import CubeTable
from spinsweep.runs import open_run

LARGE = 2**53 + 1
"""A whole number that float64 does not hold."""


@per_cell
def walk(cell: Cell) -> dict[str, Any]:
    if cell["seed"] == 2:
        raise ValueError("no seed of that number")
    far = math.nan if cell["seed"] == 3 else cell["gain"] / 3
    return {
        "n": LARGE,
        "far": far,
        "near": np.float32(cell["gain"] / 3),
        "good": [True, False],
        "trace": cell.rng().normal(size=2),
    }


WALK = Sweep(
    name="walk",
    title="a walk",
    axes=(Axis("gain", (2.0, 1.0), "V", "the gain"), Axis("kind", ("up", "down")), Axis("seed", (1, 2, 3))),
    dims=(Dim("try", values=(5, 6), unit="s"),),
    outputs=(
        Output("n", dtype="int64"),
        Output("far", unit="m", long_name="distance"),
        Output("near", dtype="float32", unit="m"),
        Output("good", ("try",), "bool"),
        Output("trace", ("try",), unit="V"),
    ),
    parameters=(Parameter("length", 0.5, "m"),),
    root_seed=2**70,
    function=walk,
)
"""Of it seed 2 fails, and more gains and kinds come later, of which most cells are absent."""
PARTS: tuple[Mapping[str, Any], ...] = ({}, {"gain": (0.5,), "kind": ("aslant",), "seed": (1,)})


def compute(sweep: Sweep, path: Path) -> None:
    with open_run(sweep, path, block=2) as run:
        drive(run, serial)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cubes") / "walk.zarr"
    for part in PARTS:
        compute(WALK.with_values(**part), path)
    return path


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_a_table_has_the_number_of_every_done_cell_and_nothing_in_the_others(store: Path, tmp_path: Path) -> None:
    done = export(store, tmp_path / "walk.csv")
    raw = xr.open_zarr(store).load()

    table = rows(tmp_path / "walk.csv")
    assert done.rows == len(table) == raw.trace.size
    order = [(r["gain"], r["kind"], r["seed"], r["try"]) for r in table]
    assert order[:3] == [("2.0", "up", "1", "5"), ("2.0", "up", "1", "6"), ("2.0", "up", "2", "5")]
    for row in table:
        place = {"gain": float(row["gain"]), "kind": row["kind"], "seed": int(row["seed"])}
        cell = raw.sel(place)
        one = cell.sel({"try": int(row["try"])})
        assert row["cell_state"] == State(int(cell.cell_state)).name.lower()
        if int(cell.cell_state) != State.DONE:
            assert {row[name] for name in ("n", "far", "near", "good", "trace")} == {""}
            continue
        assert int(row["n"]) == LARGE
        np.testing.assert_equal(float(row["far"]), float(cell.far))
        assert np.float32(row["near"]) == cell.near
        assert row["good"] == str(bool(one.good)).lower()
        assert float(row["trace"]) == float(one.trace)
    assert {r["far"] for r in table if r["cell_state"] == "done" and r["seed"] == "3"} == {"nan"}


def test_units_and_attributes_go_along_with_a_csv_file_in_the_way_of_the_w3c(store: Path, tmp_path: Path) -> None:
    export(store, tmp_path / "walk.csv", outputs=["far"])
    described = json.loads((tmp_path / "walk.csv-metadata.json").read_text())

    columns = {c["name"]: c for c in described["tableSchema"]["columns"]}
    assert list(columns) == list(rows(tmp_path / "walk.csv")[0])
    assert (columns["far"]["schema:unitText"], columns["far"]["dc:description"]) == ("m", "distance")
    assert columns["gain"]["datatype"] == "number"
    assert json.loads(described["notes"][0]["parameters"]) == {"length": 0.5}


def test_parquet_tells_what_is_blank_from_what_is_nan_and_keeps_units(store: Path, tmp_path: Path) -> None:
    export(store, tmp_path / "walk.parquet", outputs=["far", "n"], sort=True)
    table = parquet.read_table(tmp_path / "walk.parquet")

    raw = spinsweep.CubeView(xr.open_zarr(store)).in_order().load()
    done = (raw.cell_state == State.DONE).values.ravel()
    assert [v is not None for v in table["far"].to_pylist()] == done.tolist()
    assert {v for v in table["n"].to_pylist() if v is not None} == {LARGE}
    assert table.schema.field("far").metadata[b"units"] == b"m"
    assert json.loads(table.schema.metadata[b"spinsweep"])["title"] == "a walk"
    assert sum(v is not None and math.isnan(v) for v in table["far"].to_pylist()) == 4


def test_netcdf_holds_what_open_cube_gives_with_units_and_attributes(store: Path, tmp_path: Path) -> None:
    export(store, tmp_path / "walk.nc", outputs=["far", "good", "trace"], sort=True)
    read = xr.load_dataset(tmp_path / "walk.nc", engine="h5netcdf")
    expected = spinsweep.open_cube(store, sort=True).load()

    for name in ("far", "good", "trace", "cell_state", "gain", "kind", "try"):
        np.testing.assert_array_equal(read[name].astype(expected[name].dtype), expected[name])
        assert read[name].attrs.get("units") == expected[name].attrs.get("units")
    assert read.gain.values.tolist() == [0.5, 1.0, 2.0]
    assert read.attrs["root_seed"] == str(2**70)
    assert "n" not in read


def test_whole_numbers_that_netcdf_would_round_are_refused(store: Path, tmp_path: Path) -> None:
    with pytest.raises(CubeError, match=r"n has whole numbers beyond 2\^53"):
        export(store, tmp_path / "walk.nc")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["walk.zip", "walk.zarr"])
def test_an_archive_is_the_whole_cube_in_few_files(store: Path, tmp_path: Path, name: str) -> None:
    export(store, tmp_path / name)
    archive, cube = spinsweep.open_cube(tmp_path / name), spinsweep.open_cube(store)

    xr.testing.assert_equal(archive.load(), cube.load())
    assert archive.sweep.failures() == cube.sweep.failures()
    assert archive.n.attrs == cube.n.attrs
    assert archive.attrs["sweep_definition"] == cube.attrs["sweep_definition"]
    files = [p for p in (tmp_path / name).rglob("*") if "/c/" in str(p) and p.is_file()] or [tmp_path / name]
    assert len(files) <= len(archive.variables)  # a shard each
    with pytest.raises(CubeError, match=r"archive of a cube|not a cube"):
        compute(WALK, tmp_path / name)


def test_the_same_cube_gives_the_same_zip_file(store: Path, tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        export(store, tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_sorted_view_has_each_cell_at_its_own_coordinates(store: Path) -> None:
    plain, ordered = spinsweep.open_cube(store).load(), spinsweep.open_cube(store, sort=True)

    assert ordered.gain.values.tolist() == [0.5, 1.0, 2.0]
    assert ordered.kind.values.tolist() == ["aslant", "down", "up"]
    assert plain.gain.values.tolist() == [2.0, 1.0, 0.5]
    assert ordered.trace.chunks is not None
    xr.testing.assert_equal(ordered.load().sel(plain.coords), plain)
    assert [f.coords for f in ordered.sweep.failures()] != [f.coords for f in plain.sweep.failures()]


def test_the_command_counts_what_is_blank_and_replaces_nothing_unasked(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", str(store), str(tmp_path / "walk.csv"), "--outputs", "far"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "27 rows of 27 cells; blank are 14 absent, 4 failed" in said
    assert "left out: n, near, good, trace, try" in said
    assert main(command) == 2
    assert "exists; give another name, or --force" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0
    (tmp_path / "walk.csv").unlink()
    assert main(command) == 2
    assert "walk.csv-metadata.json exists" in capsys.readouterr().err


def test_what_cannot_be_exported_is_one_line_and_nothing_is_written(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mine.zarr"
    folder.mkdir()
    (folder / "notes.txt").write_text("not to be lost")
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as where it is not installed
    mistakes: list[tuple[Path, dict[str, Any], str]] = [
        (tmp_path / "walk.txt", {}, "ends in none of"),
        (tmp_path / "walk.csv", {"outputs": ["fa"]}, "no output 'fa'"),
        (tmp_path / "walk.nc", {"outputs": ["fa"]}, "no output 'fa'"),
        (tmp_path / "walk.zip", {"outputs": ["far"]}, "holds all outputs"),
        (tmp_path / "walk.parquet", {}, "needs the package pyarrow"),
        (tmp_path / "no" / "walk.csv", {}, "there is no folder"),
        (folder, {"force": True}, "no archive of an earlier export"),
        (store, {"force": True}, "no archive of an earlier export"),
    ]
    for path, options, message in mistakes:
        with pytest.raises(SpecError, match=message):
            export(store, path, **options)
    assert [p.name for p in tmp_path.rglob("*")] == ["mine.zarr", "notes.txt"]


def test_outputs_that_share_no_rows_are_not_put_into_one_table(tmp_path: Path) -> None:
    dims = (Dim("early", 2), Dim("late", 3))
    outputs = (Output("a", ("early",)), Output("b", ("late",)))
    both = Sweep("both", "", (Axis("x", (1.0,)),), outputs, two_lengths, dims=dims)
    compute(both, tmp_path / "both.zarr")

    with pytest.raises(SpecError, match="one table cannot hold a over x, early and b over x, late"):
        export(tmp_path / "both.zarr", tmp_path / "both.csv")
    assert export(tmp_path / "both.zarr", tmp_path / "b.csv", outputs=["b"]).rows == 3


@per_cell
def two_lengths(_: Cell) -> dict[str, Any]:
    return {"a": np.zeros(2), "b": np.zeros(3)}


def test_what_a_run_finishes_meanwhile_is_blank_and_not_half_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "walk.zarr"
    compute(WALK.with_values(seed=(1,)), store)
    with open_run(WALK.with_values(seed=(1, 4)), store):  # grown, and nothing computed
        pass
    write = csv_file.write

    def later(table: CubeTable, path: Path) -> None:
        compute(WALK.with_values(seed=(1, 4)), store)
        write(table, path)

    monkeypatch.setattr(csv_file, "write", later)
    done = export(store, tmp_path / "walk.csv", outputs=["far"])
    assert (done.counts.done, done.counts.absent) == (4, 4)
    assert Cube(store).counts().done == 8
    words = [(row["seed"], row["cell_state"], row["far"] == "") for row in rows(tmp_path / "walk.csv")]
    assert words == [("1", "done", False), ("4", "absent", True)] * 4


KILLED = """
import os, signal, sys
from spinsweep.exports import csv_file, export
os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)  # when all is written, and nothing is in place
export(sys.argv[1], sys.argv[2], outputs=["far"], force=True)
"""


def test_an_export_that_is_killed_leaves_the_file_of_the_earlier_one(store: Path, tmp_path: Path) -> None:
    export(store, tmp_path / "walk.parquet", outputs=["n"])
    before = (tmp_path / "walk.parquet").read_bytes()
    command = [sys.executable, "-c", KILLED, str(store), str(tmp_path / "walk.parquet")]

    assert subprocess.run(command, check=False, timeout=120).returncode == -9
    assert (tmp_path / "walk.parquet").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2  # and what was half-written, under another name


def test_pieces_of_a_table_follow_each_other_whatever_their_size(store: Path) -> None:
    table = CubeTable(xr.open_zarr(store))
    whole = next(table.pieces())
    for size in (1, 5, 7):
        pieces = list(table.pieces(size))
        assert max(len(p["far"].values) for p in pieces) <= size
        for name, column in whole.items():
            np.testing.assert_array_equal(np.concatenate([p[name].values for p in pieces]), column.values)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(1, 40))
def test_boxes_hold_each_point_once_in_row_major_order(lengths: list[int], most: int) -> None:
    numbers = np.arange(math.prod(lengths)).reshape(lengths)
    parts = [numbers[box].ravel() for box in boxes(lengths, most)]
    np.testing.assert_array_equal(np.concatenate(parts), numbers.ravel())
    assert max(map(len, parts)) <= most


@given(st.data())
def test_a_shard_holds_whole_chunks_and_the_pieces_that_are_written_at_a_time(data: st.DataObject) -> None:
    blocks = data.draw(st.lists(st.integers(1, 7), min_size=1, max_size=3))
    shape, pieces = {}, {}
    for number, block in enumerate(blocks):
        doubled = block * 2 ** data.draw(st.integers(0, 4))
        shape[str(number)] = length = data.draw(st.integers(1, 100))
        pieces[str(number)] = min(doubled, length)
    chunk, shard = chunk_and_shard(shape, pieces, 8, data.draw(st.sampled_from([8, 64, 1024, 10**9])))
    for length, piece, c, s in zip(shape.values(), pieces.values(), chunk, shard, strict=True):
        assert s % c == 0
        assert s == piece or (piece == length and s >= length)


def test_pieces_are_blocks_doubled_and_bounded(store: Path) -> None:
    cube = Cube(store)
    assert piece_lengths(cube, most=1) == {"gain": 1, "kind": 1, "seed": cube.grid.chunk[2], "try": 2}
    assert piece_lengths(cube) == {"gain": 3, "kind": 3, "seed": 3, "try": 2}
