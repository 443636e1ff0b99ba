"""Axis labels, texts and the frame of the figures."""

import matplotlib
import pytest
import xarray as xr
from matplotlib.figure import Figure

from spinneurons import style


@pytest.mark.parametrize(
    ("top", "label", "tick"),
    [
        (1.6e-3, "I (mA)", "1.5"),
        (6.1e-4, "I (µA)", "600"),
        (2.0, "I (A)", "1.5"),
        (4e-8, "I (nA)", "30"),
        (5e3, "I (kA)", "4"),
    ],
)
def test_an_axis_has_the_si_prefix_of_its_limits(top, label, tick):
    ax = Figure().add_subplot()
    ax.set_xlim(0, top)
    style.label_axis(ax.xaxis, "I", "A")
    ax.figure.draw_without_rendering()
    assert ax.get_xlabel() == label
    assert tick in [t.get_text() for t in ax.get_xticklabels()]


def test_a_given_prefix_is_kept_and_minus_is_a_minus():
    ax = Figure().add_subplot()
    ax.set_xlim(-2e-4, 2e-4)
    style.label_axis(ax.xaxis, "I", "A", power=-3)
    ax.figure.draw_without_rendering()
    assert ax.get_xlabel() == "I (mA)"
    assert "−0.1" in [t.get_text() for t in ax.get_xticklabels()]


def test_units_are_written_as_in_print():
    ax = Figure().add_subplot()
    ax.set_ylim(0, 5)
    style.label_axis(ax.yaxis, "R", "ohm")
    assert ax.get_ylabel() == "R (Ω)"
    assert style.width_text(0.3) == "0.3 µm"


@pytest.mark.parametrize(
    ("attrs", "label"),
    [
        ({"units": "um", "long_name": "bar width"}, "Bar width (µm)"),
        ({"units": "um", "long_name": "pillar diameter"}, "Pillar diameter (µm)"),
        ({}, "Width (µm)"),
    ],
)
def test_an_axis_of_widths_is_named_as_the_family_of_the_devices_names_it(attrs, label):
    assert style.width_label(xr.Dataset(coords={"width": ("width", [0.3, 5.0], attrs)})) == label


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (4.012e-4, "A", "401 µA"),
        (1.05e-3, "A", "1.05 mA"),
        (0.0, "A", "0 A"),
        (1e-9, "s", "1 ns"),
        (2.5e-8, "s", "25 ns"),
        (1e-4, "s", "100 µs"),
        (5e-10, "s", "500 ps"),
        (2.0, "s", "2 s"),
        (4.2e-6, "J", "4.2 µJ"),
    ],
)
def test_a_value_has_three_digits_and_its_prefix(value, unit, text):
    assert style.si_text(value, unit) == text


def test_colours_and_markers_are_all_different():
    assert (
        len({style.device_look(d)["color"] for d in range(6)})
        == len({style.device_look(d)["marker"] for d in range(6)})
        == 6
    )


def test_a_styled_builder_leaves_the_caller_s_settings_alone():
    before = matplotlib.rcParams.copy()  # a dict of them would load pyplot, to name the backend
    figure = style.figure(lambda cube, ax: ax, empty=lambda cube: "")(xr.Dataset())
    assert dict.items(matplotlib.rcParams) == dict.items(before)
    assert figure.get_size_inches()[0] == pytest.approx(85 / 25.4)


def test_a_figure_has_a_panel_for_each_part_and_says_why_it_has_none():
    cube = xr.Dataset({"y": ("width", [1.0])}, {"width": [5.0]})
    build = style.figure(
        lambda cube, ax: ax.plot(cube["y"]), lambda cube, ax: ax.plot(cube["y"]), width=style.PAGE, ratios=(2, 1)
    )
    first, second = build(cube).axes
    assert first.get_position().width > second.get_position().width
    (blank,) = build(cube.isel(width=[])).axes
    assert [t.get_text() for t in blank.texts] == ["no cell is done yet"]
