"""Whatever the format, the units and the names: the same measurement is the same log."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from shapes import COLUMNS, OTHERS, TEXTS, measured, scaled, text

from spinneurons.characterization.log_files import read, understood
from spinneurons.logs import registry
from spinneurons.logs.cycles import Selection
from spinneurons.logs.mapping import load, parse
from spinneurons.logs.table import LogError
from spinsweep.cli import main


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    return read(text(tmp_path_factory.mktemp("log") / "a.csv", measured()))


@pytest.mark.parametrize("shape", [*TEXTS, *OTHERS])
def test_the_same_measurement_in_any_shape_is_the_same_log(shape: str, tmp_path: Path, expected: xr.Dataset) -> None:
    log = read({**TEXTS, **OTHERS}[shape](tmp_path, measured()))
    xr.testing.assert_equal(log[list(expected.data_vars)], expected)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ("commas", ["UTF-8", "separated by commas"]),
        ("semicolons and decimal commas", ["separated by semicolons", "decimal comma"]),
        ("UTF-16", ["UTF-16"]),
        ("Latin-1", ["Windows-1252"]),
        ("no names", ["separated by tabs", "no line of names"]),
        ("units below the names", ["units below the names"]),
        ("mA", ["i_write is column 'i_write_mA' in mA"]),
        ("negative", ["write currents are negative; their magnitude is kept"]),
        ("no cycle", ["no column of cycles: numbered in the order of the rows"]),
        ("Excel", ["Excel, sheet 'data'"]),
    ],
)
def test_how_a_file_was_understood_is_said(shape: str, said: list[str], tmp_path: Path) -> None:
    notes = understood([{**TEXTS, **OTHERS}[shape](tmp_path, measured())]).notes
    assert set(said) <= set(notes), notes


def test_a_cut_last_line_and_a_footer_are_left_out_and_said(tmp_path: Path) -> None:
    whole = text(tmp_path / "a.csv", measured())
    cut = tmp_path / "cut.csv"
    cut.write_text(whole.read_text().rstrip("\n").rpartition(",")[0])
    log = understood([cut])
    assert len(log.frame) == len(measured()) - 1
    assert log.left_out == ("cut.csv: the last line is cut: it has 5 of 6 fields",)
    ended = text(tmp_path / "ended.csv", measured(), after="\nEnd of measurement\n")
    assert understood([ended]).left_out == ("ended.csv: a line at the end is no row: 'End of measurement'",)


@pytest.mark.parametrize("mark", ["9.9e37", "OVERFLOW", "Overload", "9.9E+37"])
def test_a_reading_beyond_the_range_is_a_lost_sample(mark: str, tmp_path: Path) -> None:
    path = text(tmp_path / "a.csv", measured())
    lines = path.read_text().splitlines()
    lines[7] = lines[7].rpartition(",")[0] + f",{mark}"
    path.write_text("\n".join(lines) + "\n")
    log = understood([path])
    assert log.frame["r_write"].isna().tolist() == [row == 6 for row in range(len(measured()))]
    if mark.startswith("9"):
        assert log.left_out == ("a.csv: 1 readings were beyond the meter's range",)


def test_voltages_become_resistances_by_the_read_current(tmp_path: Path, expected: xr.Dataset) -> None:
    frame = measured()
    for name in ("reset", "write"):
        frame = scaled(frame, f"r_{name}_ohm", f"v_{name}_V", 50e-6)
    path = text(tmp_path / "a.csv", frame)
    with pytest.raises(LogError, match="nothing says what the read current was: --constant 'i_read=50 uA'"):
        read(path)
    xr.testing.assert_allclose(read(path, mapping=parse([], ["i_read=50 uA"])), expected, rtol=1e-6)
    headed = text(tmp_path / "b.csv", frame, "# Read current: 0.05 mA\n")
    xr.testing.assert_allclose(read(headed), expected, rtol=1e-6)


def test_a_column_that_the_user_names_has_the_unit_that_the_file_states_or_the_factor_that_is_given(
    tmp_path: Path, expected: xr.Dataset
) -> None:
    frame = scaled(scaled(measured(), "i_write_A", "Amplitude (mA)", 1e3), "r_write_ohm", "Rxy after", 1e3)
    path = text(tmp_path / "a.csv", frame, ",".join(frame) + "\num,,mA,,ohm,mOhm\n", header=False)
    columns = ['i_write="Amplitude (mA)"', 'r_write="Rxy after"']
    xr.testing.assert_allclose(read(path, mapping=parse(columns, [])), expected, rtol=1e-6)
    by_hand = ['i_write={column="Amplitude (mA)", factor=1e-3}', 'r_write={column="Rxy after", factor=1e-3}']
    xr.testing.assert_allclose(read(path, mapping=parse(by_hand, [])), expected, rtol=1e-6)


def test_a_density_becomes_a_current_by_width_and_thickness(tmp_path: Path, expected: xr.Dataset) -> None:
    frame = measured()
    frame["J"] = frame["i_write_A"] / (frame["width_um"] * 1e-6 * 5e-9) * 1e-10  # MA/cm^2
    path = text(tmp_path / "a.csv", frame.drop(columns="i_write_A"))
    mapping = parse(['j_write={column="J", unit="MA/cm^2"}'], ["thickness=5 nm"])
    xr.testing.assert_allclose(read(path, mapping=mapping), expected, rtol=1e-9)


def test_files_of_one_device_each_are_one_log_by_their_names(tmp_path: Path, expected: xr.Dataset) -> None:
    paths = [
        text(tmp_path / f"w{width}_d{device}.csv", part.drop(columns=["width_um", "device"]))
        for (width, device), part in measured().groupby(["width_um", "device"])
    ]
    mapping = parse([], [], "w{width_um}_d{device}.csv")
    xr.testing.assert_equal(read(*paths, mapping=mapping)[list(expected.data_vars)], expected)
    with pytest.raises(LogError, match=r"other\.csv: its name is not of the form w\{width_um\}_d\{device\}\.csv"):
        read(text(tmp_path / "other.csv", measured()), mapping=mapping)


def test_a_header_says_what_no_column_does_and_the_user_says_more(tmp_path: Path) -> None:
    one = measured().query("width_um == 2 and device == 0").drop(columns=["width_um", "device"])
    path = text(tmp_path / "a.csv", one, "#Parameters:\n#\tBar width: 2000 nm\n#\tDevice: 7\n#Data:\n")
    log = read(path)
    assert (log["width"].values.tolist(), log["device"].values.tolist()) == ([2.0], [7])
    log = read(path, mapping=parse([], ["width=3 um"]))
    assert log["width"].values.tolist() == [3.0]


def test_currents_as_read_back_belong_to_those_of_the_plan(tmp_path: Path, expected: xr.Dataset) -> None:
    noise = 1 + 1e-4 * np.random.default_rng(1).standard_normal(len(measured()))
    log = understood([text(tmp_path / "a.csv", measured().assign(i_write_A=measured()["i_write_A"] * noise))])
    assert "120 currents as read back belong to 20 of a plan, within 0.3%" in log.notes
    again = read(tmp_path / "a.csv")
    assert again.sizes == expected.sizes
    np.testing.assert_allclose(again["i_write"], expected["i_write"], rtol=3e-4)
    xr.testing.assert_equal(again["r_write"], expected["r_write"])


def test_names_of_devices_are_the_axis(tmp_path: Path, expected: xr.Dataset) -> None:
    names = {(2.0, 0): "A3-R2C2", (2.0, 1): "A3-R2C10", (0.5, 0): "B1-R9C4", (0.5, 1): "B1-R9C5"}
    frame = measured()
    frame["device"] = [names[key] for key in zip(frame["width_um"], frame["device"], strict=True)]
    log = read(text(tmp_path / "a.csv", frame))
    assert log["device"].values.tolist() == list(names.values())  # R2C10 behind R2C2
    assert log["width"].values.tolist() == [2.0, 2.0, 0.5, 0.5]
    for (width, device), name in names.items():
        one, other = log.sel(device=name), expected.sel(width=width, device=device)
        np.testing.assert_array_equal(one["r_write"], other["r_write"])
        np.testing.assert_array_equal(one["i_write"], other["i_write"])


def test_pulses_of_both_signs_are_an_axis_and_may_be_taken_one_at_a_time(
    tmp_path: Path, expected: xr.Dataset
) -> None:
    both = pd.concat([measured(), measured().assign(i_write_A=-measured()["i_write_A"])])
    path = text(tmp_path / "a.csv", both)
    log = read(path)
    assert log["polarity"].values.tolist() == [1, -1]
    for sign in (1, -1):
        xr.testing.assert_equal(log.sel(polarity=sign, drop=True), expected)
    for polarity in ("positive", "negative"):
        chosen = Selection(polarity=polarity)
        xr.testing.assert_equal(read(path, selection=chosen), expected)
        assert understood([path], None, chosen).left_out == ("a.csv: 120 rows of the other polarity",)


def test_times_in_several_forms_become_seconds(tmp_path: Path) -> None:
    frame = measured().assign(at="20.11.2026 10:00:00", iso="2026-11-20 10:00:00")
    log = read(text(tmp_path / "a.csv", frame))
    assert log["at"].attrs["units"] == log["iso"].attrs["units"] == "seconds since 1970-01-01"
    xr.testing.assert_equal(log["at"], log["iso"].rename("at"))


MISTAKES = {
    "no column": (['i_write="Curent (A)"'], [], "", r"there is no column 'Curent \(A\)' for i_write"),
    "no quantity": (["i_wrte=x"], [], "", r"'i_wrte' is no quantity of a log \(did you mean 'i_write'\?\)"),
    "no unit": (
        ['i_write={column="i_write_A", unit="V"}'],
        [],
        "",
        "i_write: 'V' is not a unit of it; give A or a multiple of it",
    ),
    "no equals": (["i_write"], [], "", "--columns i_write: is not QUANTITY=..., such as"),
    "no value": ([], ["width=wide"], "", "width is 'wide' by what you say, which is no value of it, such as 2 um"),
    "no brace": ([], [], "w{breadth}.csv", r"\{breadth\} is no quantity, such as \{width_um\} or \{device\}"),
}


@pytest.mark.parametrize(("columns", "constants", "pattern", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mapping_that_cannot_be_is_one_line(
    columns: list[str], constants: list[str], pattern: str, message: str, tmp_path: Path
) -> None:
    path = text(tmp_path / "a.csv", measured().drop(columns="width_um") if constants else measured())
    with pytest.raises(LogError, match=message) as caught:
        read(path, mapping=parse(columns, constants, pattern))
    assert "\n" not in str(caught.value)


def test_a_mapping_in_a_file_is_the_same_as_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text(
        '[columns]\ni_write = "I"\nr_write = {column = "Rxy", unit = "mohm", factor = 2}\n'
        '[constants]\nwidth = "2 um"\n'
        '[file_name]\npattern = "d{device}.csv"\n'
    )
    columns = ['i_write="I"', 'r_write={column = "Rxy", unit = "mohm", factor = 2}']
    assert load(tmp_path / "map.toml") == parse(columns, ['width="2 um"'], "d{device}.csv")
    (tmp_path / "map.toml").write_text("[colums]\n")
    with pytest.raises(LogError, match=r"map\.toml: 'colums' is no part of a mapping \(did you mean 'columns'\?\)"):
        load(tmp_path / "map.toml")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.xlsx", b"PK\x03\x04 not a workbook", "is not an Excel workbook that can be read"),
        ("a.h5", b"\x89HDF\r\n\x1a\n and no more", "cannot be read"),
        ("a.mat", b"MATLAB 5.0 MAT-file and no more", "is not a MATLAB file that can be read"),
        ("a.parquet", b"PAR1 and no more", "is not Parquet that can be read"),
        ("a.npz", b"PK\x03\x04 .npy", "is not a NumPy archive that can be read"),
        ("a.bin", b"\x00\x01\x02\x03", "is of no format that can be read; known are .asc, .cdf, .csv"),
        ("a.csv", b"a lab book\nwithout numbers\n", "has no rows"),
        ("a.csv", b"", "has no rows"),
    ],
)
def test_a_file_that_is_broken_or_of_no_format_is_one_line(
    name: str, data: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(LogError, match=re.escape(f"{tmp_path / name}: {message}")) as caught:
        registry.read(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_an_import_says_what_it_read_and_a_dry_run_makes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = text(tmp_path / "a.csv", scaled(measured(cycles=40), "i_write_A", "i_write_mA", 1e3))
    command = ["import", str(path), str(tmp_path / "lab.zarr")]
    assert main([*command, "--dry-run"]) == 0
    assert "holds     4 curves, 800 of 800 cycles used; currents from 0.1 to 0.8 mA" in capsys.readouterr().out
    assert not (tmp_path / "lab.zarr").exists()
    main([*command, "--resamples", "20"])
    recording = json.loads(json.loads((tmp_path / "lab.zarr" / "zarr.json").read_text())["attributes"]["parameters"])
    assert recording["recording"]["file"] == "a.csv"
    assert list(COLUMNS)[2] == "i_write_A"
