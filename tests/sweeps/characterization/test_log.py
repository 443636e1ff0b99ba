"""A laboratory's CSV: read whole, or refused with the line and the column."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spinsweep
from spinneurons.characterization import log_files as logs
from spinneurons.characterization.decisions import DecisionRule
from spinneurons.characterization.imported import Understanding, recorded
from spinneurons.logs.table import LogError
from spinneurons.neurons import card as cards
from spinneurons.neurons.hall_bar import HallBar

HEADER = "width_um,device,i_write_A,cycle,r_reset_ohm,r_write_ohm"
CARD = cards.default()


def rows(widths=(5.0, 0.3), devices=(0, 1), currents=12, cycles=30):
    """Rows of a simulated recording, in order of measurement."""
    found = []
    for width in widths:
        for device in devices:
            bias, scale = HallBar(CARD).individual(width, device)
            plan = HallBar(CARD).write_currents(width, currents)
            reset, write = HallBar(CARD).measure(
                bias, scale, plan, cycles, np.random.default_rng([int(10 * width), device])
            )
            for i, c in np.ndindex(reset.shape):
                found.append(
                    f"{width},{device},{plan[i]!r},{c},{reset[i, c]},{write[i, c]}".replace(
                        "np.float64(", ""
                    ).replace(")", "")
                )
    return found


def written(tmp_path, lines, name="lab.csv"):
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_recording_is_read_into_labelled_arrays(tmp_path):
    log = logs.read(written(tmp_path, [HEADER, *rows()]))
    assert dict(log.sizes) == {"width": 2, "device": 2, "current": 12, "cycle": 30}
    assert log["width"].values.tolist() == [5.0, 0.3]
    assert log["width"].attrs == {"units": "um", "long_name": "bar width"}
    assert log["r_reset"].dtype == np.float32
    np.testing.assert_array_equal(log["i_write"].sel(width=0.3, device=1), HallBar(CARD).write_currents(0.3, 12))
    bias, scale = HallBar(CARD).individual(0.3, 1)
    expected = HallBar(CARD).measure(
        bias, scale, HallBar(CARD).write_currents(0.3, 12), 30, np.random.default_rng([3, 1])
    )
    np.testing.assert_array_equal(log["r_write"].sel(width=0.3, device=1), expected.r_write)
    assert log["recorded"].values.all()


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_the_order_of_the_rows_does_not_matter(tmp_path_factory, seed):
    lines = rows(currents=3, cycles=4)
    path = tmp_path_factory.mktemp("log")
    shuffled = list(np.random.default_rng(seed).permutation(lines))
    assert logs.read(written(path, [HEADER, *shuffled])).identical(logs.read(written(path, [HEADER, *lines])))


def test_columns_may_stand_in_any_order_and_further_ones_are_kept(tmp_path):
    lines = [
        "temperature_K,cycle,device,width_um,r_write_ohm,r_reset_ohm,i_write_A,operator",
        "295.5,0,0,1.0,3.6,-1.8,5e-4,ada",
        ",1,0,1.0,-1.8,-1.8,0.0005,grace",
        "296,0,0,1.0,-1.8,-1.8,4e-4,ada",
    ]
    log = logs.read(written(tmp_path, lines))
    assert log["i_write"].values.ravel().tolist() == [4e-4, 5e-4]
    np.testing.assert_array_equal(log["temperature_K"].values[0, 0], [[296, np.nan], [295.5, np.nan]])
    assert log["operator"].values[0, 0].tolist() == [["ada", ""], ["ada", "grace"]]
    np.testing.assert_array_equal(log["r_write"].values[0, 0], np.float32([[-1.8, np.nan], [3.6, -1.8]]))


def test_devices_may_have_different_currents_and_counts(tmp_path):
    lines = [HEADER, "1,0,3e-4,0,1,2", "1,0,4e-4,0,1,2", "1,0,4e-4,1,1,2", "0.5,2,2e-4,5,1,2"]
    log = logs.read(written(tmp_path, lines))
    assert dict(log.sizes) == {"device": 2, "current": 2, "cycle": 3}
    assert log["cycle"].values.tolist() == [0, 1, 5]
    assert (log["device"].values.tolist(), log["width"].values.tolist()) == ([0, 2], [1.0, 0.5])
    np.testing.assert_array_equal(log["i_write"].sel(device=2), [2e-4, np.nan])
    assert log["recorded"].values.sum() == np.isfinite(log["r_write"]).sum() == 4


def test_a_lost_sample_is_nan_and_comments_blank_lines_and_a_byte_order_mark_are_skipped(tmp_path):
    path = tmp_path / "lab.csv"
    path.write_text(
        f"\ufeff# lab book 7\n{HEADER}\n\n1,0,3e-4,0,,nan\n# pause\n1,0,3e-4,1,NaN,9.9e37\n", encoding="utf-8"
    )
    log = logs.read(path)
    assert np.isnan(log["r_reset"].values).all()
    assert log["recorded"].values.all()
    assert np.isnan(log["r_write"].values).all()  # the mark of an overload


BAD = {
    "text": ("1,0,x,0,1,2", "column 'i_write_A' holds 'x', where i_write is a number"),
    "no current": ("1,0,,0,1,2", "column 'i_write_A' holds ''; it takes a current in A"),
    "infinite current": ("1,0,inf,0,1,2", "column 'i_write_A' holds 'inf'; it takes a current in A"),
    "nan current": ("1,0,nan,0,1,2", "column 'i_write_A' holds ''; it takes a current in A"),
    "negative width": ("-1,0,1e-4,0,1,2", "column 'width_um' holds '-1'; it takes a width in um above 0"),
    "half a device": ("1,0.5,1e-4,0,1,2", "column 'device' holds '0.5'; it takes a whole number from 0 up"),
    "negative cycle": ("1,0,1e-4,-1,1,2", "column 'cycle' holds '-1'; it takes a whole number from 0 up"),
    "infinite cycle": ("1,0,1e-4,inf,1,2", "column 'cycle' holds 'inf'; it takes a whole number from 0 up"),
    "resistance": (
        "1,0,1e-4,0,1,two",
        "column 'r_write_ohm' holds 'two', where r_write is a number",
    ),
    "short": ("1,0,1e-4,0,1", "column 'r_write_ohm' is missing; the other lines have 6 fields, this one 5"),
    "long": (
        "1,0,1e-4,0,1,2,3",
        "there is a field '3' beyond the last column 'r_write_ohm'; the other lines have 6 fields, this one 7",
    ),
    "decimal comma": ("1,0,1e-4,0,1,2,5", "there is a field '5' beyond the last column"),
    "quote": ('1,0,1e-4,0,"1"x,2', "column 'r_reset_ohm' holds '1x', where r_reset is a number"),
    "repeat": (
        "5.0,0,3e-4,7,1,2",
        "width 5, device 0, i_write 0.0003, cycle 7 is on line 3 already; each row stands once",
    ),
}


@pytest.mark.parametrize(("row", "message"), BAD.values(), ids=BAD)
def test_a_malformed_row_is_refused_with_its_line_and_column(tmp_path, row, message):
    good = ["# a comment on line 1", HEADER, "5,0,0.0003,7,-1.8,3.6", "", "5,0,3e-4,8,-1.8,3.6"]
    path = written(tmp_path, [*good, row, "5,0,3e-4,9,-1.8,3.6"])
    with pytest.raises(LogError, match=re.escape(f"{path}:6: {message}")) as caught:
        logs.read(path)
    assert "\n" not in str(caught.value)


def test_the_first_of_many_bad_fields_of_a_column_is_named(tmp_path):
    path = written(tmp_path, [HEADER, "1,0,1e-4,0,1,2", "1,0,1e-4,one,1,2", "1,0,1e-4,two,1,2"])
    with pytest.raises(LogError, match=":3: column 'cycle' holds 'one'"):
        logs.read(path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([HEADER + ",cycle", "1,0,1e-4,0,1,2,3"], r":1: column 'cycle' stands twice"),
        ([HEADER.replace("width_um", "breadth_um"), "1,0,1e-4,0,1,2"], r"nothing says how wide the bars are"),
        ([HEADER], r": has no rows; it needs a line of names"),
        ([""], r": has no rows; it needs a line of names"),
    ],
)
def test_a_wrong_header_is_refused(tmp_path, lines, message):
    with pytest.raises(LogError, match=message):
        logs.read(written(tmp_path, lines))


def test_a_file_that_cannot_be_read_is_refused_by_its_path(tmp_path):
    with pytest.raises(LogError, match=r"none\.csv: cannot be read \(No such file or directory\)"):
        logs.read(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LogError, match=r"bytes\.csv: has no rows"):
        logs.read(tmp_path / "bytes.csv")


def imported(tmp_path, lines, reset_state=-1, header=HEADER):
    path = written(tmp_path, [header, *lines])
    how = Understanding(DecisionRule(reset_state), "logistic", 50)
    return spinsweep.run(
        recorded(logs.understood([path]), "lab.csv", how),
        tmp_path / f"{reset_state}.zarr",
        block=1,
    ).dataset.load()


def test_a_log_is_characterized_like_a_simulation(tmp_path):
    found = imported(tmp_path, rows())
    assert found["valid"].values.all()
    for width in (5.0, 0.3):
        for device in (0, 1):
            one = found.sel(width=width, device=device)
            bias, scale = HallBar(CARD).individual(width, device)
            assert abs(float(one["i_bias"]) - bias) < 4 * float(one["i_bias_stderr"])
            assert abs(float(one["i0"]) - scale) < 4 * float(one["i0_stderr"])
            assert float(one["window_low"]) < float(one["window"]) < float(one["window_high"])
            assert int(one["dof"]) == 10


def test_what_went_wrong_with_a_device_is_told_and_harms_no_other(tmp_path):
    lines = [re.sub(r"(0\.3,0,.*),.*", r"\1,-1.8", r) for r in rows()]  # one never switches
    found = imported(tmp_path, lines)
    assert np.isfinite(found["i_bias"].values).tolist() == [[True, True], [False, True]]
    assert found["fit_status"].values.tolist() == [[0, 0], [6, 0]]
    assert found["fit_status"].attrs["flag_meanings"].split()[6] == "never_switched"
    never = found.sel(width=0.3, device=0)
    assert never["valid"].all()
    assert not never["switched"].any()


def test_a_recording_with_the_high_reset_level_needs_only_its_sign(tmp_path):
    lines = [",".join([*r.split(",")[:4], *(str(-float(v)) for v in r.split(",")[4:])]) for r in rows()]
    assert imported(tmp_path, lines, reset_state=1)["valid"].values.all()
    assert not imported(tmp_path, lines, reset_state=-1)["valid"].values.any()


def test_intervals_do_not_depend_on_which_other_devices_are_in_the_log(tmp_path):
    (tmp_path / "part").mkdir()
    whole = imported(tmp_path, rows())
    part = imported(tmp_path / "part", [r for r in rows() if r.startswith("0.3,1")])
    assert float(part["i_bias_low"].sel(width=0.3, device=1)) == float(whole["i_bias_low"].sel(width=0.3, device=1))


def test_a_whole_campaign_of_100_800_rows_is_read(tmp_path):
    path = written(tmp_path, [HEADER, *rows(cards.value(CARD, "devices.widths"), range(4), 28, 100)])
    log = logs.read(path)
    assert log["recorded"].values.sum() == 100_800


def test_further_columns_keep_their_values_under_names_that_a_cube_may_have(tmp_path):
    lines = [f"{r},{i},{25.5 if i % 2 else ''},2026-11-{1 + i % 9:02d}T10:00:00" for i, r in enumerate(rows())]
    found = imported(tmp_path, lines, header=HEADER + ",errors,T (degC),time")
    assert found["log_errors"].dtype == np.float64
    assert found["T_degC"].attrs["long_name"] == "T (degC)"
    assert set(np.unique(found["T_degC"].values[np.isfinite(found["T_degC"].values)])) == {25.5}
    assert found["time"].dtype.kind == "M"
    assert str(found["time"].values.ravel()[0])[:19] == "2026-11-01T10:00:00"


def test_a_text_column_with_a_label_for_each_row_is_kept_in_time_and_space(tmp_path):
    lines = [f"{r},sample {i}" for i, r in enumerate(rows())]
    found = imported(tmp_path, lines, header=HEADER + ",note")
    labels = json.loads(found["note"].attrs["labels"])
    assert len(labels) == len(lines)
    assert labels[int(found["note"].values.ravel()[7])] == "sample 7"
    assert "flag_values" not in found["note"].attrs


def test_an_infinite_resistance_is_refused(tmp_path):
    with pytest.raises(LogError, match=r":2: column 'r_write_ohm' holds 'inf'"):
        logs.read(written(tmp_path, [HEADER, "1,0,1e-4,0,1,inf"]))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("500,0,4e-4,0,1,2", "column 'width_um' holds '500'; a bar is 0.05 to 50 um wide; is the column in um"),
        ("5e-7,0,4e-4,0,1,2", "column 'width_um' holds '5e-07'; a bar is 0.05 to 50 um wide; is the column in um"),
        ("0.5,0,352,0,1,2", "column 'i_write_A' holds '352'; no Hall bar takes more than 0.1 A; is the column in A"),
        ("0.5,0,0.352,0,1,2", "column 'i_write_A' holds '0.352'; no Hall bar takes more than 0.1 A"),
    ],
)
def test_a_width_or_a_current_of_another_unit_is_refused_with_its_line(tmp_path, row, message):
    path = written(tmp_path, [HEADER, "0.5,0,4e-4,1,1,2", row])
    with pytest.raises(LogError, match=re.escape(f"{path}:3: {message}")):
        logs.read(path)


def test_resistances_may_be_of_any_size(tmp_path):
    log = logs.read(written(tmp_path, [HEADER, "0.5,0,4e-4,0,-1e6,3e-9"]))
    assert log["r_reset"].values.ravel() == [-1e6]
