"""Logs of every kind as cubes: bars with widths of their own, counts, both signs, drifting levels, later files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from spinneurons.analysis.cubes import by_width
from spinneurons.analysis.fits import fit_line
from spinneurons.characterization.decisions import DecisionRule, decide
from spinneurons.neurons import card as cards
from spinneurons.neurons.hall_bar import HallBar
from spinneurons.neurons.levels import level_means
from spinsweep.cli import main

LOW, HIGH, NOISE = -0.3, 0.35, 0.004
Bars = dict[tuple[float, object], tuple[float, float]]
BARS: Bars = {
    (2.0, 0): (6.0e-4, 4e-5),
    (2.0, 1): (6.3e-4, 4e-5),
    (0.5, 0): (4.4e-4, 1.7e-5),
    (0.5, 1): (4.5e-4, 1.7e-5),
}
"""I_bias and i0 (A) by width and device."""
UNALIKE = ("cell_duration", "cell_attempt", "cell_code")
"""Arrays of a cube in which two that hold the same may differ."""


def log(bars: Bars = BARS, currents: int = 9, cycles: int = 20) -> pd.DataFrame:
    """The log of bars that switch by a logistic curve, each from its own random stream."""
    parts = []
    for number, ((width, device), (bias, scale)) in enumerate(bars.items()):
        rng = np.random.default_rng([3, number])
        plan = np.round(bias + scale * np.linspace(-4, 4, currents), 9)
        i, cycle = (a.ravel() for a in np.indices((currents, cycles)))
        switched = rng.random(i.size) < 1 / (1 + np.exp(-(plan[i] - bias) / scale))
        reset, write = rng.normal([np.full(i.size, LOW), np.where(switched, HIGH, LOW)], NOISE)
        parts.append(pd.DataFrame({
            "width_um": width, "device": device, "i_write_A": plan[i], "cycle": cycle, "r_reset_ohm": reset,
            "r_write_ohm": write,
        }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def written(path: Path, frame: pd.DataFrame) -> str:
    frame.to_csv(path, index=False)
    return str(path)


def imported(tmp_path: Path, frame: pd.DataFrame, *options: str, name: str = "lab", code: int = 0) -> xr.Dataset:
    """The cube of a log, by the command."""
    store = tmp_path / f"{name}.zarr"
    words = ["import", written(tmp_path / f"{name}.csv", frame), str(store), "--resamples", "10", *options]
    assert main(words) == code
    return xr.open_zarr(store).load()


def refused(capfd: pytest.CaptureFixture[str], *words: object) -> str:
    """The one line of a command that ends with status 2."""
    capfd.readouterr()
    assert main([str(word) for word in words]) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    return error


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    return imported(tmp_path_factory.mktemp("base"), log(), name="base")


# Bars that are no product of widths and devices


def measured_widths(count: int = 14) -> Bars:
    widths = np.round(np.linspace(5.03, 0.29, count), 3)
    return {(float(w), i): (3.8e-4 + 1.2e-4 * w, 1e-5 + 1.8e-5 * w) for i, w in enumerate(widths)}


def test_bars_with_widths_of_their_own_are_one_cell_each(tmp_path: Path) -> None:
    ds = imported(tmp_path, log(measured_widths()))
    store = str(tmp_path / "lab.zarr")
    assert ds.cell_state.dims == ("device",)
    assert dict(ds.i_bias.sizes) == {"device": 14}
    assert (ds.width.dims, ds.width.attrs["units"]) == (("device",), "um")
    np.testing.assert_array_equal(ds.width, [w for w, _ in measured_widths()])
    assert main(["status", store]) == 0
    assert main(["figures", store]) == 0
    assert len(list((tmp_path / "lab-figures").glob("*.png"))) == 8


@pytest.mark.slow
def test_lines_and_cards_take_bars_with_widths_of_their_own(tmp_path: Path) -> None:
    ds = imported(tmp_path, log(measured_widths(), cycles=60))
    line = fit_line(ds.i_bias, "width", error=ds.i_bias_stderr, proportional=True)
    assert float(line.slope) == pytest.approx(1.2e-4, rel=0.02)
    assert line.slope.attrs["units"] == "A/um"
    out = tmp_path / "card.toml"
    assert main(["card", str(tmp_path / "lab.zarr"), "--out", str(out)]) == 0
    card = cards.load(out)
    assert card["i_bias"]["slope"]["value"] == pytest.approx(float(line.slope), rel=1e-9)
    assert HallBar(card).labels() == {"width": [w for w, _ in measured_widths()], "device": [0]}
    assert [d["i_bias"] for d in card["device"]] == ds.i_bias.values.tolist()


@pytest.mark.slow
def test_devices_have_their_names_and_only_those_that_are_there_are_cells(tmp_path: Path) -> None:
    names: Bars = {
        (2.0, "A3-R2C2"): (6e-4, 4e-5),
        (0.5, "A3-R2C10"): (4.4e-4, 2e-5),
        (0.5, "A3-R2C9"): (4.4e-4, 2e-5),
    }
    ds = imported(tmp_path, log(names))
    assert ds.device.values.tolist() == ["A3-R2C2", "A3-R2C9", "A3-R2C10"]
    assert ds.width.values.tolist() == [2.0, 0.5, 0.5]
    assert ds.i_bias.sel(device="A3-R2C2") == pytest.approx(6e-4, rel=0.05)
    for command in (["status"], ["figures"], ["card"]):
        assert main([*command, str(tmp_path / "lab.zarr")]) == 0


def test_a_cube_by_device_is_drawn_as_one_by_width_and_device(tmp_path: Path, base: xr.Dataset) -> None:
    frame = log()
    frame["device"] = [f"{w}-{d}" for w, d in zip(frame["width_um"], frame["device"], strict=True)]
    drawn = by_width(imported(tmp_path, frame))
    for name in ("i_bias", "i_write", "switched", "valid"):
        np.testing.assert_array_equal(drawn[name], base[name])
    assert drawn.name.values.tolist() == [["2.0-0", "2.0-1"], ["0.5-0", "0.5-1"]]
    assert by_width(base).identical(base)


# Counts


@pytest.fixture
def counts() -> pd.DataFrame:
    frame = log().assign(n_switched=lambda f: f["r_write_ohm"] > 0, n=1)
    return frame.groupby(["width_um", "device", "i_write_A"])[["n_switched", "n"]].sum().reset_index()


def test_counts_give_the_fits_of_the_cycles_that_were_counted(
    tmp_path: Path, counts: pd.DataFrame, base: xr.Dataset
) -> None:
    ds = imported(tmp_path, counts)
    assert not {"cycle", "switched", "valid", "r_write"} & set(ds.variables)
    np.testing.assert_array_equal(ds.n_switched, (base.switched & base.valid).sum("cycle"))
    assert (ds.n_valid == 20).all()
    for name in ("i_bias", "i_bias_stderr", "i0", "deviance", "dof", "i_bias_low", "window_high"):
        np.testing.assert_array_equal(ds[name], base[name], err_msg=name)
    for command in ("status", "figures", "card"):
        assert main([command, str(tmp_path / "lab.zarr")]) == 0


def test_a_probability_is_a_count_once_the_number_of_pulses_is_said(
    tmp_path: Path, counts: pd.DataFrame, capfd: pytest.CaptureFixture[str]
) -> None:
    frame = counts.assign(p=counts["n_switched"] / counts["n"]).drop(columns=["n_switched", "n"])
    error = refused(capfd, "import", written(tmp_path / "p.csv", frame), tmp_path / "p.zarr")
    assert "nothing says of how many pulses the counts are: name the column, or --constant n=30" in error
    error = refused(capfd, "import", tmp_path / "p.csv", tmp_path / "p.zarr", "--constant", "n=7")
    assert "this is no whole number of 7 pulses; is n right?" in error
    ds, want = imported(tmp_path, frame, "--constant", "n=20"), imported(tmp_path, counts, name="counts")
    np.testing.assert_array_equal(ds.n_switched, want.n_switched)
    np.testing.assert_array_equal(ds.i_bias, want.i_bias)


def test_more_pulses_that_switched_than_pulses_are_refused_with_their_line(
    tmp_path: Path, counts: pd.DataFrame, capfd: pytest.CaptureFixture[str]
) -> None:
    counts.loc[3, "n_switched"] = 21
    error = refused(capfd, "import", written(tmp_path / "c.csv", counts), tmp_path / "c.zarr")
    assert "c.csv:5: column 'n_switched' holds '21'; more pulses switched than there were" in error


def test_columns_of_those_names_beside_readings_are_further_columns(tmp_path: Path) -> None:
    ds = imported(tmp_path, log().assign(p=0.25, n=3))
    assert (ds.p == 0.25).all()
    assert (ds.n == 3).all()
    assert "cycle" in ds.dims


# Both signs, a further axis, zero current


def test_pulses_of_both_signs_have_a_curve_each_and_the_card_takes_one(
    tmp_path: Path, base: xr.Dataset, capfd: pytest.CaptureFixture[str]
) -> None:
    mirrored = log().assign(
        i_write_A=lambda f: -f["i_write_A"], r_reset_ohm=lambda f: -f["r_reset_ohm"],
        r_write_ohm=lambda f: -f["r_write_ohm"],
    )  # fmt: skip
    ds = imported(tmp_path, pd.concat([log(), mirrored]))
    store = tmp_path / "lab.zarr"
    assert ds.i_bias.dims == ("width", "device", "polarity")
    for sign in (1, -1):
        np.testing.assert_array_equal(ds.i_bias.sel(polarity=sign), base.i_bias)
        np.testing.assert_array_equal(ds.switched.sel(polarity=sign), base.switched)
    assert (ds.i_write > 0).all()
    assert main(["status", str(store)]) == main(["figures", str(store)]) == 0
    assert "each device has 2 curves, along polarity; choose one" in refused(capfd, "card", store)
    assert "--select polarity=0: it has 1, -1" in refused(capfd, "card", store, "--select", "polarity=0")
    assert main(["card", str(store), "--select", "polarity=-1", "--out", str(tmp_path / "c.toml")]) == 0
    assert [d["i_bias"] for d in cards.load(tmp_path / "c.toml")["device"]] == base.i_bias.values.ravel().tolist()


@pytest.mark.slow
def test_a_temperature_may_be_an_axis(tmp_path: Path, base: xr.Dataset, capfd: pytest.CaptureFixture[str]) -> None:
    frame = pd.concat([log().assign(T_K=t) for t in (300.0, 10.0)])
    error = refused(capfd, "import", written(tmp_path / "t.csv", frame), tmp_path / "t.zarr")
    assert "each row stands once; if another quantity was varied, name its column: --axis" in error
    ds = imported(tmp_path, frame, "--axis", "T_K")
    assert ds.i_bias.dims == ("width", "device", "T_K")
    assert ds.T_K.values.tolist() == [10.0, 300.0]
    for t in (10, 300):
        np.testing.assert_array_equal(ds.i_bias.sel(T_K=t), base.i_bias)
    assert main(["figures", str(tmp_path / "lab.zarr")]) == 0
    error = refused(capfd, "import", tmp_path / "t.csv", tmp_path / "x.zarr", "--axis", "T_C")
    assert "there is no column 'T_C' for --axis (did you mean 'T_K'?)" in error


def test_a_pulse_of_no_current_is_a_current_as_others(tmp_path: Path) -> None:
    zero = log().query("cycle < 5").drop_duplicates(["width_um", "device", "cycle"]).assign(i_write_A=0.0)
    ds = imported(tmp_path, pd.concat([log(), zero]))
    assert (ds.i_write.isel(current=0) == 0).all()
    assert (ds.valid.isel(current=0).sum("cycle") == 5).all()


# How states are told


def test_without_readings_after_reset_the_levels_of_the_others_tell_the_states(
    tmp_path: Path, base: xr.Dataset, capfd: pytest.CaptureFixture[str]
) -> None:
    ds = imported(tmp_path, log().drop(columns="r_reset_ohm"))
    assert "no readings after reset: every reset is taken to have succeeded" in capfd.readouterr().out
    np.testing.assert_array_equal(ds.i_bias, base.i_bias)
    assert np.isnan(ds.r_reset).all()


def test_a_drifting_offset_is_told_by_the_difference_of_each_pair(tmp_path: Path, base: xr.Dataset) -> None:
    frame = log()
    drift = 1.5 * np.arange(len(frame)) / len(frame) * len(BARS)
    frame[["r_reset_ohm", "r_write_ohm"]] += drift[:, None]
    for name, options in (("auto", ()), ("said", ("--difference",))):
        ds = imported(tmp_path, frame, *options, name=name)
        np.testing.assert_array_equal(ds.switched, base.switched)
        np.testing.assert_array_equal(ds.i_bias, base.i_bias)
        assert (ds.decided_by == 1).all()
    assert ds.decided_by.attrs["flag_meanings"].split()[1] == "difference"


def test_three_levels_are_named_and_the_user_says_which_are_states(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    frame = log()
    high = np.flatnonzero(frame["r_write_ohm"] > 0)
    frame.loc[high[::2], "r_write_ohm"] -= HIGH + 0.03
    imported(tmp_path, frame, code=1)
    out = capfd.readouterr().out
    assert "3 levels, -0.3" in out
    assert "say which are the states, --levels LOW,HIGH or --threshold OHM" in out
    by_threshold = imported(tmp_path, frame, "--threshold", "-0.2", name="threshold")
    assert int(by_threshold.switched.sum()) == high.size
    by_levels = imported(tmp_path, frame, "--levels=-0.3,0.35", name="levels")
    assert int(by_levels.switched.sum()) == high.size - high[::2].size


def test_a_wrong_reset_state_is_refused_with_the_option_that_helps(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], base: xr.Dataset
) -> None:
    frame = log()
    frame[["r_reset_ohm", "r_write_ohm"]] *= -1
    error = refused(capfd, "import", written(tmp_path / "a.csv", frame), tmp_path / "a.zarr")
    assert error == "spinsweep: a.csv: resets give the high level: say --reset-state 1\n"
    assert not (tmp_path / "a.zarr").exists()
    ds = imported(tmp_path, frame, "--reset-state", "1")
    np.testing.assert_array_equal(ds.i_bias, base.i_bias)


def test_every_cycle_that_is_not_used_is_counted_by_its_reason(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    frame = log()
    frame.loc[[4, 5, 6], "r_reset_ohm"] = HIGH
    frame.loc[[200, 201], "r_write_ohm"] = np.nan
    frame.loc[[7], "r_write_ohm"] = 0.72
    ds = imported(tmp_path, frame)
    out = capfd.readouterr().out
    assert "714 of 720 cycles used; not used: 3 reset failed, 1 beyond the levels, 2 lost reading" in out
    assert int(ds.valid.sum()) == 714
    rows = [line.split() for line in out.splitlines() if line.startswith("holds     2 um")]
    assert [row[3:7] for row in rows] == [["0", "9", "180", "176"], ["1", "9", "180", "178"]]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--threshold", "0", "--difference"], "three ways to tell states; give one of them"),
        (["--levels", "0.3,-0.3"], "give the low one first, in ohm"),
        (["--levels", "0.3"], "is not LOW,HIGH in ohm, such as --levels=-0.3,0.35"),
        (["--time-format", "%H"], "--time-format %H: no column has times of this form"),
    ],
)
def test_options_that_cannot_be_are_one_line(
    options: list[str], says: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert says in refused(capfd, "import", written(tmp_path / "a.csv", log()), tmp_path / "a.zarr", *options)
    assert not (tmp_path / "a.zarr").exists()


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**32),
    levels=st.lists(st.floats(-5, 5), min_size=1, max_size=4, unique=True).filter(
        lambda values: all(b - a > 0.2 for a, b in zip(sorted(values), sorted(values)[1:], strict=False))
    ),
)
def test_distinct_levels_are_those_that_the_readings_have(seed: int, levels: list[float]) -> None:
    rng = np.random.default_rng(seed)
    readings = rng.normal(np.repeat(levels, 200), 0.005)
    np.testing.assert_allclose(level_means(rng.permutation(readings)), sorted(levels), atol=0.005)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32), rule=st.sampled_from(["levels", "threshold", "difference"]))
def test_cycles_used_and_cycles_not_used_are_all_that_were_recorded(seed: int, rule: str) -> None:
    rng = np.random.default_rng(seed)
    state, shape = rng.random((6, 30)) < 0.5, (6, 30)
    reset = rng.normal(np.where(rng.random(shape) < 0.1, HIGH, LOW), NOISE)
    write = rng.normal(np.where(state, HIGH, LOW), NOISE)
    write[rng.random(shape) < 0.1] = np.nan
    write[rng.random(shape) < 0.05] = 40.0
    recorded = rng.random(shape) < 0.9
    reset[~recorded] = write[~recorded] = np.nan
    rules = {
        "levels": DecisionRule(),
        "threshold": DecisionRule(threshold=0.0),
        "difference": DecisionRule(difference=True),
    }
    result = decide(reset, write, recorded, rules[rule], HallBar(cards.default()))
    assert sum(result.unused.values()) + int(result.valid.sum()) == int(recorded.sum())
    assert not (result.valid & ~recorded).any()
    assert not (result.switched & ~result.valid).any()


# Later files


def same(one: xr.Dataset, other: xr.Dataset) -> list[str]:
    """Names of what differs between two cubes."""
    return [str(n) for n in other.data_vars if n not in UNALIKE and not one[n].equals(other[n])]


PARTS = {
    "devices": lambda f: f["device"] == 0,
    "widths": lambda f: f["width_um"] == 2,
    "currents": lambda f: f.groupby(["width_um", "device"])["i_write_A"].rank(method="dense") <= 5,
    "cycles": lambda f: f["cycle"] < 12,
    "some rows of each": lambda f: np.random.default_rng(5).random(len(f)) < 0.6,
}


@pytest.mark.parametrize(
    "part", [part if "rows" in part else pytest.param(part, marks=pytest.mark.slow) for part in PARTS]
)
def test_a_log_in_two_files_one_after_the_other_is_the_log_in_one(part: str, tmp_path: Path) -> None:
    frame = log().assign(
        T_K=lambda f: 290 + f["cycle"] / 10, operator=lambda f: np.where(f["cycle"] > 15, "Bo", "Ada")
    )
    whole = imported(tmp_path, frame, name="whole")
    first = np.asarray(PARTS[part](frame))
    imported(tmp_path, frame[first])
    more = written(tmp_path / "more.csv", frame[~first])
    words = ["import", more, str(tmp_path / "lab.zarr"), "--resamples", "10"]
    assert main(words) == 0
    ds = xr.open_zarr(tmp_path / "lab.zarr").load()
    assert same(ds.sel(width=whole.width, device=whole.device), whole) == []
    assert ds.attrs["imported_from"] == "lab.csv, more.csv"
    assert main(["status", str(tmp_path / "lab.zarr")]) == main(["verify", str(tmp_path / "lab.zarr")]) == 0
    assert sorted(p.name for p in tmp_path.glob(".*")) == []  # nothing is left beside


def test_cells_whose_rows_did_not_change_are_not_computed_again(tmp_path: Path) -> None:
    frame = log()
    before = imported(tmp_path, frame[frame["device"] == 0])
    more = pd.concat([frame[frame["device"] == 1], frame[(frame["width_um"] == 2) & (frame["device"] == 0)]])
    extra = frame[(frame["width_um"] == 0.5) & (frame["device"] == 0)].query("cycle == 0").assign(cycle=19)
    lacking = frame.drop(index=frame.query("width_um == 0.5 and device == 0 and cycle == 19").index)
    imported(tmp_path, lacking[lacking["device"] == 0], name="less")
    assert main(["import", written(tmp_path / "m.csv", more), str(tmp_path / "less.zarr"), "--resamples", "10"]) == 0
    assert main(["import", written(tmp_path / "x.csv", extra), str(tmp_path / "less.zarr"), "--resamples", "10"]) == 0
    ds = xr.open_zarr(tmp_path / "less.zarr").load()
    assert ds.cell_attempt.values.tolist() == [[1, 1], [2, 1]]  # two rows more of one device alone
    assert ds.i_bias.sel(width=2, device=0) == before.i_bias.sel(width=2, device=0)


def test_a_row_that_is_another_now_is_refused_with_file_and_line_and_nothing_changes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = imported(tmp_path, log())
    frame = log()
    frame.loc[7, "r_write_ohm"] += 0.01
    error = refused(capfd, "import", written(tmp_path / "b.csv", frame), tmp_path / "lab.zarr", "--resamples", "10")
    assert "b.csv:9: r_write is " in error
    assert "rows that are in the cube stay" in error
    assert xr.open_zarr(tmp_path / "lab.zarr").load().identical(before)


def test_the_same_file_again_adds_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    frame = log().assign(note="x", at="2026-11-20 10:00:00")
    before = imported(tmp_path, frame)
    capfd.readouterr()
    again = imported(tmp_path, frame)
    assert "append    0 rows to those of" in capfd.readouterr().out
    assert same(again, before) == []
    assert (again.cell_attempt == 1).all()


def test_what_later_files_say_more_of_rows_that_are_there_is_counted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    imported(tmp_path, log().query("device == 0"))
    again = written(tmp_path / "more.csv", log().assign(T_K=290.5))
    assert main(["import", again, str(tmp_path / "lab.zarr"), "--resamples", "10"]) == 0
    assert "not used  column 'T_K' of 360 rows that are in the cube already" in capfd.readouterr().out
    ds = xr.open_zarr(tmp_path / "lab.zarr").load()
    assert (ds.T_K.sel(device=1) == 290.5).all()
    assert np.isnan(ds.T_K.sel(device=0)).all()


@pytest.mark.slow
def test_one_sign_may_be_appended_to_a_log_of_both(tmp_path: Path) -> None:
    signed = ["i_write_A", "r_reset_ohm", "r_write_ohm"]
    frame = pd.concat([log(), log().assign(**{n: -log()[n] for n in signed})])
    whole = imported(tmp_path, frame, name="whole")
    first = np.asarray((frame["i_write_A"] < 0) | (frame["cycle"] < 15))
    imported(tmp_path, frame[first])
    more = written(tmp_path / "more.csv", frame[~first])
    assert main(["import", more, str(tmp_path / "lab.zarr"), "--resamples", "10"]) == 0
    assert same(xr.open_zarr(tmp_path / "lab.zarr").load(), whole) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f.drop(columns="r_reset_ohm"), "the cube has readings after reset, and the files have no read"),
        (lambda f: f.assign(i_write_A=-f["i_write_A"]), "the cube has positive write currents, and the files have"),
        (lambda f: f.drop_duplicates("i_write_A")[["width_um", "device", "i_write_A"]].assign(n=3, n_switched=1),
         "the cube has cycles, and the files have counts"),
    ],
)  # fmt: skip
def test_what_is_no_more_of_the_same_is_refused(
    change: object, says: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    imported(tmp_path, log())
    other = written(tmp_path / "b.csv", change(log()))  # type: ignore[operator]
    assert says in refused(capfd, "import", other, tmp_path / "lab.zarr", "--resamples", "10")


def test_a_damaged_cell_comes_back_with_its_own_file_before_others_are_appended(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    frame = log()
    first = frame["device"] == 0
    whole = imported(tmp_path, frame[first])
    store = tmp_path / "lab.zarr"
    chunk = next(p for p in sorted((store / "r_write" / "c").rglob("*")) if p.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-1])
    assert main(["verify", str(store), "--repair"]) == 0
    more = written(tmp_path / "more.csv", frame[~first])
    error = refused(capfd, "import", more, store, "--resamples", "10")
    assert "is damaged; first import lab.csv again, and then more files" in error
    assert main(["import", str(tmp_path / "lab.csv"), str(store), "--resamples", "10"]) == 0
    assert main(["import", more, str(store), "--resamples", "10"]) == 0
    again = xr.open_zarr(store).load()
    assert same(again.sel(device=whole.device), whole) == []
    assert (again.cell_state == 1).all()


# What is said


def test_a_unit_that_makes_no_sense_is_doubted_with_the_likely_range_and_the_option(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    frame = log()
    imported(tmp_path, frame)
    assert "warning" not in capfd.readouterr().err
    imported(tmp_path, frame.assign(i_write_A=frame["i_write_A"] * 100), name="other")
    error = capfd.readouterr().err
    assert "half of the pulses switch at 45 to 63 mA" in error
    assert "Likely is 3.1e+09 to 3.5e+12 A/m2, by the built-in device card within a factor of 20" in error
    assert """are they in mA? Then say --columns 'i_write={column="i_write_A", unit="mA"}'""" in error


def test_a_drafted_mapping_is_a_mapping(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    frame = log().rename(columns={"r_write_ohm": "Rxy after", "i_write_A": "Pulse current (mA)"})
    frame["Pulse current (mA)"] *= 1e3
    path = written(tmp_path / "lab.csv", frame.assign(note='"a" = b'))
    assert main(["import", "--draft-mapping", path]) == 0
    text = capfd.readouterr().out
    assert 'i_write = {column = "Pulse current (mA)", unit = "mA"}' in text
    assert '# Is "Rxy after" a quantity? -0.3' in text
    assert "# r_write = {column = ?}  # which column is the resistance after write?" in text
    drafted = tmp_path / "map.toml"
    drafted.write_text(text.replace("# r_write = {column = ?}", 'r_write = "Rxy after"'))
    store = tmp_path / "lab.zarr"
    assert main(["import", path, str(store), "--mapping", str(drafted), "--resamples", "10"]) == 0
    drafted.write_text(text)
    error = refused(capfd, "import", path, tmp_path / "x.zarr", "--mapping", drafted)
    assert "nothing says what was read after write" in error


@pytest.mark.parametrize("shape", ["base", "counts", "no names", "a header"])
def test_a_draft_of_what_is_recognised_is_accepted_as_it_is(
    shape: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], counts: pd.DataFrame
) -> None:
    path = tmp_path / "lab.csv"
    (counts if shape == "counts" else log()).to_csv(path, index=False, header=shape != "no names")
    if shape == "a header":
        one = log().query("width_um == 2 and device == 0").drop(columns=["width_um", "device"])
        path.write_text("# Bar width: 2000 nm\n# Device: 7\n" + one.to_csv(index=False))
    assert main(["import", "--draft-mapping", str(path)]) == 0
    (tmp_path / "map.toml").write_text(capfd.readouterr().out)
    words = ["import", str(path), "--resamples", "10"]
    assert main([*words, str(tmp_path / "a.zarr"), "--mapping", str(tmp_path / "map.toml")]) == 0
    assert main([*words, str(tmp_path / "b.zarr")]) == 0
    drafted, plain = (xr.open_zarr(tmp_path / f"{n}.zarr").load() for n in "ab")
    assert same(drafted, plain) == []
    assert json.loads(drafted.attrs["parameters"])["recording"]["form"] == "by width and device"


def test_a_dry_run_needs_no_store_and_says_the_same_table(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "lab.csv", log())
    assert main(["import", path, "--dry-run"]) == 0
    dry = [line for line in capfd.readouterr().out.splitlines() if line.startswith("holds")]
    imported(tmp_path, log())
    assert [line for line in capfd.readouterr().out.splitlines() if line.startswith("holds")] == dry
    assert len(dry) == 3 + len(BARS)  # names of columns, what * means, and the sums


def test_times_of_a_format_that_the_user_says_become_seconds(tmp_path: Path) -> None:
    ds = imported(tmp_path, log().assign(at="20/11/26 10:30"), "--time-format", "%d/%m/%y %H:%M")
    assert str(ds["at"].values.ravel()[0]).startswith("2026-11-20T10:30")
