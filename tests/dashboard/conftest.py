"""A free port, a cluster with Dask's pages, and a browser where there is one."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
from browser import CHROMIUM, DRIVER, SIZE, chromium, complaints
from distributed import Client
from selenium.webdriver import Chrome

from spinsweep.deployment.local_cluster import local_client


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    """Two single-threaded worker processes on loopback, and the scheduler's pages."""
    with local_client(2) as running:
        yield running


@pytest.fixture
def port() -> int:
    """Of loopback, and free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A headless Chromium for all tests; where they must not be skipped (CI), its absence is a failure."""
    if CHROMIUM is None or DRIVER is None:
        reason = (
            "Chromium is not installed, the Sweep page was NOT looked at: apt-get install chromium chromium-driver"
        )
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@pytest.fixture
def window(browser: Chrome) -> Iterator[Chrome]:
    """An empty window of the browser, of usual size; it and all that a test opened are closed afterwards."""
    first = browser.current_window_handle
    browser.switch_to.new_window("window")
    browser.set_window_size(*SIZE)
    complaints(browser)  # what earlier tests left in the console
    yield browser
    for handle in set(browser.window_handles) - {first}:
        browser.switch_to.window(handle)
        browser.close()
    browser.switch_to.window(first)
