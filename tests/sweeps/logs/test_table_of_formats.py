"""Each line of the table of formats in the documentation is imported, with the options that stand there."""

from __future__ import annotations

import re
import shlex
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from shapes import OTHERS, TEXTS, measured, scaled, text

from spinneurons.characterization import log_files
from spinneurons.logs import registry
from spinneurons.logs.table import LogError
from spinsweep.cli import main

PAGE = Path(__file__).parents[3] / "sweeps/spinneurons/characterization/README.md"
Frame = pd.DataFrame
Writer = Callable[[Path, Frame], Path | list[Path]]


def table() -> dict[str, list[str]]:
    """Options by line of the table."""
    lines = re.findall(r"^\| (.+) \| (.+?) \| ?(.*?) ?\|$", PAGE.read_text(), re.M)
    body = [line for line in lines if line[0] not in ("sweep", "what you have")]
    return {what: shlex.split(options.strip("`")) for what, _, options in body if "Fig. " not in options}


def rows(cycles: int = 20) -> Frame:
    """The measurement of the shapes, with enough cycles for fits."""
    return measured(cycles=cycles)


def csv(change: Callable[[Frame], Frame]) -> Writer:
    return lambda folder, frame: text(folder / "a.csv", change(frame))


def counted(frame: Frame) -> Frame:
    keys = ["width_um", "device", "i_write_A"]
    return frame.assign(k=frame["r_write_ohm"] > 0).groupby(keys)["k"].agg(n_switched="sum", n="count").reset_index()


def shares(frame: Frame) -> Frame:
    counts = counted(frame)
    return counts.assign(p=counts["n_switched"] / counts["n"]).drop(columns=["n_switched", "n"])


def named(frame: Frame) -> Frame:
    return frame.assign(device="R" + frame["width_um"].astype(str) + "C" + frame["device"].astype(str))


def both_signs(frame: Frame) -> Frame:
    other = frame.assign(**{n: -frame[n] for n in ("i_write_A", "r_reset_ohm", "r_write_ohm")})
    return pd.concat([frame, other])


def own_widths(frame: Frame) -> Frame:
    return frame.assign(width_um=frame["width_um"] + frame["device"] / 100, device=frame.groupby("device").ngroup())


def drifting(frame: Frame) -> Frame:
    drift = np.linspace(0, 6, len(frame))
    return frame.assign(r_reset_ohm=frame["r_reset_ohm"] + drift, r_write_ohm=frame["r_write_ohm"] + drift)


def three_levels(frame: Frame) -> Frame:
    middle = (frame["r_write_ohm"] > 0) & (frame["cycle"] % 3 == 0)
    return frame.assign(r_write_ohm=frame["r_write_ohm"].mask(middle, -0.03))


def a_file_each(folder: Path, frame: Frame) -> list[Path]:
    return [
        text(folder / f"w{width}_d{device}.csv", part.drop(columns=["width_um", "device"]))
        for (width, device), part in frame.groupby(["width_um", "device"])
    ]


def cut(folder: Path, frame: Frame) -> Path:
    path = text(folder / "a.csv", frame)
    path.write_text(path.read_text().rstrip("\n").rpartition(",")[0])
    return path


def commented(mark: str) -> Writer:
    """Comments above, the last of them the names, and one between the rows."""

    def write(folder: Path, frame: Frame) -> Path:
        names, *rows = text(folder / "a.csv", frame).read_text().splitlines()
        above = [f"{mark} a chip from Monday", f"{mark} operator: us", f"{mark} {names}"]
        (folder / "a.csv").write_text("\n".join([*above, *rows[:20], f"{mark} coffee", *rows[20:]]))
        return folder / "a.csv"

    return write


def origin(folder: Path, frame: Frame) -> Path:
    names = ["Bar width", "Device", "Pulse current", "Cycle", "R reset", "R write"]
    units, comments = ["µm", "", "A", "", "Ohm", "Ohm"], ["by SEM", "chip 7", "", "", "lock-in X", "lock-in X"]
    _, *rows = text(folder / "a.csv", frame).read_text().splitlines()
    head = ["\t".join(line) for line in (names, units, comments)]
    (folder / "a.txt").write_text("\n".join([*head, *(row.replace(",", "\t") for row in rows)]))
    return folder / "a.txt"


def json_of(*, lines: bool) -> Writer:
    def write(folder: Path, frame: Frame) -> Path:
        path = folder / ("a.jsonl" if lines else "a.json")
        frame.to_json(path, orient="records", lines=lines, double_precision=15)
        return path

    return write


def states(frame: Frame) -> Frame:
    return frame.assign(switched=(frame["r_write_ohm"] > 0).astype(int)).drop(columns=["r_reset_ohm", "r_write_ohm"])


def wide(folder: Path, frame: Frame) -> Path:
    rows = frame.pivot(index=["width_um", "device", "i_write_A"], columns="cycle", values="r_write_ohm")
    return text(folder / "a.csv", rows.rename(columns="R{}".format).reset_index())


