"""A free port, and a browser where there is one."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, DRIVER, chromium
from selenium.webdriver import Chrome


@pytest.fixture
def port() -> int:
    """Of loopback, and free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Chrome]:
    """A headless Chromium; where tests must not be skipped (CI), its absence is a failure."""
    if CHROMIUM is None or DRIVER is None:
        reason = (
            "Chromium is not installed, the Sweep page was NOT looked at: apt-get install chromium chromium-driver"
        )
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with chromium(tmp_path / "profile") as driver:
        yield driver
