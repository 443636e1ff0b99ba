"""A neuron family of one's own: a package outside the house, found by entry point, with which the sweeps run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from spinneurons.codesign import model, reference
from spinneurons.codesign.chip import Programmed, make
from spinneurons.codesign.draws import Batch, Draws, neuron_thresholds
from spinneurons.endurance.sweep import SWEEP as ENDURANCE
from spinneurons.neurons import card as cards
from spinneurons.neurons import registry
from spinsweep.cli import main
from spinsweep.provenance import Origin

PACKAGE = Path(__file__).parent / "family_package"
ERRORS = pytest.CaptureFixture[str]


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
def lab(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with a card of the family, in a process that finds the package."""
    registry.find.cache_clear()
    monkeypatch.syspath_prepend(site)
    monkeypatch.chdir(tmp_path)
    import tunnel_junction

    (tmp_path / "junction.toml").write_text(tunnel_junction.CARD)
    yield tmp_path
    registry.find.cache_clear()


def words(name: str, settings: str, workers: int = 0) -> list[str]:
    chosen = [word for setting in f"card=junction.toml {settings}".split() for word in ("--set", setting)]
    return ["run", name, "--store", f"{name}.zarr", "--workers", str(workers), *chosen]


def run(name: str, settings: str) -> xr.Dataset:
    """The cube of a sweep with the card, in which everything is done, and from which its figures were drawn."""
    assert main(words(name, settings)) == 0
    assert main(["figures", f"{name}.zarr", "--out", "figures"]) == 0
    cube = xr.open_zarr(f"{name}.zarr").load()
    assert (cube["cell_state"] == 1).all()
    return cube


def test_it_is_characterized_with_its_own_law_and_readings_and_a_card_is_made_of_it(lab: Path) -> None:
    cube = run("characterization", "currents=12 cycles=200 resamples=50")
    assert cube["width"].attrs == {"units": "um", "long_name": "pillar diameter"}
    assert cube["v_junction"].attrs["units"] == "V"
    assert cube["v_junction"].attrs["long_name"] == "Junction voltage after write"
    assert "r_reset" not in cube
    area = np.pi / 4 * cube["width"].values[:, None] ** 2
    np.testing.assert_allclose(cube["i_bias"], 0.03 * area * np.ones((1, 2)), rtol=0.11)
    np.testing.assert_allclose(cube["i0"] / cube["i_bias"], 0.04, rtol=0.25)
    dof = float(cube["dof"].sum())
    assert abs(float(cube["deviance"].sum()) - dof) < 5 * np.sqrt(2 * dof)  # the right law fits
    assert json.loads(cube.attrs["parameters"])["card"]["family"] == "tunnel-junction"
    assert main(["card", "characterization.zarr", "--out", "measured.toml"]) == 0
    made = cards.load("measured.toml")
    assert made["family"] == "tunnel-junction"
    assert made["threshold"]["density"]["provenance"] == "measured"
    assert cards.loads(cards.dumps(made)) == made


def test_its_endurance_is_that_of_fair_coins(lab: Path) -> None:
    cube = run("endurance", "cycles=500")
    assert cube.sizes == {"width": 3, "device": 2, "cycle": 500}
    assert (abs(cube["p"] - 0.5) < 5 * cube["p_stderr"]).all()


def test_it_does_not_drift_and_its_persistence_shows_it(lab: Path) -> None:
    cube = run("persistence", "device=0 day=0,7 currents=12 cycles=100")
    change = cube["i_bias"].isel(day=1) - cube["i_bias"].isel(day=0)
    assert (abs(change) < 5 * np.sqrt((cube["i_bias_stderr"] ** 2).sum("day"))).all()


