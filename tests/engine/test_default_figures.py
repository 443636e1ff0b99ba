"""One figure for each output of any cube: its axes choose it, and nothing is left out unsaid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import spinsweep
from spinsweep import Axis, Cell, Dim, Output, Sweep, per_cell
from spinsweep.analysis.design import Design, FigureLayout, is_share
from spinsweep.analysis.estimates import estimate, numbers
from spinsweep.analysis.figures import OutputFigure, of_outputs
from spinsweep.analysis.intervals import mean_interval, wilson
from spinsweep.cli import main
from spinsweep.errors import NotDrawn, SpecError
from spinsweep.figure_options import FigureOptions


@per_cell
def noisy(cell: Cell) -> dict[str, Any]:
    """Fails at one cell; yes or no for half of the seeds."""
    if (cell["mode"], cell["gain"], cell["seed"]) == ("b", 2.0, 1):
        raise ValueError("no such gain")
    level = cell["gain"] + (cell["mode"] == "b")
    return {
        "far": 1e-4 * (level + 0.1 * cell.rng().normal()),
        "works": cell["seed"] % 2 == 0,
        "curve": np.linspace(0, level, 5),
    }


AXES = (Axis("gain", (1.0, 2.0, 3.0), "V"), Axis("mode", ("a", "b", "c")), Axis("seed", tuple(range(4))))
NOISY = Sweep(
    "noisy", "Noise", AXES,
    (Output("far", unit="A", long_name="distance"), Output("works", dtype="bool"), Output("curve", ("step",))),
    noisy, dims=(Dim("step", 5),),
)  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One failed cell, and a mode that has seeds 0 and 1 only."""
    path = tmp_path_factory.mktemp("noisy") / "noisy.zarr"
    for part in (NOISY.with_values(seed=(0, 1)), NOISY.with_values(mode=("a", "b"))):
        spinsweep.run(part, path, workers=0, progress=False, on_failure="keep")
    return path


def texts(figure: Any) -> list[str]:
    """All that is written in a figure."""
    from matplotlib.text import Text

    return [t.get_text() for t in figure.findobj(Text) if t.get_text()]


def array(**sizes: int) -> xr.DataArray:
    """Random numbers over dims of these sizes; names begin with ``c``."""
    coords = {d: [f"{d}{i}" for i in range(n)] if d.startswith("c") else np.arange(n) for d, n in sizes.items()}
    values = np.random.default_rng(0).normal(size=tuple(sizes.values()))
    return xr.DataArray(values, coords, tuple(sizes), name="y", attrs={"is_share": False, "is_magnitude": False})


@pytest.mark.parametrize(
    ("sizes", "layout"),
    [
        ({"x": 5, "seed": 3}, FigureLayout("lines", "x")),
        ({"x": 5, "cat": 3, "seed": 3}, FigureLayout("lines", "x", colour="cat")),
        ({"x": 5, "z": 3}, FigureLayout("lines", "x", colour="z")),
        ({"z": 6, "x": 7, "seed": 2}, FigureLayout("map", "x", "z")),
        ({"cat": 2, "z": 6, "x": 7}, FigureLayout("map", "x", "z", panels=("cat",))),
        ({"cat": 9, "x": 5}, FigureLayout("lines", "x", panels=("cat",))),
        ({"cat": 9, "color": 2, "seed": 3}, FigureLayout("points", "cat", colour="color")),
        ({"x": 1, "seed": 3}, FigureLayout("replicates", "seed")),
    ],
)
def test_the_axes_of_an_output_choose_its_figure(sizes: dict[str, int], layout: FigureLayout) -> None:
    values = array(**sizes)
    assert FigureLayout.of(values, Design.of(values)) == layout


def test_one_number_is_not_drawn() -> None:
    values = array(x=1)
    with pytest.raises(NotDrawn, match="one value"):
        FigureLayout.of(values, Design.of(values))


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_every_axis_is_somewhere_and_every_mean_is_drawn_or_counted(data: st.DataObject) -> None:
    dims = data.draw(st.lists(st.sampled_from(["x", "z", "cat", "color", "seed", "device"]), min_size=1, unique=True))
    sizes = {d: data.draw(st.integers(2, 7)) for d in dims}
    values = array(**sizes)
    design = Design.of(values)
    layout = FigureLayout.of(values, design)
    used = [d for d in (layout.x, layout.y, layout.colour, *layout.panels) if d]
    assert sorted({*used, *design.replicates}) == sorted(dims)
    assert len(used) == len(set(used))


def test_shares_have_the_interval_of_wilson_and_others_that_of_student(store: Path) -> None:
    ds = spinsweep.open_cube(store).sel(gain=[1.0, 2.0, 3.0]).load()
    works, far = numbers(ds, "works"), numbers(ds, "far")
    assert ds.works.dtype == np.float64  # blanked
    assert works.attrs["is_share"]
    share = estimate(works, ["seed"]).sel(gain=1.0, mode="a")
    assert [float(share[n]) for n in ("mean", "low", "high")] == pytest.approx([float(v) for v in wilson(2, 4)])
    mean = estimate(far, ["seed"])
    expected = mean_interval(ds.far, "seed")
    np.testing.assert_allclose(mean["low"], expected.low)
    assert int(mean["missing"].sel(mode="c").sum()) == 6


