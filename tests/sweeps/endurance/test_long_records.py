"""Long logs at one current: taken as they are, with a share, a drift that is none by chance, and Fig. S5."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import binomtest

from spinneurons.analysis.cubes import by_width
from spinneurons.characterization.figures import FIGURES
from spinneurons.endurance.analysis import LONG, long_record, long_records
from spinsweep.cli import main

SHARE, CURRENT = 0.62, 6.1e-4


def rows(device: int, current: float, switched: np.ndarray, seed: int = 0) -> pd.DataFrame:
    reset, write = np.random.default_rng(seed).normal([np.full(switched.size, -0.3), -0.3 + 0.65 * switched], 0.004)
    return pd.DataFrame({
        "width_um": 2.0, "device": device, "i_write_A": current, "cycle": range(switched.size), "r_reset_ohm": reset,
        "r_write_ohm": write,
    })  # fmt: skip


def pulses(count: int, p: float = SHARE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(count) < p


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``long``: two devices at one current each; ``both``: the curves of two, and a long record of one of them."""
    folder = tmp_path_factory.mktemp("lab")
    long = pd.concat([rows(0, CURRENT, pulses(1500, seed=1)), rows(1, 6e-4, pulses(3000, seed=2))])
    plan = 6e-4 + 4e-5 * np.linspace(-4, 4, 9)
    curves = [
        rows(device, round(current, 9), pulses(20, 1 / (1 + np.exp(-(current - 6e-4) / 4e-5)), seed=10 * device + i))
        for device in (0, 1)
        for i, current in enumerate(plan)
    ]
    long.to_csv(folder / "long.csv", index=False)
    pd.concat([*curves, rows(0, CURRENT, pulses(1200, seed=3))]).to_csv(folder / "both.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def cubes(lab: Path) -> dict[str, xr.Dataset]:
    """What was imported of both."""
    for name in ("long", "both"):
        words = ["import", str(lab / f"{name}.csv"), str(lab / f"{name}.zarr"), "--resamples", "10"]
        assert main(words) == 0
    return {name: xr.open_zarr(lab / f"{name}.zarr").load() for name in ("long", "both")}


def test_a_log_of_one_current_is_taken_and_what_it_says_is_said(
    lab: Path, cubes: dict[str, xr.Dataset], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["fits", str(lab / "long.zarr"), "--csv", str(tmp_path / "fits.csv")]) == 0
    said = capsys.readouterr().out
    switched = int(pulses(1500, seed=1).sum())
    assert f"device 0: one current, and a curve takes two: {switched} of 1500 switched at 0.61 mA" in said
    assert f"endurance width 2 um, device 0: {switched} of 1500 cycles switched at 0.61 mA, " in said
    assert "drift from start to end" in said
    assert "runs test p = " in said
    assert "0 of 2 devices have a fit" in said
    table = pd.read_csv(tmp_path / "fits.csv")
    assert table.long_cycles.tolist() == [1500, 3000]
    assert table.long_share[0] == pytest.approx(switched / 1500)
    assert ((table.long_low < SHARE) & (table.long_high > SHARE)).all()


def test_the_dry_run_says_that_there_is_one_current(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", str(lab / "long.csv"), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert said.count("one current") == 2
    assert "mA; 0 with a fit" in said


def test_figure_s5_holds_a_measured_device_against_its_own_share(cubes: dict[str, xr.Dataset]) -> None:
    left, right = FIGURES["s5_endurance"](cubes["long"]).axes
    assert left.get_title(loc="left").startswith("(a)  2 µm, device 1, 600 µA: ")  # the longer record
    share = pulses(3000, seed=2).mean()
    half = 1.96 * np.sqrt(share * (1 - share) / 1000)
    band = left.patches[1].get_extents().transformed(left.transData.inverted())
    np.testing.assert_allclose([band.y0, band.y1], [share - half, share + half], atol=1e-6)
    assert "independent pulses of this share" in left.get_legend().get_title().get_text()
    assert not right.patches  # no band of a fair coin
    points = [container.lines[0].get_ydata()[0] for container in right.containers]
    np.testing.assert_allclose(points, [pulses(1500, seed=1).mean(), share])


def test_a_cube_with_curves_and_a_long_record_has_fits_and_figure_s5(cubes: dict[str, xr.Dataset]) -> None:
    cube = cubes["both"]
    assert np.isfinite(cube.i_bias).all()
    records = long_records(cube)
    assert records.valid.sum("cycle").values.tolist() == [[1200, 0]]
    np.testing.assert_array_equal(records.switched.values[0, 0], pulses(1200, seed=3))
    assert float(records.i_write[0, 0]) == CURRENT
    left, right = FIGURES["s5_endurance"](cube).axes
    assert " of 1200, " in left.get_title(loc="left").replace("\n", " ")
    assert right.get_title(loc="left") == f"(b)  devices without {LONG} cycles at one current: 1"


def test_a_log_of_counts_has_no_order_and_no_figure_s5(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["width_um,device,i_write_A,n_switched,n"]
    lines += [f"2,0,{i}e-4,{k},2000" for i, k in ((5, 100), (6, 900), (7, 1900))]
    (tmp_path / "counts.csv").write_text("\n".join(lines))
    store = tmp_path / "counts.zarr"
    assert main(["import", str(tmp_path / "counts.csv"), str(store), "--resamples", "10"]) == 0
    assert main(["figures", str(store), "--only", "s5_endurance"]) == 0
    assert "not drawn s5_endurance: no device has 1000 cycles at one current" in capsys.readouterr().out
    assert long_records(by_width(xr.open_zarr(store).load())).sizes["cycle"] == 0


def walk(rng: np.random.Generator, count: int, memory: float) -> np.ndarray:
    """Fair pulses that repeat the one before with probability (1 + memory)/2: their correlation is the memory."""
    repeats = rng.random(count) < (1 + memory) / 2
    return np.cumsum(~repeats) % 2 == 0


@pytest.mark.parametrize("memory", [0.0, 0.4])
def test_a_steady_record_has_a_drift_at_5_percent_in_one_of_twenty_also_if_pulses_remember(memory: float) -> None:
    rng = np.random.default_rng(7)
    records = [long_record(walk(rng, 2000, memory)) for _ in range(400)]
    false = sum(record.change_p_value < 0.05 for record in records)
    assert binomtest(false, len(records), 0.05).pvalue > 0.001
    covered = sum(record.change_low <= 0 <= record.change_high for record in records)
    assert covered == len(records) - false
    assert np.mean([record.correlation for record in records]) == pytest.approx(memory, abs=0.01)


def test_wear_is_a_drift_of_its_size() -> None:
    rng = np.random.default_rng(8)
    record = long_record(rng.random(10_000) < np.linspace(0.55, 0.45, 10_000))
    assert record.change_low < -0.1 < record.change_high
    assert record.change_p_value < 0.001


@pytest.mark.parametrize("p", [0, 1])
def test_a_record_without_any_change_has_no_drift_and_no_correlation(p: int) -> None:
    record = long_record(np.full(LONG, p, bool))
    assert (record.share, record.change, record.change_p_value) == (p, 0, 1)
    assert np.isnan(record.correlation)


def test_a_device_that_always_switches_is_drawn() -> None:
    pulses = (("width", "device", "current", "cycle"), np.ones((1, 1, 1, LONG), bool))
    data = {"i_write": (("width", "device", "current"), [[[6e-4]]]), "switched": pulses, "valid": pulses}
    cube = xr.Dataset(data, {"width": [2.0], "device": [0], "cycle": np.arange(LONG)})
    left, _ = FIGURES["s5_endurance"](cube).axes
    assert f"{LONG} of {LONG}, 100.0 %" in left.get_title(loc="left").replace("\n", " ")
    assert left.get_ylim()[0] < 1 < left.get_ylim()[1]
