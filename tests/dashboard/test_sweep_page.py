"""The Sweep page in a real browser, while sweeps run."""

from __future__ import annotations

import dataclasses
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from browser import complaints, words
from distributed import Client
from selenium.webdriver import ActionChains, Chrome, Keys
from watched import WATCHED, running, until

from spinsweep import Axis, disk
from spinsweep.dashboard.blockmap import BlockState
from spinsweep.deployment.local_cluster import local_client
from spinsweep.executors import long_running

pytestmark = pytest.mark.browser

WHOLE_ROW = {"seed": 4, "current": 1}  # three blocks a current


@pytest.fixture(scope="module")
def watched_client() -> Iterator[Client]:
    """A cluster of its own: the page begins empty."""
    with local_client(2) as running_client:
        yield running_client


def address(client: Client, page: str = "sweep") -> str:
    return str(client.dashboard_link.replace("status", page))


def requests_are_answered(url: str) -> bool:
    """The page comes to a scheduler with its first run."""
    try:
        urllib.request.urlopen(url, timeout=10).close()
    except urllib.error.HTTPError as error:
        error.close()
        return False
    return True


def column_of(window: Chrome, name: str) -> Any:
    """A column of the maps' data, as the browser has it."""
    script = "const m = window.Bokeh?.documents[0]?.get_model_by_name('blocks');"
    script += f"return m ? Array.from(m.data['{name}'] ?? []).map(v => Number.isNaN(v) ? null : v) : [];"
    return window.execute_script(script)


def choose(window: Chrome, title: str, value: str) -> None:
    """What a click in a select does."""
    script = f"Array.from(Bokeh.documents[0].all_models).find(m => m.title == '{title}').value = '{value}';"
    window.execute_script(script)


def states(window: Chrome) -> set[int]:
    return set(column_of(window, "shown"))


def test_the_page_is_there_before_the_first_block_of_a_sweep_and_on_every_tab(
    tmp_path: Path, watched_client: Client, window: Chrome
) -> None:
    with running(WATCHED, tmp_path / "c.zarr", watched_client, block=4):
        pass
    window.get(address(watched_client, "status"))

    assert window.find_element("link text", "Sweep").get_attribute("href") == address(watched_client)


def test_cells_change_state_while_the_sweep_runs_and_the_console_is_silent(
    tmp_path: Path, watched_client: Client, window: Chrome
) -> None:
    gate = tmp_path / "gate"
    sweep = WATCHED.with_values(gate=str(gate), bad=0.003)
    with running(sweep, tmp_path / "c.zarr", watched_client, block=WHOLE_ROW):
        try:
            until(lambda: requests_are_answered(address(watched_client)))
            window.get(address(watched_client))
            until(lambda: states(window) == {BlockState.WAITING, BlockState.RUNNING})
            assert column_of(window, "shown").count(BlockState.RUNNING) == 2
            disk.write_whole(str(gate), b"0.0045")  # half of the sweep
            until(lambda: {BlockState.WAITING, BlockState.RUNNING, BlockState.DONE} <= states(window))
        finally:
            disk.write_whole(str(gate), b"")
    until(lambda: states(window) == {BlockState.DONE, BlockState.FAILED})
    shown = np.array(column_of(window, "shown")).reshape(8, 3)

    assert np.argwhere(shown == BlockState.FAILED).tolist() == [[2, 0]]
    assert "Voltage of a <resistor>" in words(window)
    assert "96 of 96 cells of this run · 1 failed" in words(window)
    assert complaints(window) == []


@pytest.mark.slow
def test_a_cell_that_takes_long_is_named_until_it_ends(
    tmp_path: Path, watched_client: Client, window: Chrome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_running, "LONG_S", 0.2)
    monkeypatch.setattr(long_running, "LOOK_S", 0.2)
    gate = tmp_path / "gate"
    with running(WATCHED.with_values(gate=str(gate)), tmp_path / "c.zarr", watched_client, block=12):
        try:
            until(lambda: requests_are_answered(address(watched_client)))
            window.get(address(watched_client))
            until(lambda: "current 0.001, seed 0 (of a block of 12 cells, for" in words(window))
        finally:
            gate.touch()
    until(lambda: "Long-running" not in words(window))
    assert complaints(window) == []


