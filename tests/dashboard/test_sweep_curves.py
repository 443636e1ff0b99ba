"""The curves of the Sweep page in a real browser, while a sweep runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from browser import complaints, words
from distributed import Client
from selenium.webdriver import Chrome
from test_sweep_page import _each, address, choose, requests_are_answered
from watched import WATCHED, running, until

from spinsweep import Axis, View, disk
from spinsweep.analysis.curves import curves
from spinsweep.deployment.local_cluster import local_client
from spinsweep.views import MAX_LINES

pytestmark = pytest.mark.browser

VIEWS = (
    View("trace", x="current", over=("seed",), inner="last"),
    View("voltage", x="current", lines="seed"),
)
SWEEP = dataclasses.replace(WATCHED, views=VIEWS)
BLOCK = {"seed": 4, "current": 1}


@pytest.fixture(scope="module")
def watched_client() -> Iterator[Client]:
    """A cluster of its own: the page begins empty."""
    with local_client(2) as running_client:
        yield running_client


def points(window: Chrome, name: str) -> Any:
    """A column of the marks, as the browser has it."""
    script = "const m = window.Bokeh?.documents[0]?.get_model_by_name('curves');"
    return window.execute_script(script + f"return m ? Array.from(m.data['{name}'] ?? []) : [];")


def selected(window: Chrome, title: str) -> Any:
    script = (
        "return Array.from(window.Bokeh?.documents[0]?.all_models ?? []).find(m => m.title == arguments[0])?.value;"
    )
    return window.execute_script(script, title)


def test_curves_grow_while_the_sweep_runs_and_end_as_those_of_the_cube(
    tmp_path: Path, watched_client: Client, window: Chrome
) -> None:
    gate, path = tmp_path / "gate", tmp_path / "c.zarr"
    with running(SWEEP.with_values(gate=str(gate)), path, watched_client, block=BLOCK):
        try:
            until(lambda: requests_are_answered(address(watched_client)))
            window.get(address(watched_client))
            until(lambda: selected(window, "output") == "trace")
            chosen = [selected(window, title) for title in ("curve against", "a line for each", "over time")]
            assert chosen == ["current", "(one line)", "last"], "the first view of the author"
            disk.write_whole(str(gate), b"0.0045")  # half of the sweep
            until(lambda: len(points(window, "x")) == 4)
        finally:
            disk.write_whole(str(gate), b"")
    expected = curves(xr.open_zarr(path), VIEWS[0]).lines[0]
    until(lambda: points(window, "count") == ["12"] * 8)
    np.testing.assert_allclose(points(window, "x"), 1e3 * expected.x)
    np.testing.assert_allclose(points(window, "y"), 1e3 * expected.mean)
    text = "Mean over seed, at the last time; bands: 95 % interval of the mean over seed (Student's t)."
    assert text in words(window)
    assert complaints(window) == []


@pytest.mark.slow
def test_what_is_chosen_is_drawn_and_the_map_of_the_output_stays(
    tmp_path: Path, watched_client: Client, window: Chrome
) -> None:
    with running(SWEEP, tmp_path / "c.zarr", watched_client, block=BLOCK):
        pass
    window.get(address(watched_client))
    until(lambda: len(points(window, "x")) == 8)
    map_before = window.execute_script("return Array.from(Bokeh.documents[0].get_model_by_name('blocks').data.mean)")
    choose(window, "a line for each", "time")
    until(lambda: len(points(window, "x")) == 24)
    assert set(points(window, "label")) == {"time 0", "time 1", "time 2"}
    choose(window, "curve against", "time")
    until(lambda: selected(window, "a line for each") == "current")
    until(lambda: len(set(points(window, "label"))) == 8)
    after = window.execute_script("return Array.from(Bokeh.documents[0].get_model_by_name('blocks').data.mean)")
    assert after == map_before
    choose(window, "output", "voltage")
    until(lambda: selected(window, "a line for each") == "seed")
    more = f"and {12 - MAX_LINES} more value"
    until(lambda: len(set(points(window, "label"))) == MAX_LINES and more in words(window))
    assert complaints(window) == []


@pytest.mark.slow
def test_a_name_of_an_axis_is_text_wherever_curves_show_it(
    tmp_path: Path, watched_client: Client, window: Chrome
) -> None:
    evil = "<img src=x onerror=alert(1)> $$\\href{javascript:alert(1)}{x}$$"
    axes = (*WATCHED.axes, Axis("word", (evil, "plain"), long_name=evil))
    outputs = tuple(dataclasses.replace(o, long_name=evil) for o in WATCHED.outputs)
    view = View("voltage", x="word", lines="current")
    with running(
        dataclasses.replace(WATCHED, axes=axes, outputs=outputs, views=(view,)),
        tmp_path / "c.zarr",
        watched_client,
        block=32,
    ):
        pass
    window.get(address(watched_client))
    until(lambda: len(points(window, "x")) == 16)
    choose(window, "a line for each", "word")
    until(lambda: len(set(points(window, "label"))) == 2)
    assert [image for image in _each(window, "img", "outerHTML") if "alert" in image] == []
    assert _each(window, "mjx-container", "outerHTML") == []
    assert complaints(window) == []