@pytest.mark.slow
def test_a_network_of_it_is_planned(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINSWEEP_CACHE", str(lab / "cache"))
    cube = run("codesign", "width=0.08,0.05 variation=0,0.2 seed=0 images=40 steps=6 epochs=1")
    np.testing.assert_allclose(cube["z_shift_scale"], 25.0)  # 1/blur at every width
    assert (cube["accuracy"].isel(timestep=-1).sel(variation=0.0) > 0.5).all()


@pytest.mark.slow
def test_it_is_trained_in_the_loop(lab: Path) -> None:
    settings = (
        "width=0.05 devices=0,1 seed=0 images=4 test_images=4 steps=20 epochs=2 currents=8 cycles=50 bias=fitted"
    )
    cube = run("hil", settings)
    assert cube["v_junction"].dims == ("mode", "seed", "epoch", "image", "step", "neuron")
    assert cube["test_v_junction"].notnull().all()
    assert cube["v_junction"].sel(mode="software").isnull().all()


def test_the_fast_plane_with_its_law_equals_the_reference(lab: Path) -> None:
    from tunnel_junction import PROBIT

    rng = np.random.default_rng(1)
    shapes = (((784, 40), 0.05), ((40, 10), 0.3))
    layers = [Programmed.ideal(rng.normal(0, scale, shape).astype(np.float32)) for shape, scale in shapes]
    chip = make(layers, np.random.default_rng(2), np.random.default_rng(3))
    batch = Batch.first(rng.integers(0, 256, (16, 784)).astype(np.uint8), np.arange(16, dtype=np.uint8) % 10, 16)
    table = neuron_thresholds(PROBIT)
    fast = model.plane(chip, batch, Draws((4, 5)), model.CellGrid([0.2], [25.0], 12, thresholds=table), threads=1)
    slow = reference.run(chip, batch, Draws((4, 5)), 0.2, 25.0, 12, neurons=reference.CellNeurons(table))
    np.testing.assert_array_equal(fast.spikes_hidden[0, 0], slow.spikes_hidden)
    np.testing.assert_array_equal(fast.spikes_output[0, 0], slow.spikes_output)
    np.testing.assert_allclose(fast.accuracy[0, 0], slow.accuracy, rtol=1e-12)


def test_its_code_is_part_of_what_computed_a_cell(lab: Path) -> None:
    from tunnel_junction import TunnelJunction

    parts = Origin.of(ENDURANCE.with_values(card=TunnelJunction.default())).code.parts
    assert {"tunnel_junction:TunnelJunction", "tunnel_junction:Probit"} <= set(parts)
    assert not any("hall_bar" in name for name in parts)
    assert any("hall_bar:HallBar" in name for name in Origin.of(ENDURANCE).code.parts)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("endurance", "link=cloglog", "link 'cloglog' is unknown; it is one of card, probit"),
        ("endurance", "width=5", "axis 'width': 5 is out of range; it takes numbers from 0.01 to 1 um"),
        ("hysteresis", "", "junction.toml: family: value 'tunnel-junction'; this sweep is one of Hall bars alone"),
    ],
)
def test_what_does_not_fit_the_family_is_refused_in_one_line(
    lab: Path, capsys: ERRORS, name: str, settings: str, message: str
) -> None:
    assert main(words(name, settings)) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1


def test_a_card_that_is_wrong_is_refused_by_the_family_s_schema(lab: Path) -> None:
    text = (lab / "junction.toml").read_text()
    for old, new, message in (
        ("density", "densty", "threshold.densty: unknown key; the section holds density, blur, spread"),
        ("0.04", "-0.04", "threshold.blur: value -0.04; it is a number above 0"),
        ('"ohm um^2"', '"ohm"', "junction.resistance_area: unit 'ohm'; this value is in 'ohm um^2'"),
    ):
        with pytest.raises(cards.CardError) as caught:
            cards.loads(text.replace(old, new), "junction.toml")
        assert str(caught.value) == f"junction.toml: {message}"


@pytest.mark.slow
def test_workers_find_it_too(lab: Path, site: Path) -> None:
    paths = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "spinsweep.cli", *words("endurance", "cycles=20", workers=1)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (xr.open_zarr("endurance.zarr")["cell_state"] == 1).all()


def test_the_shortest_family_is_the_law_of_its_pulses_and_runs_in_every_kind_of_sweep(
    lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPINSWEEP_CACHE", str(lab / "cache"))
    import filament

    (lab / "junction.toml").write_text(filament.CARD)  # the card that the sweeps of this file take
    family = filament.Filament(cards.loads(filament.CARD))
    i_bias, i0 = float(family.i_bias(0.1)), float(family.i0(0.1))
    for current in i_bias + i0 * np.array([-4.0, -1.0, 0.0, 0.5, 2.0]):
        rate = np.exp(2000.0 * current / 0.2) / 10.0  # 1/tau
        p = float(family.probability(current, i_bias, i0, family.law()))
        assert p == pytest.approx(1 - np.exp(-1e-4 * rate), rel=1e-9)
    cube = run("characterization", "currents=14 cycles=300 resamples=50")
    np.testing.assert_allclose(cube["i_bias"], i_bias, rtol=0.06)
    np.testing.assert_allclose(cube["i0"], i0, rtol=0.3)
    dof = float(cube["dof"].sum())
    assert abs(float(cube["deviance"].sum()) - dof) < 5 * np.sqrt(2 * dof)
    network = run("codesign", "width=0.1 variation=0,0.05 seed=0 images=40 steps=6 epochs=1")
    assert (network["accuracy"].isel(timestep=-1).sel(variation=0.0) > 0.5).all()
    loop = run("hil", "width=0.1 seed=0 images=4 test_images=4 steps=20 epochs=1 currents=8 cycles=50")
    assert loop["r_cell"].sel(mode="hil").notnull().all()


def test_where_the_package_is_not_installed_the_card_says_so(
    lab: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(site)])
    registry.find.cache_clear()
    installed = "hall-bar, superparamagnetic-junction"
    refused = rf"junction\.toml: family: value 'tunnel-junction'; installed are {installed}"
    with pytest.raises(cards.CardError, match=refused):
        cards.load("junction.toml")
