"""Figures of the characterization: what they show, and that they leave out what is not done."""

import json
import sys

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from spinneurons import style
from spinneurons.analysis.fits import fit_line
from spinneurons.characterization import figures
from spinneurons.characterization.sweep import SWEEP
from spinsweep.evaluate import evaluate

WIDTHS = (5.0, 1.0, 0.3)


@pytest.fixture(scope="module")
def whole():
    sweep = SWEEP.with_values(width=WIDTHS, currents=14, cycles=40, resamples=50)
    values = evaluate(sweep, {"width": WIDTHS, "device": (0, 1, 2, 3)}).values
    data = {o.name: (("width", "device", *o.dims), values[o.name], {"units": o.unit}) for o in sweep.outputs}
    data["cell_state"] = (("width", "device"), np.ones((3, 4), np.uint8))
    coords = {"width": np.array(WIDTHS), "device": np.arange(4), "current": np.arange(14), "cycle": np.arange(40)}
    return xr.Dataset(data, coords, {"parameters": json.dumps(sweep.params)})


@pytest.fixture
def cube(whole):
    return whole.copy(deep=True)


def without(cube, *cells):
    """The cube as it is when these cells have not been computed."""
    for w, d in cells:
        for name, array in cube.data_vars.items():
            if name != "cell_state":
                array.values[w, d] = np.nan if array.dtype.kind == "f" else 0
        cube["cell_state"].values[w, d] = 2
    return cube


ALWAYS = [name for name in figures.FIGURES if name not in ("s4_persistence", "s5_endurance")]
"""Figures of any characterization; the others take a second day, or a long record."""


def axes():
    return Figure().add_subplot()


def shown(ax):
    """Number of data points with a device's marker (caps of error bars have others)."""
    lines = [line for line in ax.lines if line.get_marker() in style.MARKERS]
    return sum(int(np.isfinite(line.get_ydata()).sum()) for line in lines)


@pytest.mark.parametrize("name", ALWAYS)
@pytest.mark.parametrize("widths", [[0, 1, 2], [0, 2], [1]])
def test_a_figure_of_any_widths_is_drawn_without_pyplot(cube, name, widths, tmp_path):
    figure = figures.FIGURES[name](cube.isel(width=widths))
    figure.savefig(tmp_path / "figure.png")
    figure.savefig(tmp_path / "figure.svg")
    assert (tmp_path / "figure.png").stat().st_size > 2_000
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


@pytest.mark.parametrize("name", ALWAYS)
def test_a_cube_with_nothing_done_says_so(cube, name):
    figure = figures.FIGURES[name](without(cube, *np.ndindex(3, 4)))
    assert "no cell is done yet" in [t.get_text() for ax in figure.axes for t in ax.texts]


def test_the_panels_are_lettered_from_a_wide_to_narrow(cube):
    figure = figures.FIGURES["fig2_switching"](cube)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["(a)  5 µm", "(b)  1 µm", "(c)  0.3 µm"]
    assert [ax.get_xlabel() for ax in figure.axes] == ["Write current (mA)"] * 3


def test_a_panel_shows_the_counts_of_each_device_and_its_curve(cube):
    one = cube.isel(width=[2])
    ax = figures.switching(one, axes())
    assert shown(ax) == 4 * 14
    points, curve = ax.containers[1].lines[0], ax.lines[-1]
    expected = one["switched"].isel(width=0, device=1).mean("cycle")
    np.testing.assert_allclose(points.get_ydata(), expected)
    middle = np.interp(float(one["i_bias"].isel(width=0, device=3)), curve.get_xdata(), curve.get_ydata())
    assert middle == pytest.approx(0.5, abs=0.002)


def test_cells_that_are_not_done_are_left_out(cube):
    cube = without(cube, (1, 0), (1, 1), (1, 2), (1, 3), (2, 0))
    assert len(figures.FIGURES["fig2_switching"](cube).axes) == 2
    assert shown(figures.i_bias_against_width(cube, axes())) == shown(figures.window_against_width(cube, axes())) == 7
    assert "device 1" in figures.trace(cube, axes()).get_title()


def test_invalid_cycles_are_no_trials(cube):
    cube["valid"].values[2, 0, :, 10:] = False
    points = figures.switching(cube.isel(width=[2]), axes()).containers[0].lines[0]
    np.testing.assert_allclose(points.get_ydata(), cube["switched"].values[2, 0, :, :10].mean(axis=1))


def test_the_lines_against_the_width_weigh_each_device_by_its_error_and_by_the_spread(cube):
    ax = figures.i_bias_against_width(cube, axes())
    line = next(line for line in ax.lines if str(line.get_label()).startswith("linear fit"))
    fitted = fit_line(cube["i_bias"], "width", "device", error=cube["i_bias_stderr"], proportional=True)
    np.testing.assert_allclose(
        line.get_ydata(), float(fitted["intercept"]) + float(fitted["slope"]) * line.get_xdata()
    )
    spread = f"± spread of devices, {100 * float(fitted['spread']):.1f} % (s.d.)"
    assert spread in [text.get_text() for text in ax.get_legend().get_texts()]
    assert ax.get_ylabel() == "Bias current (mA)"
    assert figures.window_against_width(cube, axes()).get_ylabel() == "Window, 0.01 % to 99.9 % (mA)"


def test_the_gain_is_one_milliampere_over_i0(cube):
    ax = figures.gain_against_width(cube, axes())
    np.testing.assert_allclose(ax.lines[2].get_ydata(), 1e-3 / cube["i0"].values[:, 2])


def test_the_trace_is_the_current_nearest_to_50_per_cent_with_the_measured_threshold(cube):
    ax = figures.trace(cube, axes(), width=1.0, device=2)
    p = cube["switched"].values[1, 2].mean(axis=1)
    nearest = int(np.argmin(np.abs(p - 0.5)))
    assert f"1 µm, device 2, {cube['i_write'].values[1, 2, nearest] * 1e3:.3g} mA: " in ax.get_title()
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), cube["r_write"].values[1, 2, nearest])
    threshold = next(line for line in ax.lines if line.get_label() == "threshold")
    assert threshold.get_ydata()[0] == pytest.approx(0.9, abs=0.02)


def test_a_trace_of_a_device_that_is_not_there_says_so(cube):
    assert figures.trace(cube, axes(), width=7.0).texts[0].get_text() == "no device with valid cycles"


def test_a_device_without_a_fit_keeps_its_counts(cube):
    for name in ("i_bias", "i0", "window"):
        cube[name].values[0, 1] = np.nan
    assert shown(figures.switching(cube.isel(width=[0]), axes())) == 4 * 14
    assert shown(figures.gain_against_width(cube, axes())) == 11
    legend = figures.i_bias_against_width(cube, axes()).get_legend().get_texts()
    assert any(text.get_text().endswith(", 1 of 12 left out") for text in legend)
