"""The page beside a bench: a run through a lane, from the command line, watched in a real browser."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from browser import complaints, words
from selenium.webdriver import Chrome
from watched import until

pytestmark = pytest.mark.browser

SPINSWEEP = [sys.executable, "-m", "spinsweep.cli"]
SMALL = "--set seed=0 --set epochs=200 --set cycles=15 --set images=4 --set steps=30"  # longer than a busy browser


@contextmanager
def training(folder: Path, port: int) -> Iterator[str]:
    """``hil`` on an emulated bench, for watchers too; the address of the watchers' page."""
    bench = folder / "bench.toml"
    run = f"{sys.executable} -m spinsweep.cli run hil --on {bench} --store {folder / 'hil.zarr'} {SMALL}"
    command = [*SPINSWEEP, "emulate", bench, "--speed", "1e4", "--run", f"{run} --watchers {port}"]
    process = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr is not None
    try:
        yield next(m[1] for line in process.stderr if (m := re.search(r"for watchers (\S+)", line)))
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_the_lane_card_tells_who_owns_the_bench_what_it_does_its_loss_and_its_pulses(
    tmp_path: Path, port: int, window: Chrome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPINSWEEP_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("SPINSWEEP_STATE", str(tmp_path / "state"))
    with training(tmp_path, port) as address:
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
