"""The page beside a bench: a run through a lane, from the command line, watched in a real browser."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from browser import complaints, words
from selenium.webdriver import Chrome
from watched import until

pytestmark = pytest.mark.browser

SPINSWEEP = [sys.executable, "-m", "spinsweep.cli"]
SMALL = "--set seed=0 --set epochs=200 --set cycles=15 --set images=4 --set steps=30"  # longer than a busy browser


@dataclass
class Measured:
    """A run in a process of its own."""

    process: subprocess.Popen[str]
    dashboard: str = ""
    watchers: str = ""
    said: list[str] = field(default_factory=list)
    """Lines of its standard error."""

    def read(self) -> None:
        """Until it ends."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            for name, before in (("dashboard", "dashboard"), ("watchers", "for watchers")):
                if found := re.search(rf"{before} (http\S+)", line):
                    setattr(self, name, found[1])


@contextmanager
def measuring(folder: Path, port: int, speed: float, *words: str) -> Iterator[Measured]:
    """``spinsweep run ...`` on an emulated bench, for watchers too."""
    bench = folder / "bench.toml"
    run = f"{sys.executable} -m spinsweep.cli run {' '.join(words)} --on {bench} --store {folder / 'cube.zarr'}"
    command = [*SPINSWEEP, "emulate", bench, "--speed", speed, "--run", f"{run} --watchers {port}"]
    process = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    measured = Measured(process)
    reading = threading.Thread(target=measured.read)
    reading.start()
    try:
        until(lambda: (measured.watchers and measured.dashboard) or process.poll() is not None)
        yield measured
    finally:
        process.terminate()
        process.wait(60)
        reading.join()
        assert process.stderr is not None
        process.stderr.close()


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINSWEEP_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("SPINSWEEP_STATE", str(tmp_path / "state"))


@pytest.mark.slow
def test_the_lane_card_tells_who_owns_the_bench_what_it_does_its_loss_and_its_pulses(
    tmp_path: Path, port: int, window: Chrome
) -> None:
    with measuring(tmp_path, port, 1e4, "hil", SMALL) as run:
        address = run.watchers
        window.get(address)
        until(lambda: "loss so far" in words(window), 120)
        said = words(window)
        assert address == f"http://127.0.0.1:{port}/sweep"
        assert re.search(r"owner lane 1 of bench emulated, process \d+ on", said)
        assert re.search(r"experiment hil mode=hil,seed=0 train (epoch \d/image \d|test)", said)
        assert re.search(r"cycles [\d,]+ since the lane started pulses [\d,]+ in the devices' lifetimes", said)
        assert re.search(r"run hil, [12] cells to go", said)
        assert "queue" not in said  # what is measured does not wait
        assert complaints(window) == []
        until(lambda: len(drawn(window)["line"]) > 2)  # the loss, image by image
        assert not press(window, "Stop and make safe")  # of who only watches
        assert "spinsweep bench safe BENCH.toml --stop-owner" in said
        assert not [line for line in run.said if "┤" in line]  # where no terminal is, nothing is drawn


def test_the_lane_card_draws_the_curve_and_its_button_makes_the_bench_safe_and_ends_the_run(
    tmp_path: Path, port: int, window: Chrome
) -> None:
    words_of_run = "--set device=0 --set currents=8 --set cycles=2000 --dashboard-token"
    with measuring(tmp_path, port, 1e3, "characterization", words_of_run) as run:
        secret = urlsplit(run.dashboard).path.split("/")[1]
        other = urlsplit(run.watchers).path.split("/")[1]
        assert len(secret) == len(other) == 32
        with pytest.raises(HTTPError, match="404"):  # with the secret of watchers nobody gets at the button
            urlopen(run.dashboard.replace(secret, other))
        window.get(run.dashboard)
        until(lambda: len(drawn(window)["readings"]) == 100, 120)
        plots = drawn(window)
        assert all(0 <= fraction <= 1 for fraction in plots["curve"] if fraction is not None)
        assert [name.split()[0] for name in plots["levels"]] == ["low", "high"]
        assert re.search(r"last reading \S+ µV, bar0 time left .* of this cell", words(window))
        assert complaints(window) == []

        assert press(window, "Stop and make safe")
        until(lambda: press(window, "No, go on"))
        until(lambda: press(window, "Stop and make safe"))
        assert "is safe" not in words(window)
        until(lambda: press(window, "Yes, stop now"))
        until(lambda: "bench emulated is safe: 0 A, output off, relays open" in words(window))
        given_up = r"the cycle in hand of width=0\.5,device=0: current \d was given up\. The lane ends\."
        assert re.search(given_up, words(window))
        run.process.wait(60)
    assert run.process.returncode == 2
    said = [line for line in run.said if line.startswith("spinsweep: ")]
    stopped = "somebody stopped the lane on the Sweep page, and the bench is safe"
    assert said == [f"spinsweep: {stopped}; what was measured is kept; run the same command again to continue\n"]


def drawn(window: Chrome) -> dict[str, list[Any]]:
    """What the plots of the lane hold, in the browser."""
    script = """
    const found = {curve: [], line: [], readings: [], levels: []};
    for (const plot of Array.from(window.Bokeh?.documents[0]?.all_models ?? []).filter(m => m.name in found))
      for (const renderer of plot.renderers) {
        const data = renderer.data_source.data;
        if (renderer.glyph.type == "Scatter") found[plot.name] = Array.from(data.y);
        if (renderer.glyph.type == "Line") found.line = Array.from(data.y);
        if (renderer.glyph.type == "Text") found.levels = Array.from(data.name);
      }
    return found;"""
    return dict(window.execute_script(script))


def press(window: Chrome, label: str) -> bool:
    """Click the button of that name, where a person can see one."""
    script = """
    const find = root => {
      for (const element of root.querySelectorAll("*")) {
        const is_it = element.tagName == "BUTTON" && element.textContent.trim() == arguments[0];
        if (is_it && element.checkVisibility() && !element.disabled) return element;
        const inner = element.shadowRoot && find(element.shadowRoot);
        if (inner) return inner;
      }
      return null;
    };
    const button = find(document);
    button?.click();
    return button !== null;"""
    return bool(window.execute_script(script, label))
