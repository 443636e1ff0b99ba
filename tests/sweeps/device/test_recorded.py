"""What auxiliary instruments record on an emulated bench, in the journal and in the cube."""

from __future__ import annotations

import json
import math
import re
import socket
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from emulating import emulating
from instrument_emulator.control import Control
from instrument_emulator.wave6221 import SEGMENTS_PER_CYCLE
from spinneurons.device.commands import bench_text
from spinsweep.bench.bench_file import parse
from spinsweep.cli import main
from spinsweep.discovery import find, on_bench

SMALL = ["--set", "device=0", "--set", "currents=4", "--set", "cycles=5", "--set", "resamples=20", "--workers", "0"]
MORE = """
[auxiliary.magnet]
driver = "lakeshore-643"
resource = "TCPIP::127.0.0.1::{0}::SOCKET"
serial = "EMU643"
field = 0.02
current_per_tesla = 100.0
max_current = 3.0
ramp = 2e-3
tolerance = 1e-4

[auxiliary.cryostat-1]
driver = "lakeshore-336"
resource = "TCPIP::127.0.0.1::{1}::SOCKET"
serial = "EMU336"
input = "C"
"""
LOCK_IN = """[meter]
driver = "sr830"
resource = "TCPIP::127.0.0.1::{port}::SOCKET"
serial = "EMU830"
frequency = 137.0
sensitivity = 1e-3
time_constant = 0.03

"""
COLUMNS = ["field_magnet", "temperature_cryostat_1"]


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINSWEEP_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("SPINSWEEP_STATE", str(tmp_path / "state"))


def text(lock_in: bool = False) -> str:
    """The template's bench with a field supply and a thermometer, and maybe a lock-in instead of its voltmeter."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.2", 0))) for _ in range(2)]
        more = MORE.format(*(s.getsockname()[1] for s in sockets)).replace("127.0.0.1", "127.0.0.2")
    made = bench_text(1e5) + more
    if lock_in:
        made = made.replace('driver = "keithley-6221"', 'driver = "keithley-6221-sine"\nread_frequency = 137.0')
        port = re.search(r"\[meter\][^\[]*?::(\d+)::SOCKET", made)
        assert port
        made = re.sub(r"\[meter\]\n(?:.+\n)+\n", LOCK_IN.format(port=port[1]), made)
    return made


@contextmanager
def emulated(folder: Path, bench: str) -> Iterator[tuple[Path, Control]]:
    path = folder / "bench.toml"
    path.write_text(bench)
    with emulating(path) as control:
        yield path, control


def characterized(bench: Path, store: Path, cycles: int = 5) -> xr.Dataset:
    small = [word.replace("cycles=5", f"cycles={cycles}") for word in SMALL]
    assert main(["run", "characterization", "--on", str(bench), "--store", str(store), *small]) == 0
    return xr.open_zarr(store).load()


def rows(folder: Path) -> list[dict[str, Any]]:
    (journal,) = (folder / "state" / "emulated" / "journal").glob("*.jsonl")
    return [json.loads(line) for line in journal.read_text().splitlines()]


def test_a_characterization_has_a_temperature_and_a_field_for_each_current(tmp_path: Path) -> None:
    with emulated(tmp_path, text()) as (bench, control):
        control.set("temperature", "cryostat-1", kelvin=77.0)
        cube = characterized(bench, tmp_path / "cube.zarr")
        assert control.state()["magnet"]["current"] == 0
        assert control.exposure()["overall"]["pulses"] == 2 * (5 + 4 * 5)
    assert (cube["cell_state"] == 1).all()
    assert cube["temperature_cryostat_1"].dims == ("width", "device", "current")
    assert cube["temperature_cryostat_1"].attrs["units"] == "K"
    assert "temperature by cryostat-1 (lakeshore-336)" in cube["temperature_cryostat_1"].attrs["long_name"]
    assert cube["field_magnet"].attrs["units"] == "T"
    np.testing.assert_allclose(cube["temperature_cryostat_1"], 77.0)
    np.testing.assert_allclose(cube["field_magnet"], 0.02, rtol=1e-4)
    measured = [row for row in rows(tmp_path) if row["op"] == "measured"]
    assert [row["train"] for row in measured[2:]] == [f"current {k // 2}" for k in range(8)]
    assert all(sorted(row["values"]) == COLUMNS for row in measured)


def test_a_characterization_is_read_with_a_lock_in_in_a_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spinsweep.bench.trains.READ_SLACK_S", 60.0)  # an emulated sine takes time on a busy machine
    with emulated(tmp_path, text(lock_in=True)) as (bench, control):
        cube = characterized(bench, tmp_path / "cube.zarr", cycles=2)  # the sine is much to compute
        assert control.exposure()["overall"]["pulses"] == 2 * (5 + 4 * 2)
        largest = 50e-6 * math.cos(math.pi / SEGMENTS_PER_CYCLE)  # of the steps that stand for the sine
        assert control.exposure()["overall"]["max_steady"] == pytest.approx(largest)
    assert (cube["cell_state"] == 1).all()
    assert bool(cube["valid"].all())
    definition = json.loads(cube.attrs["sweep_definition"])["parameters"]["bench"]
    assert definition["source"] == ["keithley-6221-sine", 0.002, 10.0, 137.0]
    assert definition["meter"][:2] == ["sr830", 137.0]
    np.testing.assert_allclose(cube["field_magnet"], 0.02, rtol=1e-4)


@pytest.mark.slow
def test_a_training_has_mean_least_and_largest_value_of_each_column(tmp_path: Path) -> None:
    small = ["seed=0", "mode=hil", "images=2", "test_images=2", "steps=3", "epochs=1", "currents=4", "cycles=4"]
    small += ["classes=0,2", "neurons=2", "devices=0"]
    words = [word for setting in small for word in ("--set", setting)]
    with emulated(tmp_path, text()) as (bench, control):
        control.set("temperature", "cryostat-1", kelvin=300.0, after=40)
        store = str(tmp_path / "hil.zarr")
        assert main(["run", "hil", "--on", str(bench), "--store", store, "--workers", "0", *words]) == 0
    cell = xr.open_zarr(store).isel(mode=0, seed=0).load()
    assert cell["temperature_cryostat_1_min"] == 295.0
    assert cell["temperature_cryostat_1_max"] == 300.0
    assert 295.0 < cell["temperature_cryostat_1_mean"] < 300.0
    assert cell["temperature_cryostat_1_mean"].attrs["units"] == "K"
    assert cell["field_magnet_mean"] == pytest.approx(0.02, rel=1e-4)


@pytest.mark.parametrize("sweep", ["characterization", "hil"])
def test_a_bench_that_records_nothing_has_the_outputs_that_it_had(sweep: str) -> None:
    described = find(sweep)
    measured = on_bench(described, parse(tomllib.loads(bench_text(1e5))))
    assert measured.outputs == described.outputs
    assert measured.outputs_of is described.outputs_of


def test_two_columns_of_one_name_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    another = MORE.split("\n\n")[1].format(0, 1).replace("cryostat-1", "cryostat_1")
    more = text() + another.replace("127.0.0.1", "127.0.0.3")
    path = tmp_path / "bench.toml"
    path.write_text(more)
    assert main(["run", "characterization", "--on", str(path), *SMALL]) == 2
    assert "column temperature_cryostat_1 is that of auxiliary.cryostat-1 too" in capsys.readouterr().err
