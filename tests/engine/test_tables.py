"""Tables of means and half widths: every number is there once, rounded as is usual, and read back as it was."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from spinsweep.analysis.intervals import mean_interval, wilson
from spinsweep.analysis.tables import decimals, table
from spinsweep.cli import main
from spinsweep.errors import SpecError


def dataset() -> xr.Dataset:
    """Two modes, three gains and five seeds; one mean without a number, one with four of five."""
    values = 1e-4 * np.random.default_rng(2).normal(3, 0.3, size=(2, 3, 5))
    axes = {"mode": ["a_b", "50 %"], "gain": ("gain", [1.0, 2.0, 3.0], {"units": "V"}), "seed": np.arange(5)}
    state = np.ones(values.shape, np.uint8)
    state[0, 0] = 0
    state[1, 2, 0] = 2
    dims = ("mode", "gain", "seed")
    far = (dims, values, {"units": "A"})
    return xr.Dataset({"far": far, "works": (dims, values > 3e-4), "cell_state": (dims, state)}, axes)


def test_cells_have_the_mean_and_half_width_with_two_digits_of_it() -> None:
    made = table(dataset(), "far")
    assert made.header == ("mode", "gain = 1", "gain = 2", "gain = 3")
    mean, half = mean_interval(dataset().far, "seed")
    m, h = float(mean[0, 1]) * 1e6, float(half[0, 1]) * 1e6
    assert 10 <= h < 100
    assert made.rows[0][2] == f"{m:.0f} ± {h:.0f}"
    assert made.rows[0][1] == "–"
    assert made.rows[1][3].endswith("*")
    assert "far (µA): Mean over seed (5) ± half width of Student's t interval (95 %)." in made.note
    assert "*: some replicates are missing (1 of 6). –: no number (1 of 6)." in made.note


def test_shares_have_wilsons_interval() -> None:
    made = table(dataset(), "works", columns="", level=0.9)
    assert made.header == ("mode", "gain (V)", "works")
    k = int((dataset().far > 3e-4)[0, 1].sum())
    p, low, high = wilson(k, 5, 0.9)
    assert made.rows[1][2] == f"{p:.2f} ({low:.2f}–{high:.2f})"
    assert "Wilson's interval (90 %)" in made.note


def test_markdown_has_as_many_cells_in_each_line() -> None:
    lines = table(dataset(), "far").to_markdown().split("\n\n")[0].splitlines()
    assert {line.count("|") for line in lines} == {5}
    assert len({len(line) for line in lines}) == 1


def test_latex_is_escaped_and_has_the_rules_of_booktabs() -> None:
    text = table(dataset(), "far").to_latex()
    assert text.startswith("\\begin{tabular}{lrrr}\n\\toprule\n")
    assert r"a\_b & -- & " in text
    assert r"50 \% & " in text
    assert re.search(r"\d+ \$\\pm\$ \d+", text)
    assert text.isascii()
    assert text.count(r"\\") == 3  # a header and two rows


def test_csv_has_the_unrounded_numbers() -> None:
    frame = pd.read_csv(io.StringIO(table(dataset(), "far").to_csv()))
    assert list(frame.columns) == ["mode", "gain", "mean", "half", "low", "high", "count", "missing"]
    there = frame[(frame["mode"] == "a_b") & (frame["gain"] == 2.0)].iloc[0]
    mean, half = mean_interval(dataset().far, "seed")
    assert there["mean"] == pytest.approx(float(mean[0, 1]), rel=1e-14)
    assert there["half"] == pytest.approx(float(half[0, 1]), rel=1e-12)
    assert frame["count"].tolist() == [0, 5, 5, 5, 5, 4]


@given(st.floats(1e-9, 1e9))
def test_a_half_width_is_printed_with_two_or_more_digits(half: float) -> None:
    shown = f"{half:.{decimals(half)}f}"
    assert float(shown) == pytest.approx(half, rel=0.051)


def test_one_mean_without_axes_is_a_table_too() -> None:
    made = table(dataset().isel(mode=[1], gain=[1]), "far")
    assert (made.header, len(made.rows)) == (("far (µA)",), 1)
    assert "Everywhere mode = 50 %, gain = 2." in made.note


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"over": "sed"}, "no axis 'sed'"),
        ({"columns": "gian"}, r"no axis 'gian' for the columns \(did you mean 'gain'\?\)"),
        ({"level": 95.0}, "level is 95"),
    ],
)
def test_what_cannot_be_is_one_line(options: dict[str, object], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        table(dataset(), "far", **options)


def test_the_command_prints_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = """
from spinsweep import Axis, Output, Sweep, per_cell
@per_cell
def one(cell):
    return {"y": cell["x"] + cell["seed"]}
ONE = Sweep("one", "One", (Axis("x", (1.0, 2.0)), Axis("seed", (0, 1))), (Output("y"),), one)
"""
    (tmp_path / "one_table.py").write_text(code)
    store = str(tmp_path / "one.zarr")
    assert main(["run", f"{tmp_path}/one_table.py:ONE", "--workers", "0", "--store", store]) == 0
    capfd.readouterr()
    assert main(["table", store, "y", "--over", "seed", "--format", "csv"]) == 0
    assert pd.read_csv(io.StringIO(capfd.readouterr().out))["mean"].tolist() == [1.5, 2.5]
    assert main(["table", store, "z"]) == 2
    assert capfd.readouterr().err == "spinsweep: there is no output 'z'; there are y\n"

    next(Path(store, "y", "c").rglob("*/0")).write_bytes(b"junk of some length")  # a damaged chunk
    for words in (["table", store, "y"], ["figures", store, "--each-output"]):
        assert main(words) == 2
        said = capfd.readouterr().err
        assert "cannot be read: DamagedChunk" in said
        assert said.count("\n") == 1
