"""``spinsweep fits``, the figures and the card of a log whose devices are not all honest switches."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure

from spinneurons.analysis.cubes import by_width
from spinneurons.characterization import figures
from spinneurons.characterization.fit_table import fit_table
from spinneurons.neurons import card as cards
from spinneurons.neurons.checked_fit import STATUSES
from spinneurons.neurons.laws import LOGISTIC
from spinsweep.cli import main

LOW, HIGH, NOISE = -0.30, 0.35, 0.004
CURRENTS = {2.0: np.linspace(4e-4, 8e-4, 11), 0.5: np.linspace(3.5e-4, 5.3e-4, 11)}
BIAS, SCALE = {2.0: 6e-4, 0.5: 4.4e-4}, {2.0: 4e-5, 0.5: 1.7e-5}


def device(width: float, label: int, p: np.ndarray, stop: float = 0.0, cycles: int = 60) -> pd.DataFrame:
    """Cycles of a device that switches with ``p`` at each current; a share ``stop`` of them stops half-way."""
    rng = np.random.default_rng([int(10 * width), label])
    current, cycle = (a.ravel() for a in np.meshgrid(CURRENTS[width], np.arange(cycles), indexing="ij"))
    switched = rng.random(current.size) < np.repeat(p, cycles)
    level = np.where(switched, np.where(rng.random(current.size) < stop, -0.03, HIGH), LOW)
    reset, write = LOW + NOISE * rng.standard_normal(current.size), level + NOISE * rng.standard_normal(current.size)
    columns = {"i_write_A": current, "cycle": cycle, "r_reset_ohm": reset, "r_write_ohm": write}
    return pd.DataFrame({"width_um": width, "device": label, **columns})


def honest(width: float) -> np.ndarray:
    return LOGISTIC.probability((CURRENTS[width] - BIAS[width]) / SCALE[width])


KINDS: dict[int, tuple[str, np.ndarray, float]] = {
    0: ("fitted", honest(2.0), 0.0),
    1: ("slope_not_different_from_zero", np.full(11, 0.5), 0.0),
    2: ("fitted", 0.7 * honest(2.0), 0.0),  # saturates: a bad fit
    3: ("never_switched", np.zeros(11), 0.0),
    4: ("always_switched", np.ones(11), 0.0),
    5: ("partial_switching", honest(2.0), 0.4),
    6: ("no_bias_current_in_measured_range", LOGISTIC.probability((CURRENTS[2.0] - 9e-4) / 5e-5), 0.0),
    7: ("fitted", honest(2.0), 0.05),  # few stop half-way: levels are distinct, and there are three
}
"""Devices of 2 um: what is right, the probability at each current, and the share that stops half-way."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of them, and of two honest devices of 0.5 um, as it was imported."""
    folder = tmp_path_factory.mktemp("log")
    log = [device(2.0, label, p, stop) for label, (_, p, stop) in KINDS.items()]
    log += [device(0.5, label, honest(0.5)) for label in (0, 1)]
    pd.concat(log).to_csv(folder / "lab.csv", index=False)
    assert main(["import", str(folder / "lab.csv"), str(folder / "lab.zarr"), "--resamples", "200"]) == 0
    return folder / "lab.zarr"


@pytest.fixture(scope="module")
def cube(store: Path) -> xr.Dataset:
    return by_width(xr.open_zarr(store)).load()


@pytest.fixture(scope="module")
def table(cube: xr.Dataset) -> pd.DataFrame:
    return fit_table(cube).set_index(["width_um", "device"])


def test_every_device_has_the_status_of_its_kind_and_numbers_only_with_a_fit(
    cube: xr.Dataset, table: pd.DataFrame
) -> None:
    assert len(table) == 10  # done; devices 2 to 7 of 0.5 um have no row
    for label, (status, _, _) in KINDS.items():
        one = cube.sel(width=2.0, device=label)
        assert STATUSES[int(one.fit_status)] == status == table.loc[(2.0, label), "status"]
        numbers = [float(one[name]) for name in ("i_bias", "i_bias_low", "i0", "i0_stderr", "window", "deviance")]
        assert np.isfinite(numbers).all() if status == "fitted" else np.isnan(numbers).all()
        assert bool(table.loc[(2.0, label), "reason"]) == (status != "fitted")
    meanings = dict(zip(cube.fit_status.flag_values, cube.fit_status.flag_meanings.split(), strict=True))
    assert meanings[int(cube.fit_status.sel(width=2.0, device=3))] == "never_switched"


def test_what_never_or_always_switched_is_counted_and_bounds_the_bias_current(
    cube: xr.Dataset, table: pd.DataFrame
) -> None:
    for label, share, column, bound in ((3, 0.0, "i_bias_above_A", 8e-4), (4, 1.0, "i_bias_below_A", 4e-4)):
        one = cube.sel(width=2.0, device=label)
        assert one.valid.all()
        assert float(one.switched.mean()) == share
        assert table.loc[(2.0, label), column] == pytest.approx(bound)
    fitted = table.loc[(2.0, 0)]
    assert fitted["i_bias_above_A"] < fitted["i_bias_A"] < fitted["i_bias_below_A"]