def test_replicates_in_replicates_are_averaged_before_the_interval() -> None:
    values = array(x=3, seed=5, cycle=4)
    expected = mean_interval(values.mean("cycle"), "seed")
    np.testing.assert_allclose(estimate(values, ["seed", "cycle"])["high"], expected.high)


def test_whole_numbers_are_shares_only_if_all_are_0_or_1() -> None:
    assert is_share(xr.DataArray([0.0, 1.0, np.nan]), np.dtype("int64"))
    assert not is_share(xr.DataArray([0.0, 2.0]), np.dtype("int64"))
    assert not is_share(xr.DataArray([0.0, 1.0]), np.dtype("float64"))


def test_figures_have_units_and_say_what_is_missing(store: Path) -> None:
    drawn = spinsweep.figures(spinsweep.open_cube(store))
    assert list(drawn) == ["far", "works", "curve"]
    assert {"Distance (µA)", "gain (V)", "29 of 36 cells done (6 absent, 1 failed)"} <= set(texts(drawn["far"]))
    assert "Share of works" in texts(drawn["works"])
    assert [len(f.axes) for f in drawn.values()] == [1, 1, 3]  # a curve: gain as lines, modes as panels
    line = next(a for a in drawn["far"].axes[0].lines if a.get_label() == "a")
    means = spinsweep.open_cube(store).far.sel(mode="a").mean("seed")
    np.testing.assert_allclose(line.get_ydata(), means * 1e6)


def test_the_caption_counts_means_that_lack_replicates(store: Path) -> None:
    ds = spinsweep.open_cube(store)
    caption = of_outputs(ds)["far"].caption(ds)
    assert "means over seed (4), and as bands their 95 % intervals (Student's t)" in caption
    assert "4 of 9 means lack some replicates and are hollow." in caption


def test_replicates_may_be_named_and_a_wrong_name_is_one_line(store: Path) -> None:
    ds = spinsweep.open_cube(store)
    assert "over mode (3)" in OutputFigure("far", ("mode",)).caption(ds)
    with pytest.raises(SpecError, match=r"no axis 'sed' \(did you mean 'seed'\?\)"):
        ds.sweep.plot("far", over="sed")
    with pytest.raises(SpecError, match="no output 'fr'"):
        ds.sweep.plot("fr")


def test_a_cube_with_nothing_done_is_not_drawn(store: Path) -> None:
    ds = spinsweep.open_cube(store).load()
    ds["cell_state"][:] = 0
    with pytest.raises(NotDrawn, match="no cell is done yet"):
        ds.sweep.plot("far")


def test_complex_numbers_are_magnitudes_and_texts_are_left_out_with_a_warning() -> None:
    wave = array(x=5)
    ds = (wave * 1j).rename("wave").to_dataset().assign(words=wave.astype(str))
    with pytest.warns(UserWarning, match="output 'words' is not drawn: .* holds texts"):
        drawn = spinsweep.figures(ds)
    assert "|wave|" in texts(drawn["wave"])
    np.testing.assert_allclose(drawn["wave"].axes[0].lines[0].get_ydata(), abs(wave))


def test_values_that_are_even_on_a_logarithmic_axis_have_one_with_ticks_to_read() -> None:
    widths = xr.DataArray(np.arange(5.0), {"width": [0.3, 0.5, 1.0, 2.0, 5.0]}, ("width",), name="y")
    ax = OutputFigure("y")(widths.to_dataset()).axes[0]
    assert ax.get_xscale() == "log"
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0.3", "0.5", "1", "2", "5"]
    times = widths.assign_coords(width=[0.0, 1e-9, 1e-7, 1e-5, 1e-3])
    assert OutputFigure("y")(times.to_dataset()).axes[0].get_xscale() == "symlog"
    assert OutputFigure("y")(array(x=5).to_dataset()).axes[0].get_xscale() == "linear"


def test_more_panels_than_have_room_are_counted() -> None:
    ds = array(x=5, cat=20)[:, :].to_dataset()
    figure = OutputFigure("y")(ds, FigureOptions("A"))
    assert len(figure.axes) == 12
    assert "12 of 20 panels shown" in texts(figure)
    assert any(t.startswith("L  cat = ") for t in texts(figure))


def test_a_picture_has_the_same_bytes_each_time_and_needs_no_code(store: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        words = ["--each-output", "--format", "png,svg", "--out", str(tmp_path / name)]
        assert main(["figures", str(store), "--only", "far", *words]) == 0
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()
    assert {p.name for p in (tmp_path / "one").iterdir()} == {"far.png", "far.svg", "far.md"}


def test_an_unknown_axis_of_the_command_writes_nothing(
    store: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["figures", str(store), "--over", "sede", "--out", str(tmp_path / "out")]) == 2
    assert capfd.readouterr().err.endswith(
        "there is no axis 'sede' (did you mean 'seed'?); there are gain, mode, seed, step\n"
    )
    assert not (tmp_path / "out").exists()
