"""``spinsweep paper --frontier``: the run, its table and what it says."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import xarray as xr

from spinneurons.paper import frontier, plan
from spinneurons.paper.frontier import core_hours, sentence
from spinneurons.paper.plan import PlannedSweep
from spinsweep.cli import main

SMALL = {"method": "none,calibrated,in-the-loop", "pulses": "0,28,200", "ratio": "35", "seed": "0:3",
         "steps": "20", "epochs": "1", "images": "8", "test_images": "60"}  # fmt: skip

WHOLE = {"method": "none,calibrated,software-then-loop,in-the-loop", "pulses": "0,28,200", "layers": "784-20-10",
         "seed": "0:3", "epochs": "1", "test_images": "60", "test_steps": "10"}  # fmt: skip
WEEKS = {"week": "0,52,1000", "ratio": "35", "seed": "0:3", "steps": "20", "epochs": "1", "images": "8",
         "pulses": "200", "test_images": "60"}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command writes, with small settings."""
    made = tmp_path_factory.mktemp("frontier")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPINSWEEP_CACHE", str(made / "cache"))
        settings = {"frontier": SMALL, "whole-network": WHOLE, "lifetime": WEEKS}
        small = tuple(PlannedSweep(name, (), full=values) for name, values in settings.items())
        patch.setattr(plan, "FRONTIER", small)
        patch.setattr(frontier, "FRONTIER", small)
        assert main(["paper", "--frontier", "--workers", "0", "--out", str(made)]) == 0
    return made


def test_figure_table_and_page_are_written(folder: Path) -> None:
    written = {
        f"{name}.{kind}" for name in ("frontier", "whole-network", "lifetime") for kind in ("png", "csv", "md")
    }
    assert {p.name for p in folder.iterdir()} == {"cubes", "cache", *written}
    cube = xr.open_zarr(folder / "cubes/frontier.zarr").load()
    page = (folder / "frontier.md").read_text()
    assert f"in {core_hours(cube):.2g} core hours: 3 chips" in page
    assert page.count("## I_bias/i0 = 35, ±") == 2
    with (folder / "frontier.csv").open() as file:
        rows = list(csv.DictReader(file))
    (row,) = (r for r in rows if (r["method"], r["pulses"], r["variation"]) == ("calibrated", "200", "0.25"))
    chosen = cube["accuracy"].sel({"method": "calibrated", "pulses": 200, "variation": 0.25, "ratio": 35.0})
    assert float(row["accuracy"]) == pytest.approx(100 * float(chosen.mean()), rel=1e-4)
    assert "| calibrated | " in page
    assert f"{100 * float(chosen.mean()):.1f} ± " in page


def test_the_sentence_says_more_or_less_only_where_the_interval_does(folder: Path) -> None:
    part = xr.open_zarr(folder / "cubes/frontier.zarr").load().sel(variation=0.25, ratio=35.0)
    shape = part["accuracy"].isel(method=0, pulses=0, drop=True)
    for gain, verdict in ((0.2, "more"), (-0.2, "less"), (0.0, "no difference beyond the interval")):
        some = part.copy(deep=True)
        some["accuracy"][:] = 0.5
        some["accuracy"].loc[{"method": "calibrated", "pulses": 28}] = 0.5 + gain + 0.01 * (shape["seed"] - 1)
        assert f"{100 * gain:+.1f} ± 2.5 points with 28 (0.039 h; {verdict})" in sentence(some)
        assert "with 200 pulses a device (0.28 h) gives 50.0 %" in sentence(some)


def test_the_full_frontier_is_that_of_the_sweep_with_and_without_variation_of_i0() -> None:
    four, whole, weeks = (planned.sweep(Path(), quick=False) for planned in plan.FRONTIER)
    assert four.axis("i0_variation").values == (0.0, 0.1)
    assert len(four.axis("seed").values) == 20
    assert whole.axis("layers").values == ("784-25-10", "784-400-10")
    assert len(whole.axis("seed").values) == 5
    assert weeks.axis("week").values == (0, 1, 4, 13, 26, 52, 104, 208)


def test_the_page_of_a_whole_network_compares_with_both_starts(folder: Path) -> None:
    page = (folder / "whole-network.md").read_text()
    assert "3 chips with a device for each neuron" in page
    assert "## 784-20-10, 0.3 µm, ±25 %" in page
    assert "Hardware in the loop, begun with weights of software, with 200 pulses a device (0.28 h) gives" in page
    assert "Hardware in the loop with 200 pulses a device (0.28 h) gives" in page
    assert page.count("points with 28 (0.039 h;") == 2


def test_the_page_of_the_lifetime_says_when_a_point_is_lost(folder: Path) -> None:
    page = (folder / "lifetime.md").read_text()
    assert "| method | week 0 | week 52 | week 1,000 |" in page
    assert "`calibrated`, with 140 pulses a device, has lost 1 point after" in page
    assert "pulses of each device a day" in page
    with (folder / "lifetime.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["week"] for row in rows} == {"0", "52", "1000"}
    assert all(float(row["loss"]) == 0 for row in rows if row["week"] == "0")
