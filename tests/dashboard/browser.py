"""Chromium, headless, with a profile of its own, and what its console said."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions, ChromeService

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
SIZE = (1280, 1000)  # of a window, pixels
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--window-size={SIZE[0]},{SIZE[1]}",
)


@contextmanager
def chromium(profile: Path) -> Iterator[Chrome]:
    """A window, closed at the end."""
    options = ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=ChromeService(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def complaints(driver: Chrome) -> list[str]:
    """Errors and warnings of the console since it was asked last."""
    return [f"{e['level']}: {e['message']}" for e in driver.get_log("browser") if e["level"] != "INFO"]


def words(driver: Chrome) -> str:
    """All that the Sweep page says, without its maps and tables."""
    script = "return window.Bokeh?.documents[0]?.all_models ? Array.from(Bokeh.documents[0].all_models)"
    script += ".filter(m => m.type == 'Div').map(m => m.text).join(' ') : '';"
    plain = re.sub(r"<[^>]*>", " ", str(driver.execute_script(script)))
    return " ".join(html.unescape(plain).split())
