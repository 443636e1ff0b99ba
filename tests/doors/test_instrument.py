"""Instruments of one's own: a package outside the house, found by two entry points, with which a bench works."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import xarray as xr

from instrument_emulator.control import Control
from spinneurons.device.commands import bench_text

PACKAGE = Path(__file__).parent / "instrument_package"
METER = """[meter]
driver = "keysight-34461a"
resource = "TCPIP::127.0.0.1::{port}::SOCKET"
serial = "EMU34461A"
nplc = 1.0
"""
MAGNET = """[auxiliary.magnet]
driver = "magnet-supply"
resource = "TCPIP::127.0.0.2::{port}::SOCKET"
serial = "EMUBOP"
current = 1.5
"""
SPINSWEEP = [sys.executable, "-P", "-m", "spinsweep.cli"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which pip has installed the package."""
    folder, sources = (tmp_path_factory.mktemp(name) for name in ("site", "sources"))
    for path in PACKAGE.glob("*.*"):
        (sources / path.name).write_text(path.read_text())
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--target", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(sources)], check=True, timeout=300)
    return folder


@pytest.fixture
def lab(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a bench file of these instruments; processes that start in it find the package."""
    monkeypatch.chdir(tmp_path)
    for name, value in {"PYTHONPATH": site, "SPINSWEEP_STATE": "state", "SPINSWEEP_LOCKS": tmp_path}.items():
        monkeypatch.setenv(name, str(value))
    text = bench_text(1e5)
    port = tomllib.loads(text)["meter"]["resource"].split("::")[2]
    mine = f"{METER}\n{MAGNET}".format(port=port)
    Path("bench.toml").write_text(re.sub(r"\[meter\]\n(?:.+\n)+", mine, text))
    return tmp_path


@contextmanager
def emulated() -> Iterator[Control]:
    """The bench, served by the command that a user types; a client of its control port."""
    with subprocess.Popen([*SPINSWEEP, "emulate", "bench.toml"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            with Control(int(line.split("control port ")[1].split(";")[0])) as control:
                yield control
        finally:
            process.terminate()


def said(*words: str) -> str:
    """What a command of the command line says, which ends well."""
    ended = subprocess.run([*SPINSWEEP, *words], capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.slow
def test_a_bench_with_them_is_checked_and_left_safe(lab: Path) -> None:
    with emulated() as control:
        report = said("bench", "check", "bench.toml")
        assert control.state()["magnet"] == {"current": 0.0, "output": False}
    assert "34461A serial EMU34461A" in report
    assert "BOP serial EMUBOP" in report
    assert report.count("good") == 4


def test_a_characterization_is_measured_with_them(lab: Path) -> None:
    chosen = ["--set", "device=0,1", "--set", "currents=5", "--set", "cycles=4", "--set", "resamples=20"]
    with emulated() as control:
        said("run", "characterization", "--on", "bench.toml", "--store", "cube.zarr", *chosen)
        exposure = control.exposure()["overall"]
    cube = xr.open_zarr("cube.zarr").load()
    assert (cube["cell_state"] == 1).all()
    assert cube["r_write"].notnull().all()
    assert exposure["pulses"] == 2 * 2 * (5 + 5 * 4)
    definition = json.loads(cube.attrs["sweep_definition"])["parameters"]["bench"]
    assert definition["meter"] == ["keysight-34461a", 0.1, 1.0]
    assert definition["auxiliary"] == {"magnet": ["EMUBOP", "magnet-supply", 1.5]}


def test_a_package_that_is_not_installed_is_missed_by_name(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH")
    ended = subprocess.run([*SPINSWEEP, "bench", "check", "bench.toml"], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "bench.toml: meter: no driver 'keysight-34461a' is installed" in ended.stderr
    assert ended.stderr.count("\n") == 1
