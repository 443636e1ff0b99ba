"""The page of ``spinsweep scheduler``, before its first run and after its end."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from browser import complaints, words
from selenium.webdriver import Chrome
from watched import until

from spinsweep.dashboard.access import VISIBLE_TO_ALL

pytestmark = pytest.mark.browser


@contextmanager
def scheduler(*words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and the address of its dashboard."""
    command = [sys.executable, "-m", "spinsweep.cli", "scheduler", "--port", "0", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        match = re.search(r"dashboard (\S+)/status", process.stdout.readline())
        assert match
        yield process, match[1]
    finally:
        process.terminate()
        process.communicate(timeout=30)


def get(address: str) -> str:
    with urllib.request.urlopen(address, timeout=10) as response:
        return str(response.read().decode())


def is_lost(window: Chrome) -> bool:
    """Whether the page says that it lost its scheduler."""
    find = "Array.from(Bokeh.documents[0].all_models).find(m => m.text?.includes('does not answer'))"
    return bool(window.execute_script(f"return {find}.visible"))


def test_a_scheduler_has_its_page_and_its_metrics_before_the_first_run() -> None:
    with scheduler("--dashboard-port", "0") as (_, dashboard):
        assert "Sweep</a>" in get(f"{dashboard}/status")
        assert "Bokeh" in get(f"{dashboard}/sweep")
        assert "spinsweep_cells" in get(f"{dashboard}/metrics")


@pytest.mark.slow
def test_the_page_says_that_there_is_no_sweep_yet_and_later_that_the_scheduler_is_gone(window: Chrome) -> None:
    with scheduler("--dashboard-port", "0") as (process, dashboard):
        window.get(f"{dashboard}/sweep")
        until(lambda: "No sweep yet" in words(window))
        assert complaints(window) == []
        assert not is_lost(window)
        process.terminate()
        until(lambda: is_lost(window))
        until(lambda: re.search(r"Connection lost [2-9] s ago", words(window)) is not None)
        assert "No sweep yet" in words(window), "what it showed last stays"


@pytest.mark.slow
def test_the_page_comes_back_by_itself_when_the_scheduler_does(window: Chrome, port: int) -> None:
    with scheduler("--dashboard-port", str(port)) as (_, dashboard):
        window.get(f"{dashboard}/sweep")
        until(lambda: "No sweep yet" in words(window))
        window.execute_script("window.of_the_first = true")
    until(lambda: is_lost(window))
    with scheduler("--dashboard-port", str(port)) as (_, again):
        assert again == dashboard
        until(lambda: not window.execute_script("return window.of_the_first ?? false"))
        until(lambda: "No sweep yet" in words(window))
        assert not is_lost(window)


def test_a_page_with_a_token_works_in_a_browser_and_its_address_is_told_to_nobody_else(window: Chrome) -> None:
    with scheduler("--dashboard-port", "0", "--dashboard-token") as (_, dashboard):
        server, _, token = dashboard.rpartition("/")
        assert len(token) == 32
        with pytest.raises(urllib.error.HTTPError, match="404") as refused:
            get(f"{server}/sweep")
        refused.value.close()
        window.get(f"{dashboard}/sweep")
        until(lambda: "No sweep yet" in words(window))
        assert complaints(window) == []
        window.get(f"{dashboard}/status")
        assert window.find_element("link text", "Sweep").get_attribute("href") == f"{dashboard}/sweep"


@pytest.mark.slow
def test_a_dashboard_whose_port_is_taken_gets_another_and_says_so_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        taken = listening.getsockname()[1]
        with scheduler("--dashboard-port", str(taken)) as (process, dashboard):
            assert not dashboard.endswith(f":{taken}")
            assert "Sweep</a>" in get(f"{dashboard}/status")
            process.terminate()
            _, said = process.communicate(timeout=30)
    assert said.splitlines() == [f"port {taken} is taken; the dashboard uses another", VISIBLE_TO_ALL, "ending"]
