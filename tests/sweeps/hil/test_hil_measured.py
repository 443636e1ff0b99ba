"""Hardware-in-loop training on an emulated bench: the whole way over VISA, interrupted and not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from emulating import emulating
from instrument_emulator.control import Control
from spinneurons.neurons import card as cards
from spinneurons.neurons.hall_bar import HallBar
from spinsweep.bench.equipment import BenchEquipment
from spinsweep.cli import main
from spinsweep.cli.options import requested
from spinsweep.spec import Sweep

SMALL = ["--set", "seed=0", "--set", "mode=hil", "--set", "images=4", "--set", "test_images=4", "--set", "steps=15"]
SMALL += ["--set", "epochs=2", "--set", "currents=6", "--set", "cycles=8", "--workers", "0"]
CURVES, TRAINING, TEST, LEVELS = 6 * 8, 2 * 4 * 15, 4 * 15, 5  # cycles of a device


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINSWEEP_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("SPINSWEEP_STATE", str(tmp_path / "state"))


@contextmanager
def emulated(folder: Path, seed: int = 1) -> Iterator[tuple[Path, Control]]:
    folder.mkdir(exist_ok=True)
    path = folder / "bench.toml"
    with emulating(path, "--speed", "1e5", "--seed", str(seed)) as control:
        yield path, control


def run(bench: Path, store: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "spinsweep.cli", "run", "hil", "--on", str(bench), "--store", str(store), *SMALL]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finished(bench: Path, store: Path) -> xr.Dataset:
    """The whole of it, in this process, where torch is loaded already."""
    assert main(["run", "hil", "--on", str(bench), "--store", str(store), *SMALL]) == 0
    return xr.open_zarr(store).load()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    """A small training from its beginning to its end."""
    folder = tmp_path_factory.mktemp("undisturbed")
    os.environ["SPINSWEEP_STATE"], os.environ["SPINSWEEP_LOCKS"] = str(folder / "state"), str(folder / "locks")
    with emulated(folder) as (bench, control):
        cube = finished(bench, folder / "hil.zarr")
        assert control.exposure()["overall"]["pulses"] == 2 * 4 * (LEVELS + CURVES + TRAINING + TEST)
        settings = [word for word in SMALL if "=" in word]
        demand_trains(folder / "state", requested("hil", settings, None, BenchEquipment(bench)))
    return cube


def demand_trains(state: Path, sweep: Sweep) -> None:
    """Fail unless the trains that were fired are those that the sweep says for a plan."""
    assert sweep.bench_trains is not None
    rows = [json.loads(line) for file in state.rglob("journal/*.jsonl") for line in file.read_text().splitlines()]
    fired: Counter[frozenset[tuple[str, int]]] = Counter()
    for plan in (row["plan"] for row in rows if row["op"] == "intent"):
        columns = Counter(plan["devices"])
        fired[frozenset((d, n * plan["cycles"] // columns.total()) for d, n in columns.items())] += 1
    said: Counter[frozenset[tuple[str, int]]] = Counter()
    for number, cycles in sweep.bench_trains(sweep):
        said[frozenset(cycles.items())] += number
    assert fired == said


@pytest.mark.slow
def test_a_training_on_the_bench_keeps_every_reading_and_its_loss_falls(undisturbed: xr.Dataset) -> None:
    cell = undisturbed.isel(mode=0, seed=0)
    assert np.isfinite(cell.r_reset).all()
    assert (cell.trials == 15).all()
    assert float(cell.loss[-1]) < float(cell.loss[0])
    assert set(cell.test_label.values.tolist()) == {0, 2, 4, 6}


@pytest.mark.slow
@pytest.mark.parametrize("stops", [(300, 800), (300, 600, 900)], ids=str)
def test_a_training_that_is_interrupted_again_and_again_comes_to_the_same_weights_bit_for_bit(
    tmp_path: Path, undisturbed: xr.Dataset, stops: tuple[int, ...]
) -> None:
    with emulated(tmp_path) as (bench, control):
        for wanted in stops:  # pulses: in the curves, and in the training
            process = run(bench, tmp_path / "hil.zarr")
            while process.poll() is None and control.exposure()["overall"]["pulses"] < wanted:
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=60)
            assert process.returncode != 0, said
        cube = finished(bench, tmp_path / "hil.zarr")
        journal = next((tmp_path / "state" / "emulated" / "journal").glob("*.jsonl")).read_text().splitlines()
    lost = [row for row in map(json.loads, journal) if row["op"] == "lost"]
    assert not lost
    for name in ("weights", "loss", "activation", "test_activation", "confidence", "predicted"):
        assert np.array_equal(cube[name], undisturbed[name]), name


@pytest.mark.faults
def test_a_killed_training_loses_one_sample_of_each_device_at_most_and_finishes(
    tmp_path: Path, undisturbed: xr.Dataset
) -> None:
    with emulated(tmp_path) as (bench, control):
        process = run(bench, tmp_path / "hil.zarr")
        while control.exposure()["overall"]["pulses"] < 700:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        cube = finished(bench, tmp_path / "hil.zarr")
    trials = cube.trials.values
    assert trials.sum() >= trials.size * 15 - 4  # devices take turns: each has a cycle in hand
    assert trials.min() >= 14
    if trials.sum() == trials.size * 15:  # it died between two pulses
        assert np.array_equal(cube.weights, undisturbed.weights)


@pytest.mark.slow
def test_another_emulator_gives_other_outcomes(tmp_path: Path, undisturbed: xr.Dataset) -> None:
    with emulated(tmp_path, seed=2) as (bench, _):
        cube = finished(bench, tmp_path / "hil.zarr")
    assert not np.array_equal(cube.activation, undisturbed.activation)
    assert np.array_equal(cube.label, undisturbed.label)


@pytest.mark.slow
def test_a_device_that_fails_in_training_is_left_out_and_the_others_learn(tmp_path: Path) -> None:
    with emulated(tmp_path) as (bench, control):
        control.set("open", device="bar2", after=5000)  # messages to the source: in the training
        cube = finished(bench, tmp_path / "hil.zarr").isel(mode=0, seed=0)
    assert np.isnan(cube.test_activation[:, 2]).all()
    assert (cube.trials[0, 0] == 15).all()
    assert np.isfinite(cube.weights).all()
    assert (cube.test_activation[:, [0, 1, 3]] >= 0).all()


def test_a_calibration_on_the_bench_spends_no_cycle_on_training_and_finds_the_devices(tmp_path: Path) -> None:
    small = [word.replace("mode=hil", "method=calibrated") for word in SMALL]
    with emulated(tmp_path) as (bench, control):
        assert main(["run", "hil", "--on", str(bench), "--store", str(tmp_path / "hil.zarr"), *small]) == 0
        assert control.exposure()["overall"]["pulses"] == 2 * 4 * (LEVELS + CURVES + TEST)
    cell = xr.open_zarr(tmp_path / "hil.zarr").isel(mode=0, seed=0).load()
    assert str(cell["mode"].values) == "software"
    true = [HallBar(cards.default()).individual(0.5, d)[0] for d in range(4)]
    np.testing.assert_allclose(cell["bias_current"], true, rtol=0.04)
    assert len(set(cell["bias_current"].values)) > 1


@pytest.mark.slow
def test_a_rule_that_needs_no_model_of_a_device_shows_each_image_twice_on_the_bench(tmp_path: Path) -> None:
    small = [word.replace("epochs=2", "epochs=1") for word in SMALL]
    small += ["--set", "rule=noise-based", "--set", "hidden=2", "--set", "neurons=6"]
    with emulated(tmp_path) as (bench, control):
        assert main(["run", "hil", "--on", str(bench), "--store", str(tmp_path / "hil.zarr"), *small]) == 0
        neurons = {0: 2, 1: 2, 2: 1, 3: 1}  # six neurons on four devices in turn
        # in one epoch, which is half of the training, each image is shown twice
        pulses = sum(2 * (LEVELS + CURVES + n * (TRAINING + TEST)) for n in neurons.values())
        assert control.exposure()["overall"]["pulses"] == pulses
    cell = xr.open_zarr(tmp_path / "hil.zarr").isel(mode=0, seed=0).load()
    assert (cell["trials"] == 15).all()
    assert float(cell["loss"][0]) > 0


def test_devices_that_the_bench_does_not_have_are_refused_in_one_line_before_anything_is_fired(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with emulated(tmp_path) as (bench, control):
        words = ["run", "hil", "--on", str(bench), "--store", str(tmp_path / "hil.zarr"), *SMALL]
        assert main([*words, "--set", "devices=0,1,2,7"]) == 2
        assert "no device with labels width=0.5, device=7" in capsys.readouterr().err
        assert control.exposure()["overall"]["pulses"] == 0