@pytest.mark.slow
def test_the_page_says_the_same_after_it_was_loaded_again(
    tmp_path: Path, watched_client: Client, window: Chrome
) -> None:
    with running(WATCHED, tmp_path / "c.zarr", watched_client, block=WHOLE_ROW):
        pass
    for _ in range(2):
        window.get(address(watched_client))
        until(lambda: column_of(window, "shown") == [BlockState.DONE] * 24)


@pytest.mark.slow
def test_the_command_of_a_failed_cell_is_copied_by_its_button_from_the_keyboard_too(
    tmp_path: Path, watched_client: Client, window: Chrome
) -> None:
    with running(WATCHED.with_values(bad=0.003), tmp_path / "c.zarr", watched_client, block=4):
        pass
    window.get(address(watched_client))
    command = f"spinsweep cell {tmp_path / 'c.zarr'} current=0.003 seed=0"
    until(lambda: command in words(window) and "1 cell ArithmeticError: <b>no</b> number" in words(window))
    window.execute_script(
        "window.copied = []; navigator.clipboard.writeText = async words => { window.copied.push(words) };"
    )
    window.execute_script(f"({ELEMENTS})('.bk-btn').find(e => e.checkVisibility()).focus();")
    ActionChains(window).send_keys(Keys.ENTER).perform()
    until(lambda: "Copied" in _texts(window, ".bk-btn"))
    assert window.execute_script("return window.copied") == [command]
    until(lambda: "Copied" not in _texts(window, ".bk-btn"))
    assert complaints(window) == []


@pytest.mark.slow
def test_a_command_that_the_browser_does_not_let_a_page_copy_is_selected(
    tmp_path: Path, watched_client: Client, window: Chrome
) -> None:
    with running(WATCHED.with_values(bad=0.003), tmp_path / "c.zarr", watched_client, block=4):
        pass
    window.get(address(watched_client))
    until(lambda: "spinsweep cell" in words(window))
    window.execute_script("Object.defineProperty(navigator, 'clipboard', {value: undefined});")
    window.execute_script(f"({ELEMENTS})('.bk-btn').find(e => e.checkVisibility()).click();")
    until(lambda: "Selected: press Ctrl-C" in _texts(window, ".bk-btn"))
    selected = f"spinsweep cell {tmp_path / 'c.zarr'} current=0.003 seed=0"
    assert window.execute_script("return window.getSelection().toString()") == selected
    assert complaints(window) == []


@pytest.mark.parametrize("width", [800, pytest.param(1400, marks=pytest.mark.slow)])
def test_the_page_is_as_wide_as_its_window(
    tmp_path: Path, watched_client: Client, window: Chrome, width: int
) -> None:
    with running(WATCHED, tmp_path / "c.zarr", watched_client, block=WHOLE_ROW):
        pass
    window.set_window_size(width, 1000)
    window.get(address(watched_client))
    until(lambda: len(column_of(window, "right")) == 24)

    right = "return document.documentElement.scrollWidth <= innerWidth"
    assert window.execute_script(right)
    columns = 3 if width > 1000 else 2
    assert until(lambda: max(_each(window, ".bk-Figure", "offsetWidth"), default=0) > 0.85 * width / columns)


ELEMENTS = """
css => {
  const found = [];
  const look = root => {
    found.push(...root.querySelectorAll(css));
    for (const e of root.querySelectorAll('*')) if (e.shadowRoot) look(e.shadowRoot);
  };
  look(document);
  return found;
}
"""
"""All elements of a kind, through the shadow roots that Bokeh draws in."""


