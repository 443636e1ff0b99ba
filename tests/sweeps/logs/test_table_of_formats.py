"""Each kind of log that the documentation names is imported, with the options that stand there."""

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

PAGE = Path(__file__).parents[3] / "engine/docs/how-to/import-log.md"
Frame = pd.DataFrame
Writer = Callable[[Path, Frame], Path | list[Path]]


def documented() -> dict[str, list[str]]:
    """Options by kind of log: none for the kinds that are recognised."""
    page = PAGE.read_text()
    section = page.partition("\n## What is recognised\n")[2].partition("\n## ")[0]
    recognised: dict[str, list[str]] = {kind: [] for kind in re.findall(r"^- \*\*(.+?)\*\*:", section, re.M)}
    told = re.findall(r"^\| (.+) \| `(--.+)` \|$", page, re.M)
    return recognised | {kind: shlex.split(options) for kind, options in told}


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
CONVERTED = {
    "mA": csv(lambda f: scaled(f, "i_write_A", "Current (mA)", 1e3)),
    "mΩ and nm": csv(
        lambda f: scaled(scaled(f, "r_write_ohm", "R_write / mΩ", 1e3), "width_um", "Bar width [nm]", 1e3)
    ),
    "uA": csv(lambda f: scaled(f, "i_write_A", "i_write_uA", 1e6)),
}
KINDS: dict[str, dict[str, Writer]] = {
    "Text": {
        name: TEXTS[name]
        for name in (
            "commas", "gzip", "tabs", "spaces", "bars", "semicolons and decimal commas", "UTF-16", "Latin-1",
        )
    },
    "Lines about the data": {
        **{
            name: TEXTS[name]
            for name in ("a comment above", "a preamble of keys", "units below the names", "a footer")
        },
        **{mark: commented(mark) for mark in ("#", "%", "//")},
        "Origin": origin,
        "a last line that is cut": cut,
    },
    "Files of programs": {
        **{name: TEXTS[name] for name in ("pymeasure", "LabVIEW", "LabVIEW, decimal comma", "PPMS")},
        **{name: OTHERS[name] for name in ("MATLAB", "NumPy", "netCDF 3")},
        "QCoDeS": qcodes,
        "JSON, an object a line": json_of(lines=True),
        "JSON, an array": json_of(lines=False),
    },
    'With `pip install "spinsweep[files]"`': {
        name: OTHERS[name] for name in ("Excel", "HDF5", "netCDF 4", "Parquet")
    },
    "Names and units": {**CONVERTED, "no names": TEXTS["no names"]},
    "Devices": {"names": csv(named), "a width for each": csv(own_widths)},
    "Currents": {
        "negative": OTHERS["negative"],
        "both signs": csv(both_signs),
        "as read back": csv(
            lambda f: f.assign(i_write_A=f["i_write_A"] * np.random.default_rng(1).normal(1, 1e-4, len(f)))
        ),
    },
    "States": {
        "0 or 1": csv(states),
        "yes or no": csv(lambda f: states(f).replace({"switched": {0: "no", 1: "yes"}})),
        "counts": csv(counted),
    },
    "What is missing": {
        "cycle": OTHERS["no cycle"],
        "reset": csv(lambda f: f.drop(columns="r_reset_ohm")),
        "a steady offset": csv(drifting),
    },
    "other names": {"": csv(lambda f: f.rename(columns={"r_write_ohm": "Rxy after"}))},
    "another unit than the name says": {"": csv(lambda f: scaled(f, "r_write_ohm", "Rxy", 1e3))},
    "a column for each cycle": {"": wide},
    "probabilities `p`, each of so many pulses": {"": csv(shares)},
    "voltages `v_reset` and `v_write`, and no read current in the header": {
        "": csv(lambda f: scaled(scaled(f, "r_reset_ohm", "v_reset", 5e-5), "r_write_ohm", "v_write", 5e-5))
    },
    "current densities `j_write`: the thickness that carries the current": {
        "": csv(lambda f: f.assign(j_write=f["i_write_A"] / (f["width_um"] * 5e-15)).drop(columns="i_write_A"))
    },
    "one width, which the header does not say": {"one width": ONE_WIDTH},
    "a file for each device": {"": a_file_each},
    "a temperature or a field that was varied: a curve at each value": {
        "two temperatures": csv(lambda f: pd.concat([f.assign(T_K=t) for t in (10, 300)]))
    },
    "[a file for each day](compare-weeks.md), or for each temperature": {
        "two days": lambda folder, f: [text(folder / f"{week}.csv", f) for week in ("week0", "week1")]
    },
    "pulses of both signs, of which you want one": {"": csv(both_signs)},
    "an offset that drifts": {"": csv(drifting)},
    "more than two levels": {"three levels": csv(three_levels)},
    "states on either side of a threshold, in ohm": {"": csv(lambda f: f)},
    "a reset that gives the high resistance": {
        "": csv(lambda f: both_signs(f)[len(f) :].assign(i_write_A=f["i_write_A"]))
    },
    "times in a form of your own": {"": csv(lambda f: f.assign(at="20/11/26 10.30"))},
}  # fmt: skip
LOGS = [(kind, name) for kind, logs in KINDS.items() for name in logs]


def test_the_documentation_names_the_kinds_that_are_run_here() -> None:
    assert list(documented()) == list(KINDS)


CURVES = {"both signs": 8, "two temperatures": 8, "two days": 8, "one width": 2}
"""Of a log, where they are not four."""
OTHER_CYCLES = ("one width", "three levels", "a last line that is cut")
"""Logs of which fewer cycles switched, or are used."""


def imported(kind: str, name: str, folder: Path, *options: str) -> int:
    """Write the log and import it, with the options that the documentation has for its kind."""
    files = KINDS[kind][name](folder, rows())
    paths = [str(p) for p in (files if isinstance(files, list) else [files])]
    return main(["import", *paths, str(folder / "lab.zarr"), "--resamples", "10", *options, *documented()[kind]])


@pytest.mark.parametrize(("kind", "name"), LOGS)
def test_a_log_is_recognised_with_the_options_of_its_kind(
    kind: str, name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = imported(kind, name, tmp_path, "--dry-run")
    said = capfd.readouterr()
    assert code == 0, said.out + said.err
    assert re.search(rf"^holds +{CURVES.get(name, 4)} curves?, ", said.out, re.M), said.out
    assert not (tmp_path / "lab.zarr").exists()


@pytest.mark.parametrize(
    ("kind", "name"),
    [log if n % 5 == 0 else pytest.param(*log, marks=pytest.mark.slow) for n, log in enumerate(LOGS)],
)
def test_a_log_is_imported_with_the_options_of_its_kind(
    kind: str, name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = imported(kind, name, tmp_path)
    said = capfd.readouterr()
    assert code == 0, said.out + said.err
    ds = xr.open_zarr(tmp_path / "lab.zarr").load()
    assert ds.i_bias.size == CURVES.get(name, 4)
    assert (ds.cell_state == 1).all()
    k = ds.n_switched if "n_switched" in ds else (ds.switched & ds.valid).sum("cycle")
    if name not in OTHER_CYCLES:
        assert int(k.sum()) == counted(rows())["n_switched"].sum() * ds.i_bias.size // 4


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
