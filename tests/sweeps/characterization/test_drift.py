"""Two logs a week apart: one cube with a day of each file, or two cubes, and the same drift from both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from spinsweep.cli import main

BARS = {(2.0, 0): (6.0e-4, 4e-5), (2.0, 1): (6.3e-4, 4e-5), (0.5, 0): (4.4e-4, 1.7e-5), (0.5, 1): (4.5e-4, 1.7e-5)}
"""I_bias and i0 (A) on the first day by width and device."""
DRIFT = 0.08


def log(drift: float, seed: int, bars: dict[tuple[float, int], tuple[float, float]] = BARS) -> pd.DataFrame:
    parts = []
    for number, ((width, device), (bias, scale)) in enumerate(bars.items()):
        rng = np.random.default_rng([seed, number])
        plan = np.round(bias + scale * np.linspace(-4, 4, 9), 9)
        i, cycle = (a.ravel() for a in np.indices((9, 30)))
        switched = rng.random(i.size) < 1 / (1 + np.exp(-(plan[i] - bias * (1 + drift)) / scale))
        reset, write = rng.normal([np.full(i.size, -0.3), np.where(switched, 0.35, -0.3)], 0.004)
        parts.append(pd.DataFrame({
            "width_um": width, "device": device, "i_write_A": plan[i], "cycle": cycle, "r_reset_ohm": reset,
            "r_write_ohm": write,
        }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def command(*words: object) -> int:
    return main([str(word) for word in words])


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``week0.csv`` and ``week1.csv``; each as a cube; and both as days of one."""
    folder = tmp_path_factory.mktemp("lab")
    files = [folder / f"week{week}.csv" for week in (0, 1)]
    log(0.0, 1).to_csv(files[0], index=False)
    log(DRIFT, 2).to_csv(files[1], index=False)
    few = ("--resamples", 10)
    for file in files:
        assert command("import", file, file.with_suffix(".zarr"), *few) == 0
    assert command("import", *files, folder / "days.zarr", "--axis", "day=0,7", *few) == 0
    return folder


def table(tmp_path: Path, *stores: Path) -> pd.DataFrame:
    assert command("drift", *stores, "--csv", tmp_path / "drift.csv", "--force") == 0
    return pd.read_csv(tmp_path / "drift.csv", keep_default_na=True)


def test_two_cubes_and_two_days_of_one_cube_have_the_same_drift(lab: Path, tmp_path: Path) -> None:
    apart = table(tmp_path, lab / "week0.zarr", lab / "week1.zarr")
    pd.testing.assert_frame_equal(apart, table(tmp_path, lab / "days.zarr"))
    assert len(apart) == len(BARS)
    assert (apart.i_bias_change_low_percent < 100 * DRIFT).all()
    assert (apart.i_bias_change_high_percent > 100 * DRIFT).all()
    assert (apart.p_value < 0.05).all()