def qcodes(folder: Path, frame: Frame, apart: bool = True) -> Path:
    """A database in the schema of QCoDeS, with one run; each dependent parameter has rows of its own, or not."""
    names = {n: n.rpartition("_")[0] or n for n in frame if n not in ("device", "cycle")}
    plain, dependents = frame.rename(columns=names), ["r_reset", "r_write"]
    with sqlite3.connect(folder / "a.db") as database:
        database.execute("CREATE TABLE runs (run_id INTEGER PRIMARY KEY, result_table_name TEXT)")
        database.execute(
            "CREATE TABLE layouts (layout_id INTEGER PRIMARY KEY, run_id INTEGER, parameter TEXT, unit TEXT)"
        )
        database.execute("CREATE TABLE dependencies (dependent INTEGER, independent INTEGER, axis_num INTEGER)")
        for number, name in ((1, "results-1-1"), (2, "results-1-2")):
            database.execute("INSERT INTO runs VALUES (?, ?)", (number, name))
            database.execute(
                f'CREATE TABLE "{name}" (id INTEGER PRIMARY KEY, {", ".join(f"{n} numeric" for n in plain)})'
            )
        units = {new: old.rpartition("_")[2] for old, new in names.items()}
        for i, name in enumerate(plain):
            database.execute("INSERT INTO layouts VALUES (?, 1, ?, ?)", (i, name, units.get(name, "")))
        order = list(plain)
        for dependent in dependents:
            database.execute("INSERT INTO dependencies VALUES (?, ?, 0)", (order.index(dependent), 0))
        for row in plain.itertuples(index=False):
            point = row._asdict()
            for dependent in dependents if apart else [""]:
                values = [None if apart and n in dependents and n != dependent else point[n] for n in order]
                marks = ", ".join("?" * len(order))
                database.execute(f'INSERT INTO "results-1-1" ({", ".join(order)}) VALUES ({marks})', values)
    database.close()
    return folder / "a.db"


ONE_WIDTH = csv(lambda f: f.query("width_um == 2").drop(columns="width_um"))
LINES: dict[str, list[Writer]] = {
    "CSV, with `.gz` or without": [TEXTS["commas"], TEXTS["gzip"]],
    "tabs, spaces or bars between the columns": [TEXTS["tabs"], TEXTS["spaces"], TEXTS["bars"]],
    "semicolons and decimal commas, as Excel writes them in Europe": [TEXTS["semicolons and decimal commas"]],
    "UTF-16, Windows-1252": [TEXTS["UTF-16"], TEXTS["Latin-1"]],
    "comments, a header of `key: value` lines, a row of units, a footer": [
        TEXTS["a comment above"], TEXTS["a preamble of keys"], TEXTS["units below the names"], TEXTS["a footer"],
    ],
    "comments that begin with `#`, `%` or `//`": [commented("#"), commented("%"), commented("//")],
    "Origin: names, units and comments above the columns": [origin],
    "a last line that is cut": [cut],
    "pymeasure": [TEXTS["pymeasure"]],
    "LabVIEW `.lvm`": [TEXTS["LabVIEW"], TEXTS["LabVIEW, decimal comma"]],
    "PPMS `.dat`": [TEXTS["PPMS"]],
    "Excel": [OTHERS["Excel"]],
    "HDF5, netCDF": [OTHERS["HDF5"], OTHERS["netCDF 3"], OTHERS["netCDF 4"]],
    "MATLAB `.mat`": [OTHERS["MATLAB"]],
    "NumPy `.npz`": [OTHERS["NumPy"]],
    "Parquet": [OTHERS["Parquet"]],
    "QCoDeS `.db`": [qcodes],
    "JSON: an object a line, or an array of objects": [json_of(lines=True), json_of(lines=False)],
    "no line of names": [TEXTS["no names"]],
    "names and units such as `Current (mA)`, `i_write_uA`, `R_write / mΩ`, `Bar width [nm]`": [
        csv(lambda f: scaled(f, "i_write_A", "Current (mA)", 1e3)),
        csv(lambda f: scaled(scaled(f, "r_write_ohm", "R_write / mΩ", 1e3), "width_um", "Bar width [nm]", 1e3)),
        csv(lambda f: scaled(f, "i_write_A", "i_write_uA", 1e6)),
    ],
    "names of devices": [csv(named)],
    "bars that are each measured with a width of their own": [csv(own_widths)],
    "negative currents": [OTHERS["negative"]],
    "pulses of both signs": [csv(both_signs)],
    "pulses of both signs, of which you want one": [csv(both_signs)],
    "no number of the cycle": [OTHERS["no cycle"]],
    "currents as read back": [
        csv(lambda f: f.assign(i_write_A=f["i_write_A"] * np.random.default_rng(1).normal(1, 1e-4, len(f))))
    ],
    "no reading after reset": [csv(lambda f: f.drop(columns="r_reset_ohm"))],
    "an offset that drifts": [csv(drifting)],
    "more than two levels": [csv(three_levels)],
    "states that a threshold tells": [csv(lambda f: f)],
    "reset gives the high resistance": [csv(lambda f: both_signs(f)[len(f) :].assign(i_write_A=f["i_write_A"]))],
    "states, 0 or 1, yes or no: a column `switched`": [
        csv(lambda f: states(f)), csv(lambda f: states(f).replace({"switched": {0: "no", 1: "yes"}}))
    ],
    "a column for each cycle": [wide],
    "counts: `n_switched` of `n` at each current": [csv(counted)],
    "probabilities, `p`": [csv(shares)],
    "other names": [csv(lambda f: f.rename(columns={"r_write_ohm": "Rxy after"}))],
    "another unit than the name says": [csv(lambda f: scaled(f, "r_write_ohm", "Rxy", 1e3))],
    "voltages, `v_reset` and `v_write`": [
        csv(lambda f: scaled(scaled(f, "r_reset_ohm", "v_reset", 5e-5), "r_write_ohm", "v_write", 5e-5))
    ],
    "current densities, `j_write`": [
        csv(lambda f: f.assign(j_write=f["i_write_A"] / (f["width_um"] * 5e-15)).drop(columns="i_write_A"))
    ],
    "one width in all rows": [ONE_WIDTH],
    "a file for each device": [a_file_each],
    "a temperature or a field that was varied": [csv(lambda f: pd.concat([f.assign(T_K=t) for t in (10, 300)]))],
    "a file for each day, or for each temperature": [
        lambda folder, f: [text(folder / f"{week}.csv", f) for week in ("week0", "week1")]
    ],
    "times in a form of your own": [csv(lambda f: f.assign(at="20/11/26 10.30"))],
}  # fmt: skip