def _each(window: Chrome, css: str, what: str) -> list[Any]:
    """A property of all elements of a kind."""
    values: list[Any] = window.execute_script(
        f"return ({ELEMENTS})(arguments[0]).map(e => e[arguments[1]]);", css, what
    )
    return values


def _texts(window: Chrome, css: str) -> list[str]:
    """Texts of all elements of a kind."""
    return _each(window, css, "textContent")


def test_the_output_map_shows_the_values_of_the_cube_and_turns_with_the_axes(
    tmp_path: Path, watched_client: Client, window: Chrome
) -> None:
    with running(WATCHED, tmp_path / "c.zarr", watched_client, block=WHOLE_ROW):
        pass
    expected = xr.open_zarr(tmp_path / "c.zarr").load().coarsen(seed=4).mean()
    window.get(address(watched_client))

    def shows(values: np.ndarray) -> bool:
        mean = column_of(window, "mean")
        return len(mean) == 24 and None not in mean and np.allclose(mean, values.ravel(), rtol=1e-7)

    until(lambda: shows(expected.voltage.values))
    choose(window, "x axis", "current")
    until(lambda: column_of(window, "right")[:2] == [1, 2] and shows(expected.voltage.values.T))
    choose(window, "output", "trace")
    until(lambda: shows(expected.trace.mean("time").values.T))
    assert complaints(window) == []


@pytest.mark.slow
def test_a_cube_that_the_scheduler_cannot_see_is_said_on_the_page(
    tmp_path: Path, watched_client: Client, window: Chrome
) -> None:
    with running(WATCHED, tmp_path / "c.zarr", watched_client, block=WHOLE_ROW):
        pass
    (tmp_path / "c.zarr").rename(tmp_path / "elsewhere.zarr")
    window.get(address(watched_client))

    until(lambda: "The scheduler cannot read the cube at" in words(window))
    assert column_of(window, "shown") == [BlockState.DONE] * 24


def test_no_text_of_a_sweep_becomes_a_formula_or_a_link(
    tmp_path: Path, watched_client: Client, window: Chrome
) -> None:
    link = r"\href{javascript:alert(1)}{%s}"
    texts = [
        left + link % n + right for n, (left, right) in enumerate((("$$", "$$"), (r"\[", r"\]"), (r"\(", r"\)")))
    ]
    evil = " ".join(texts)
    sweep = dataclasses.replace(
        WATCHED,
        title=evil,
        axes=(Axis("current", (0.001, 0.003), "A", evil), Axis("seed", (0, 1)), Axis("word", (texts[0], texts[1]))),
        outputs=tuple(dataclasses.replace(o, long_name=evil) for o in WATCHED.outputs),
    ).with_values(bad=0.003)
    with running(sweep, tmp_path / "c.zarr", watched_client, block=1):
        pass
    window.get(address(watched_client))
    until(lambda: evil in words(window))
    choose(window, "x axis", "word")
    until(lambda: states(window) == {BlockState.DONE, BlockState.FAILED})
    until(lambda: any(text in command for text in texts[:2] for command in _texts(window, "code")))
    time.sleep(2)  # in which formulae would be set
    assert _each(window, "mjx-container", "tagName") == []
    assert [href for href in _each(window, "a", "href") if "alert" in href] == []
    assert complaints(window) == []


@pytest.mark.slow
def test_what_a_watcher_does_in_a_window_changes_no_other_window(
    tmp_path: Path, watched_client: Client, window: Chrome
) -> None:
    with running(WATCHED, tmp_path / "c.zarr", watched_client, block=WHOLE_ROW):
        pass
    window.get(address(watched_client))
    until(lambda: len(column_of(window, "right")) == 24)
    first = window.current_window_handle
    window.switch_to.new_window("tab")
    window.get(address(watched_client))
    until(lambda: column_of(window, "right")[:2] == [4, 8])
    choose(window, "x axis", "current")
    until(lambda: column_of(window, "right")[:2] == [1, 2])
    window.switch_to.window(first)

    assert column_of(window, "right")[:2] == [4, 8]
