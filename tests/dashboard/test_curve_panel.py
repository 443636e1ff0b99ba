"""The curves of one window without a browser: what is offered, what stays, and what is drawn anew."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import xarray as xr
from cost import DESCRIPTION
from test_page import OUTPUTS, Page, begin, page, refresh  # noqa: F401 - page is a fixture

from spinsweep import View
from spinsweep.analysis.curves import curves
from spinsweep.dashboard.curve_panel import ONE_LINE, CurvePanel
from spinsweep.dashboard.monitor import SweepMonitor
from spinsweep.dashboard.page import SweepPage
from spinsweep.messages import ViewDescription

AXES = {"a": [1, 2, 3], "b": [1, 2], "seed": [0, 1]}
VIEWS = (
    ViewDescription("power", "b", "a", ("seed",), "mean"),
    ViewDescription("voltage", "i_write", None, ("seed",), "mean"),
)


def view(window: SweepPage) -> View | None:
    return window.curves.view("mean")


def test_the_first_view_says_which_output_is_shown_and_how(page: Page) -> None:  # noqa: F811
    def look(monitor: SweepMonitor, window: SweepPage) -> None:
        begin(monitor, "r", AXES, views=VIEWS)
        assert refresh(window).select_output.value == "power"
        assert view(window) == View("power", "b", "a", ("seed",))
        window.select_output.value = "voltage"
        assert view(window) == View("voltage", "i_write", None, ("seed",))
        assert window.curves.select_x.options == ["i_write", *AXES]

    page(look)


def test_an_axis_that_is_chosen_twice_changes_places_and_a_replicate_that_is_shown_is_none(
    page: Page,  # noqa: F811
) -> None:
    def look(monitor: SweepMonitor, window: SweepPage) -> None:
        begin(monitor, "r", AXES, views=VIEWS)
        panel = refresh(window).curves
        panel.select_x.value = "a"
        assert view(window) == View("power", "a", "b", ("seed",))
        panel.select_lines.value = "a"
        assert view(window) == View("power", "b", "a", ("seed",))
        panel.select_x.value = "seed"
        assert view(window) == View("power", "seed", "a")
        panel.select_lines.value = ONE_LINE
        assert view(window) == View("power", "seed")

    page(look)


@pytest.mark.slow
def test_what_a_person_chose_stays_in_the_next_run_where_it_has_it(page: Page) -> None:  # noqa: F811
    def look(monitor: SweepMonitor, window: SweepPage) -> None:
        begin(monitor, "first", AXES, views=VIEWS)
        refresh(window).curves.select_lines.value = ONE_LINE
        begin(monitor, "second", AXES, views=VIEWS)
        window.select_run.value = "second"
        assert view(refresh(window)) == View("power", "b", None, ("seed",))
        begin(monitor, "third", {"c": [1, 2]}, views=(ViewDescription("power", "c", None, (), "mean"),))
        window.select_run.value = "third"
        assert view(refresh(window)) == View("power", "c")

    page(look)


def test_a_driver_that_says_nothing_of_views_has_no_curves(page: Page) -> None:  # noqa: F811
    def look(monitor: SweepMonitor, window: SweepPage) -> None:
        begin(monitor, "r", AXES)
        assert not refresh(window).curves.body.visible
        assert view(window) is None
        assert window.select_output.value == OUTPUTS[0].name

    page(look)


def cube(scale: float = 1.0) -> xr.Dataset:
    values = scale * np.arange(12.0).reshape(2, 3, 2)
    return xr.Dataset({"y": (("b", "a", "seed"), values)}, {"a": [1.0, 2.0, 3.0], "b": ["u", "v"]})


@pytest.fixture
def panel() -> CurvePanel:
    return CurvePanel(lambda: None)


def test_nothing_jumps_while_the_numbers_fit_and_the_axes_follow_another_view(panel: CurvePanel) -> None:
    def span() -> tuple[Any, ...]:
        return panel.plot.y_range.start, panel.plot.y_range.end

    lines = View("y", "a", "b", ("seed",))
    panel.show(curves(cube(), lines), "")
    before = span()
    panel.show(curves(cube(0.9), lines), "")
    assert span() == before
    panel.show(curves(cube(0.1), lines), "")
    assert span()[1] < before[1]
    panel.show(curves(cube(), lines), "")
    assert span() == before
    panel.show(curves(cube(0.9), dataclasses.replace(lines, x="b", lines="a")), "")
    assert span() != before
    assert panel.plot.xaxis[0].major_label_overrides.keys() == {0.0, 1.0}
    panel.show(curves(cube(), lines), "")
    assert panel.plot.xaxis[0].major_label_overrides == {}


def test_curves_stay_until_others_are_known_and_are_not_sent_twice(panel: CurvePanel) -> None:
    found = curves(cube(), View("y", "a", "b", ("seed",)))
    panel.show(found, "one")
    sent = panel.points.data
    panel.show(found, "two")
    panel.show(None, "three")
    assert panel.points.data is sent
    assert "three" in panel.caption.text


def test_the_description_of_a_run_carries_views_over_the_wire() -> None:
    described = dataclasses.replace(DESCRIPTION, views=VIEWS)
    assert type(described).from_json(described.to_json()) == described