def test_the_table_has_the_lines_that_are_run_here() -> None:
    assert list(table()) == list(LINES)


CURVES = {
    "pulses of both signs": 8,
    "a temperature or a field that was varied": 8,
    "a file for each day, or for each temperature": 8,
    "one width in all rows": 2,
}
"""Of a line, where they are not four."""


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_the_table_is_recognised_with_its_options(
    line: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for number, writer in enumerate(LINES[line]):
        folder = tmp_path / str(number)
        folder.mkdir()
        files = writer(folder, rows())
        paths = [str(p) for p in (files if isinstance(files, list) else [files])]
        store = folder / "lab.zarr"
        code = main(["import", *paths, str(store), "--dry-run", "--resamples", "10", *table()[line]])
        said = capfd.readouterr()
        assert code == 0, said.out + said.err
        assert re.search(rf"^holds +{CURVES.get(line, 4)} curves?, ", said.out, re.M), said.out
        assert not store.exists()


@pytest.mark.parametrize(
    "line", [line if n % 5 == 0 else pytest.param(line, marks=pytest.mark.slow) for n, line in enumerate(LINES)]
)
def test_a_line_of_the_table_is_imported_with_its_options(
    line: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for number, writer in enumerate(LINES[line]):
        folder = tmp_path / str(number)
        folder.mkdir()
        files = writer(folder, rows())
        paths = [str(p) for p in (files if isinstance(files, list) else [files])]
        store = folder / "lab.zarr"
        code = main(["import", *paths, str(store), "--resamples", "10", *table()[line]])
        said = capfd.readouterr()
        assert code == 0, said.out + said.err
        ds = xr.open_zarr(store).load()
        assert ds.i_bias.size == CURVES.get(line, 4)
        assert (ds.cell_state == 1).all()
        k = ds.n_switched if "n_switched" in ds else (ds.switched & ds.valid).sum("cycle")
        expected = counted(rows())["n_switched"].sum() * ds.i_bias.size // 4
        if line not in ("one width in all rows", "more than two levels", "a last line that is cut"):
            assert int(k.sum()) == expected


@pytest.mark.parametrize("apart", [True, False])
def test_a_qcodes_database_is_read_however_its_parameters_share_rows(apart: bool, tmp_path: Path) -> None:
    read = registry.read(qcodes(tmp_path, rows(2), apart))
    assert read.units["i_write"] == "A"
    np.testing.assert_array_equal(read.columns["r_write"], rows(2)["r_write_ohm"])
    assert "QCoDeS, run 1" in read.notes


def test_a_database_that_is_none_of_qcodes_or_has_points_apart_is_one_line(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as database:
        database.execute("CREATE TABLE notes (text TEXT)")
    database.close()
    with pytest.raises(LogError, match=r"x\.db: is a SQLite database, and none of QCoDeS"):
        registry.read(tmp_path / "x.db")
    path = qcodes(tmp_path, rows(2))
    with sqlite3.connect(path) as database:
        database.execute('DELETE FROM "results-1-1" WHERE id = 4')
    database.close()
    with pytest.raises(LogError, match="run 1: parameters r_reset and r_write were not measured at the same points"):
        registry.read(path)


def test_names_of_devices_are_ordered_by_their_numbers_however_long_these_are(tmp_path: Path) -> None:
    names = ["R2C9", "R2C10", f"R2C1{'0' * 5000}"]
    one = rows(2).query("device == 0 and width_um == 2")
    path = text(tmp_path / "a.csv", pd.concat([one.assign(device=name) for name in reversed(names)]))
    assert log_files.read(path)["device"].values.tolist() == names