def test_a_plateau_is_a_bad_fit_and_an_honest_device_is_not(table: pd.DataFrame) -> None:
    assert table["bad_fit"].to_dict()[(2.0, 2)]
    assert table["bad_fit"].sum() == 1
    assert table.loc[(2.0, 2), "overdispersion"] > 2
    assert table.loc[(2.0, 0), "p_value"] > 0.01


def test_three_levels_are_counted_also_where_the_states_can_be_told(cube: xr.Dataset, table: pd.DataFrame) -> None:
    assert cube.level_count.sel(width=2.0).values.tolist() == [2, 2, 2, 1, 2, 3, 2, 3]
    assert float(cube.intermediate_share.sel(width=2.0, device=5)) == pytest.approx(0.2, abs=0.05)
    assert "partial switching: levels at -0.3, -0.0" in table.loc[(2.0, 5), "reason"]
    assert table.loc[(2.0, 7), "remark"].startswith("3 levels")
    assert table.loc[(2.0, 0), "remark"] == ""


def test_the_command_names_each_device_without_a_fit_and_writes_all_as_csv(
    store: Path, table: pd.DataFrame, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["fits", str(store), "--csv", str(tmp_path / "fits.csv")]) == 0
    said = capfd.readouterr().out
    for label, (status, _, _) in KINDS.items():
        assert (f"no fit    width 2 um, device {label}: " in said) == (status != "fitted")
    assert "none of 660 cycles, up to 0.8 mA; I_bias is above 0.8 mA (95 %)" in said
    assert "bad fit   width 2 um, device 2: deviance" in said
    assert "levels    width 2 um, device 7: 3 levels" in said
    assert "fits      5 of 10 devices have a fit, 1 of these a bad one" in said
    assert "absent" not in said
    read = pd.read_csv(tmp_path / "fits.csv").set_index(["width_um", "device"])
    pd.testing.assert_frame_equal(
        read.select_dtypes("number"), table[read.select_dtypes("number").columns], check_dtype=False
    )


def test_the_import_says_the_same_of_the_devices(store: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = store.with_name("lab.csv")
    assert main(["import", str(log), str(store), "--resamples", "200"]) == 0
    said = capfd.readouterr().out
    assert "no fit    width 2 um, device 1: slope not different from zero: 5" in said
    assert (
        "no fit    width 2 um, device 4: always switched: all of 660 cycles, down to 0.4 mA; I_bias is below" in said
    )
    assert "bad fit   width 2 um, device 2" in said


def test_the_dry_run_has_the_goodness_of_fit_of_the_table(
    store: Path, table: pd.DataFrame, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(store.with_name("lab.csv")), "--dry-run"]) == 0
    said = capfd.readouterr().out
    lines = [line.split() for line in said.splitlines() if line.startswith("holds     ")][1:11]
    for words, (_, row) in zip(lines, table.iterrows(), strict=True):
        if row["status"] != "fitted":
            assert row["status"].replace("_", " ") in " ".join(words)
            continue
        star = "*" if row["p_method"] == "parametric bootstrap" else ""
        fit = [f"{1e3 * row['i_bias_A']:.4g}", f"{row['deviance']:.1f}/{row['dof']}", f"{row['p_value']:.2g}{star}"]
        assert " ".join(fit + ["bad"] * bool(row["bad_fit"])) in " ".join(words)
        assert ("bad" in words) == row["bad_fit"]
    assert " mA; 5 with a fit, 1 of these a bad one\n" in said


def test_a_card_leaves_bad_fits_out_unless_asked(
    store: Path, cube: xr.Dataset, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["card", str(store), "--out", str(tmp_path / "good.toml")]) == 0
    said = capfd.readouterr().out
    assert "left out  width 2 um, device 2: bad fit, p = " in said
    assert said.count("left out") == 6
    assert main(["card", str(store), "--out", str(tmp_path / "all.toml"), "--include-bad-fits"]) == 0
    good, every = (
        {(d["width_um"], d["index"]) for d in cards.load(tmp_path / f)["device"]} for f in ("good.toml", "all.toml")
    )
    assert good == {(2.0, 0), (2.0, 7), (0.5, 0), (0.5, 1)}
    assert every == good | {(2.0, 2)}
    assert "4 devices" in cards.load(tmp_path / "good.toml")["title"]


