"""The network of characterized devices: the same as a card of them gives, on workers, from any characterization."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from spinneurons.characterization.sweep import SWEEP as CHARACTERIZATION
from spinneurons.codesign.network import Network
from spinneurons.codesign.sweep import SWEEP as CODESIGN
from spinneurons.measured_network.figures import FIGURES
from spinneurons.measured_network.sweep import SWEEP, NeuronDevices
from spinsweep import open_cube
from spinsweep.cli import main
from spinsweep.errors import SpecError
from spinsweep.evaluate import evaluate
from spinsweep.executors.running import run
from spinsweep.spec import Sweep

FEW = {"images": 60, "steps": 8, "epochs": 1, "seed": (0, 1)}


@pytest.fixture(scope="module")
def characterized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("characterized") / "characterization.zarr"
    few = CHARACTERIZATION.with_values(width=(5.0, 1.0, 0.3), currents=12, cycles=40, resamples=10)
    run(few, store, executor="serial")
    return store


def values(sweep: Sweep) -> dict[str, np.ndarray]:
    computed = evaluate(sweep, {a.name: a.values for a in sweep.axes})
    assert not computed.errors
    return computed.values


def test_the_network_is_that_of_the_card_of_the_same_characterization(
    trained: Network, characterized: Path, tmp_path: Path
) -> None:
    card = str(tmp_path / "card.toml")
    assert main(["card", str(characterized), "--out", card]) == 0
    with_card = replace(CODESIGN.with_text({"card": card, "devices": card}), name=SWEEP.name)
    with_card = with_card.with_values(calibration_cycles=("0", "28"), **FEW)
    by_card = values(with_card)
    by_cube = values(SWEEP.with_values(characterization=str(characterized), **FEW))
    assert [a.values for a in with_card.axes if a.name == "width"] == [(5.0, 1.0, 0.3)]
    for name, array in by_cube.items():  # the card's axes of variation are rounded to 12 digits
        np.testing.assert_allclose(array, by_card[name].reshape(array.shape), rtol=1e-9, err_msg=name)
    assert 0.3 < by_cube["accuracy"][..., -1].mean() < 1


def test_widths_are_those_of_the_input_unless_others_are_set(
    trained: Network, characterized: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "results/characterization.zarr").symlink_to(characterized)  # where it is looked for
    some = ["--set", "images=40", "--set", "steps=4", "--set", "epochs=1", "--set", "seed=0", "--workers", "0"]
    assert main(["run", "measured-network", "--store", "all.zarr", *some]) == 0
    assert main(["run", "measured-network", "--store", "one.zarr", *some, "--set", "width=0.3"]) == 0
    whole, one = (open_cube(name) for name in ("all.zarr", "one.zarr"))
    assert whole["width"].values.tolist() == [5.0, 1.0, 0.3]
    assert one["width"].values.tolist() == [0.3]
    np.testing.assert_array_equal(one["accuracy"], whole["accuracy"].sel(width=[0.3]))
    assert whole.attrs["devices"] == 12
    figure = FIGURES["measured_network"]
    assert figure(whole).axes
    assert "Neurons are drawn from 12 devices, which deviate by at most" in figure.caption(whole)


def test_a_characterization_without_a_fit_is_refused_in_one_line(tmp_path: Path) -> None:
    store = tmp_path / "one-current.zarr"
    below: Any = CHARACTERIZATION.with_values(width=(5.0,), device=(0,), currents=2, cycles=2, resamples=10)
    run(below, store, executor="serial")
    with pytest.raises(SpecError, match="input 'characterization': measured card: no width has a fitted device"):
        run(SWEEP.with_values(characterization=str(store), **FEW), tmp_path / "x.zarr", executor="serial")
    assert not (tmp_path / "x.zarr").exists()


LOG = "width_um,device,i_write_A,n_switched,n_valid,polarity\n" + "".join(
    f"{width},{device},{sign * step * 1e-5 * width},{round(100 / (1 + np.exp(25 - step - device)))},100,{sign}\n"
    for width in (2.0, 0.5) for device in (0, 1) for sign in (1, -1) for step in range(15, 36)
)  # fmt: skip


@pytest.mark.slow
def test_of_a_log_with_two_curves_of_each_device_one_is_chosen(
    trained: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log.csv").write_text(LOG)
    log = str(tmp_path / "log.zarr")
    assert main(["import", str(tmp_path / "log.csv"), log]) == 0
    words = ["run", "measured-network", "--store", str(tmp_path / "n.zarr"), "--workers", "0"]
    words += ["--set", f"characterization={log}", "--set", "seed=0", "--set", "images=40", "--set", "steps=4"]
    words += ["--set", "epochs=1"]
    assert main(words) == 2
    assert "each device has 2 curves, along polarity; choose one: select=polarity=" in capsys.readouterr().err
    assert not (tmp_path / "n.zarr").exists()
    assert main([*words, "--set", "select=polarity=-1"]) == 0
    network = open_cube(tmp_path / "n.zarr")
    assert network["width"].values.tolist() == [2.0, 0.5]
    assert network.attrs["devices"] == 4


def test_devices_with_a_bad_fit_are_left_out_and_named(characterized: Path) -> None:
    cube = open_cube(characterized).load()
    half = (cube["current"] % 2).astype(bool)  # every second current switches always: no curve is like this
    one = (cube["width"] == 1.0) & (cube["device"] == 2)
    switched = xr.where(one, half, cube["switched"] > 0)
    cube["switched"] = switched.transpose(*cube["valid"].dims)
    cube["valid"] = cube["valid"] > 0
    devices = NeuronDevices.of(cube)
    assert len(devices.deviations) == 11
    assert len(devices.left_out) == 1
    assert devices.left_out[0].startswith("width 1 um, device 2: bad fit, p = ")