def test_the_mean_and_the_scatter_are_said(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("drift", lab / "days.zarr") == 0
    said = capsys.readouterr().out
    assert "compared  day 0 and day 7\n" in said
    assert "drift     I_bias +" in said
    assert "devices scatter by" in said
    assert "changed   4 of 4 devices, p < 0.05; about 0.2 are expected by chance" in said


@pytest.mark.parametrize("how", ["appended", "by the files' names"])
def test_a_day_may_come_later_or_from_the_files_names(lab: Path, tmp_path: Path, how: str) -> None:
    store, few = tmp_path / "lab.zarr", ("--resamples", 10)
    if how == "appended":
        for week, day in ((0, 0), (1, 7)):
            assert command("import", lab / f"week{week}.csv", store, "--axis", f"day={day}", *few) == 0
        axis = "day"
    else:
        axis, pattern = "week", ("--name-pattern", "week{week}.csv")
        assert command("import", lab / "week0.csv", lab / "week1.csv", store, "--axis", axis, *pattern, *few) == 0
    cube, days = xr.open_zarr(store), xr.open_zarr(lab / "days.zarr")
    assert cube.i_bias.dims == ("width", "device", axis)
    np.testing.assert_array_equal(cube.i_bias.values, days.i_bias.values)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--axis", "day=0"], "--axis day: 1 for 2 files; it takes one value for each"),
        (["--axis", "day=0,monday"], "is not NAME=VALUES, a number for each file"),
        (["--axis", "=0,7"], "is not NAME=VALUES, a number for each file"),
        (["--axis", "device=0,7"], "is a quantity of its own, and no further axis"),
        (["--axis", "day"], "for a value that is one in each file: --axis day=0,7"),
        (["--name-pattern", "week{week}.csv"], "if files differ in it, add --axis week"),
        (["--axis", "k", "--name-pattern", "w{k}0.csv"], "its name says k is 'eek', and --axis needs a number"),
    ],
)
def test_an_axis_of_files_that_cannot_be_is_refused_in_one_line(
    lab: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert command("import", lab / "week0.csv", lab / "week1.csv", "--dry-run", *words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_devices_of_one_cube_alone_or_without_a_fit_are_named_and_counted(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = log(DRIFT, 2)
    frame = frame[(frame.width_um == 2) | (frame.device == 0)]
    frame.loc[(frame.width_um == 2) & (frame.device == 1), "r_write_ohm"] = -0.3
    frame.to_csv(tmp_path / "less.csv", index=False)
    assert command("import", tmp_path / "less.csv", tmp_path / "less.zarr", "--resamples", 10) == 0
    capsys.readouterr()
    assert command("drift", lab / "week0.zarr", tmp_path / "less.zarr") == 0
    said = capsys.readouterr().out
    assert "absent    width 0.5 um, device 1: not in less.zarr\n" in said
    assert "no fit    width 2 um, device 1: never switched in less.zarr\n" in said
    assert "left out  2 of 4 devices: 1 absent from one cube or day, 1 without a fit\n" in said


def test_what_cannot_be_compared_is_refused(lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = log(0.0, 1, {(1.0, 5): (5e-4, 3e-5), (1.0, 6): (5e-4, 3e-5)})
    other.to_csv(tmp_path / "other.csv", index=False)
    assert command("import", tmp_path / "other.csv", tmp_path / "other.zarr", "--resamples", 10) == 0
    cloglog = tmp_path / "cloglog.zarr"
    assert command("import", lab / "week1.csv", cloglog, "--link", "cloglog", "--resamples", 10) == 0
    for words, said in (
        ([lab / "week0.zarr"], "has no axis hour, day, week, month, year with two values; name the later cube too"),
        ([lab / "week0.zarr", tmp_path / "other.zarr"], "have no device in common, of 4 and 2"),
        ([lab / "week0.zarr", cloglog], "is fitted by logistic and cloglog.zarr by cloglog"),
        ([lab / "days.zarr", "--figure", tmp_path / "s4.gif"], "is no .png, .svg, .pdf"),
        ([lab / "days.zarr", "--csv", lab / "week0.csv"], "is there already"),
    ):
        capsys.readouterr()
        assert command("drift", *words) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1


def test_figure_s4_is_drawn_of_two_days_and_of_two_cubes(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures"
    only = ("--only", "s4_persistence", "--out", out)
    assert command("figures", lab / "days.zarr", *only) == 0
    text = (out / "s4_persistence.svg").stat().st_size
    assert text > 10_000
    assert command("drift", lab / "week0.zarr", lab / "week1.zarr", "--figure", tmp_path / "s4.png") == 0
    assert (tmp_path / "s4.png").stat().st_size > 10_000
    capsys.readouterr()
    (out / "s4_persistence.svg").unlink()
    assert command("figures", lab / "week0.zarr", *only) == 0
    assert "not drawn s4_persistence: the cube has one day alone" in capsys.readouterr().out
    assert not (out / "s4_persistence.svg").exists()