def test_a_card_on_standard_output_is_a_card_alone(store: Path, capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    assert main(["card", str(store)]) == 0
    out, error = capfd.readouterr()
    assert len(cards.loads(out)["device"]) == 4
    assert error.count("left out") == 6


def test_a_csv_is_not_written_over_a_file_unless_forced(
    store: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text("edited")
    capfd.readouterr()
    assert main(["fits", str(store), "--csv", str(mine)]) == 2
    assert "is there already; give another name, or --force to write over it" in capfd.readouterr().err
    assert mine.read_text() == "edited"
    assert main(["fits", str(store), "--csv", str(mine), "--force"]) == 0
    assert mine.read_text().startswith("width_um,device,status,")


def test_fits_are_of_a_characterization(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "e.zarr"
    settings = ["--set", "width=0.5", "--set", "device=0", "--set", "cycles=10"]
    assert main(["run", "endurance", "--workers", "0", "--store", str(store), *settings]) == 0
    capfd.readouterr()
    assert main(["fits", str(store)]) == 2
    assert "holds the sweep endurance; fits are those of a characterization" in capfd.readouterr().err


def test_cycles_whose_reset_failed_are_counted_and_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = pd.concat([device(2.0, 0, honest(2.0)), device(2.0, 1, honest(2.0))])
    rng = np.random.default_rng(0)
    failed = (log["device"] == 1).to_numpy() & (rng.random(len(log)) < 0.1)
    log.loc[failed, ["r_reset_ohm", "r_write_ohm"]] = HIGH
    log.to_csv(tmp_path / "lab.csv", index=False)
    capfd.readouterr()
    assert main(["import", str(tmp_path / "lab.csv"), str(tmp_path / "lab.zarr"), "--resamples", "50"]) == 0
    said = capfd.readouterr().out
    assert f"not used  width 2 um, device 1: {failed.sum()} of 660 cycles: a reading was lost" in said
    assert "not used  width 2 um, device 0" not in said
    table = fit_table(xr.open_zarr(tmp_path / "lab.zarr")).set_index("device")
    assert table["cycles_not_used"].tolist() == [0, failed.sum()]
    assert table.loc[1, "i_bias_low_A"] < BIAS[2.0] < table.loc[1, "i_bias_high_A"]


@pytest.mark.parametrize("verb", ["fits", "card"])
def test_a_cube_of_a_version_with_other_meanings_is_refused(
    store: Path, tmp_path: Path, verb: str, capfd: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "lab.zarr"
    shutil.copytree(store, copy)
    for file in copy.rglob("*.json"):
        text = file.read_text()
        if "separated falling" in text:
            file.write_text(text.replace("separated falling", "falling separated"))
    capfd.readouterr()
    assert main([verb, str(copy)]) == 2
    out, error = capfd.readouterr()
    assert out == ""
    assert "has other meanings of fit_status: another version made it; run or import it again" in error


def test_a_panel_shows_points_without_a_curve_and_says_why(cube: xr.Dataset) -> None:
    ax = figures.switching(cube.sel(width=[2.0]), Figure().add_subplot())
    words = ax.get_title(loc="left")
    for label, reason in (
        (1, "slope not different from zero"),
        (3, "never switched"),
        (4, "always switched"),
        (5, "partial switching"),
        (6, "no bias current in measured range"),
        (2, "bad fit, p = "),
    ):
        assert f"device {label}: {reason}" in words
    assert "device 0" not in words
    assert len(ax.containers) == 7  # points of all but the one whose states are not known
    curves = [line for line in ax.lines if len(line.get_xdata()) == 300]
    assert [line.get_linestyle() for line in curves] == ["-", "--", "-"]


@pytest.mark.parametrize("name", ["fig3a_i_bias", "fig3b_window", "fig3d_energy_fitted", "s6_gain"])
def test_figures_of_widths_name_the_devices_that_are_not_in_the_line(cube: xr.Dataset, name: str) -> None:
    title = figures.FIGURES[name](cube).axes[0].get_title().replace("\n", " ")
    names = "; ".join(f"2 µm, device {label}" for label in (1, 3, 4, 5, 6))
    assert f"without a fit: {names} bad fit: 2 µm, device 2" in title


@pytest.mark.parametrize("name", [n for n in figures.FIGURES if n not in ("s4_persistence", "s5_endurance")])
def test_figures_of_a_log_in_which_nothing_switched_say_so(cube: xr.Dataset, name: str, tmp_path: Path) -> None:
    figure = figures.FIGURES[name](cube.sel(width=[2.0], device=[3]))
    figure.savefig(tmp_path / "figure.png")
    texts = [t.get_text() for ax in figure.axes for t in ax.texts]
    words = " ".join([*texts, *(ax.get_title(loc=loc) for ax in figure.axes for loc in ("left", "center"))])
    expected = {
        "fig2_switching": "device 3: never switched",
        "s3a_pulses": "2 µm, device 3",  # its pulses are drawn all the same: no fit is needed
        "s3b_trace": "2 µm, device 3, 400 µA: 0 of 60 switched",
    }
    assert expected.get(name, "no device has a fit (2 µm, device 3: never switched)") in words.replace("\n", " ")


def test_the_energy_ratio_is_that_of_the_fitted_devices(cube: xr.Dataset) -> None:
    title = figures.FIGURES["fig3d_energy_fitted"](cube).axes[0].get_title()
    i0 = cube.i0.mean("device")
    ratio = float((i0.sel(width=2.0) / i0.sel(width=0.5)) ** 2)
    assert float(title.split(": ")[1].split(" times")[0]) == pytest.approx(ratio, rel=0.01)
