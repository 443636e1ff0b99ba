"""The superparamagnetic tunnel junction: law, dwell times, correlated samples, and every sweep with it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.digit_files import write_folder

from spinneurons.endurance.analysis import long_record
from spinneurons.neurons import card as cards
from spinneurons.neurons import tunnel_junction_reference as reference
from spinneurons.neurons.family import Card, MeasuredDevices
from spinneurons.neurons.laws import LOGISTIC
from spinneurons.neurons.tunnel_junction import TunnelJunction, area
from spinsweep.cli import main

CARD = TunnelJunction.default()
I_50, I0 = 4.5e-6, 3.3e-7


def with_values(card: Card = CARD, **numbers: float) -> Card:
    """The card with other values: ``sampling__interval=1e-3``."""
    card = copy.deepcopy(card)
    for key, number in numbers.items():
        section, name = key.split("__")
        card[section][name]["value"] = number
    return cards.validate(card)


CORRELATED = with_values(sampling__interval=2e-4)
"""rho = exp(-0.4) = 0.67 at I_50."""


def telegraph(card: Card, z: float, samples: int, rng: np.random.Generator) -> np.ndarray:
    """(samples,) bool, AP or not: a two-state process that waits exponentially long in each state, looked at in
    steps of the interval.  Nothing here is a Markov chain of samples."""
    tau0, barrier = 1e-9, np.log(card["dwell"]["time"]["value"] / 1e-9)
    interval = card["sampling"]["interval"]["value"]
    i_c = 2 * barrier * I0
    means = [tau0 * np.exp(barrier * (1 - z * I0 / i_c)), tau0 * np.exp(barrier * (1 + z * I0 / i_c))]
    switches = int(2 * samples * interval / sum(means)) + 1000
    waits = np.stack([rng.exponential(mean, switches) for mean in means], axis=1).ravel()
    ends = np.cumsum(waits)
    at = 1e3 * sum(means) / 100 + interval * np.arange(samples)  # after it has settled
    assert at[-1] < ends[-1]
    return np.searchsorted(ends, at, side="right") % 2 == 1


@pytest.mark.parametrize("z", [-1.5, 0.0, 2.0])
def test_samples_are_those_of_a_telegraph_process(z: float) -> None:
    n = 40_000
    simulated = telegraph(CORRELATED, z, n, np.random.default_rng(1))
    family = TunnelJunction(CORRELATED)
    readings = family.measure(I_50, I0, [I_50 + z * I0], n, np.random.default_rng(2))
    drawn = family.decide(readings).switched[0]
    rho, p = float(family.correlation(z)), float(LOGISTIC.probability(z))
    error = np.sqrt(p * (1 - p) / n * (1 + rho) / (1 - rho))
    for states in (simulated, drawn):
        assert states.mean() == pytest.approx(p, abs=4.5 * error)
        assert long_record(states).correlation == pytest.approx(rho, abs=0.03)


def test_dwell_times_are_neel_and_brown_s_and_give_law_and_correlation() -> None:
    family, z = TunnelJunction(CARD), np.linspace(-8, 8, 9)
    parallel, antiparallel = family.dwell_times(z)
    by_hand = [reference.times(CARD, I_50, I0, I_50 + I0 * v) for v in z]
    np.testing.assert_allclose(np.stack([parallel, antiparallel], axis=1), by_hand, rtol=1e-9)
    np.testing.assert_allclose(antiparallel / (parallel + antiparallel), LOGISTIC.probability(z), rtol=1e-9)
    assert family.barrier == pytest.approx(13.8155, abs=1e-4)  # ln(1 ms/1 ns)
    # autocorrelation times are half the dwell time at I_50: 5 ns of 10 ns in arXiv 2301.05694
    fast = TunnelJunction(with_values(dwell__time=1e-8, sampling__interval=5e-9))
    assert float(fast.correlation(0.0)) == pytest.approx(np.exp(-1))


def test_at_the_interval_of_the_card_samples_are_independent() -> None:
    assert TunnelJunction(CARD).correlation([-12.0, 0.0, 12.0]).max() < 1e-300


def test_i0_is_the_critical_current_over_twice_the_barrier() -> None:
    family = TunnelJunction(CARD)
    assert area(0.034) == pytest.approx(9.0792e-4, rel=1e-4)
    assert family.i_bias(0.034) == pytest.approx(4.5396e-6, rel=1e-4)
    assert family.i0(0.034) == pytest.approx(0.01 * 9.0792e-4 / (2 * 13.8155), rel=1e-4)
    np.testing.assert_allclose(family.i_bias([0.034, 0.08]) / family.i0([0.034, 0.08]), 13.8155, rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(-20, 20), min_size=1, max_size=4),
    st.integers(1, 40),
    st.floats(1e-6, 1e-1),
    st.integers(0, 2**32),
)
def test_the_kernel_equals_the_reference(z: list[float], cycles: int, interval: float, seed: int) -> None:
    card = with_values(sampling__interval=interval)
    currents = I_50 + I0 * np.array(z)
    (fast,) = TunnelJunction(card).measure(I_50, I0, currents, cycles, np.random.default_rng(seed))
    slow = reference.measure(card, I_50, I0, currents, cycles, np.random.default_rng(seed))
    np.testing.assert_array_equal(fast, slow)
    assert fast.dtype == np.float32


def test_a_device_that_shows_one_level_is_decided_by_the_card_s() -> None:
    family = TunnelJunction(CARD)
    for z, switched in ((-30, False), (30, True)):
        decision = family.decide(family.measure(I_50, I0, [I_50 + z * I0], 50, np.random.default_rng(3)))
        assert (decision.switched == switched).all()
        assert decision.valid.all()
    lost = family.decide((np.array([np.nan, 6000.0, 1e9], np.float32),))
    assert lost.valid.tolist() == [False, True, False]


def test_a_measured_card_holds_what_was_measured() -> None:
    family = TunnelJunction(CARD)
    widths = np.array([0.05, 0.034])
    factor = np.array([[1.02, 0.98]])
    currents = {"i_bias": family.i_bias(widths)[:, None] * factor, "i0": family.i0(widths)[:, None] * factor}
    errors = {f"{name}_stderr": 0.01 * values for name, values in currents.items()}
    levels = {"low": np.full((2, 2), 5e3), "high": np.full((2, 2), 9e3), "noise": np.full((2, 2), 80.0)}
    made = family.measured(MeasuredDevices(widths, **currents, **errors, **levels), "a log")
    assert cards.loads(cards.dumps(made)) == made
    assert cards.value(made, "balance.density") == pytest.approx(0.005, rel=1e-3)
    assert cards.value(made, "torque.critical_density") == pytest.approx(0.01, rel=1e-3)
    assert cards.value(made, "balance.spread") == pytest.approx(0.02, rel=0.01)
    assert cards.value(made, "junction.magnetoresistance") == pytest.approx(0.8)
    assert made["dwell"]["time"]["provenance"] == "literature"
    assert TunnelJunction(made).individual(0.034, 1) == (currents["i_bias"][1, 1], currents["i0"][1, 1])


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"dwell__time": 1e-10}, "card: dwell.time: value 1e-10 s; it has to be above dwell.attempt_time, 1e-09 s"),
        ({"balance__density": 0.02}, "card: balance.density: value 0.02 A/um^2; it has to be below torque.critical"),
    ],
)
def test_a_card_without_a_barrier_is_refused(numbers: dict[str, float], message: str) -> None:
    with pytest.raises(cards.CardError) as caught:
        with_values(**numbers)
    assert message in str(caught.value)


# Every sweep


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the built-in card as the command writes it, and a few digits."""
    folder = tmp_path_factory.mktemp("junctions")
    write_folder(folder / "digits", 200)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPINSWEEP_CACHE", str(folder / "cache"))
        patch.chdir(folder)
        assert main(["card", "--default", "superparamagnetic-junction", "--out", "junctions.toml"]) == 0
        (folder / "correlated.toml").write_text(cards.dumps(CORRELATED))
        yield folder


def run(name: str, settings: str, card: str = "junctions.toml") -> xr.Dataset:
    """The cube of a sweep with the card, in which everything is done, and from which its figures were drawn."""
    chosen = [word for setting in f"card={card} {settings}".split() for word in ("--set", setting)]
    store = f"{name}-{card}.zarr"
    assert main(["run", name, "--store", store, "--workers", "0", *chosen]) == 0
    assert main(["figures", store, "--out", f"figures-{card}"]) == 0
    cube = xr.open_zarr(store).load()
    assert (cube["cell_state"] == 1).all()
    return cube


def test_the_command_writes_the_built_in_card(lab: Path) -> None:
    assert cards.load(lab / "junctions.toml") == CARD


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--default", "superparamagnetic"], "--default: value 'superparamagnetic' (did you mean"),
        (["cube.zarr", "--default", "hall-bar"], "--default hall-bar: takes no cube and no option but --out and"),
        (["--default", "hall-bar", "--out", "junctions.toml"], "--out junctions.toml is there already"),
        ([], "card: no cube given; name one, or --default FAMILY for a built-in card"),
    ],
)
def test_a_built_in_card_is_not_written_where_the_request_makes_no_sense(
    lab: Path, words: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["card", *words]) == 2
    said = capfd.readouterr()
    assert said.err.startswith(f"spinsweep: {message}")
    assert said.err.count("\n") == 1
    assert said.out == ""


@pytest.mark.slow
def test_a_characterization_gives_back_the_card_it_was_made_with(lab: Path) -> None:
    cube = run("characterization", "width=0.05,0.034 currents=16 cycles=200 resamples=20")
    assert cube["width"].attrs["long_name"] == "junction diameter"
    attrs = {"units": "ohm", "long_name": "Junction resistance under bias", "ancillary_variables": "cell_state"}
    assert cube["r_junction"].attrs == attrs
    assert main(["card", "characterization-junctions.toml.zarr", "--out", "measured.toml"]) == 0
    made = cards.load("measured.toml")
    for key, rtol in (
        ("balance.density", 0.08), ("torque.critical_density", 0.12), ("junction.resistance", 0.01),
        ("junction.magnetoresistance", 0.01), ("read.noise", 0.05),
    ):  # fmt: skip
        assert cards.value(made, key) == pytest.approx(cards.value(CARD, key), rel=rtol), key
        section, name = key.split(".")
        assert made[section][name]["provenance"] == "measured"
    true = np.array([[TunnelJunction(CARD).individual(w, d)[0] for d in range(4)] for w in (0.05, 0.034)])
    fitted = cube["i_bias"].transpose("width", "device")
    assert (abs(fitted - true) < 5 * cube["i_bias_stderr"]).all()


def test_endurance_shows_the_correlation_of_samples(lab: Path) -> None:
    for card, rho in (("junctions.toml", 0.0), ("correlated.toml", np.exp(-0.4))):
        cube = run("endurance", "width=0.05 device=0,1 cycles=4000", card)
        for states in cube["switched"].values.reshape(2, 4000):
            assert long_record(states).correlation == pytest.approx(rho, abs=0.08)


SWEEPS: dict[str, str] = {
    "persistence": "width=0.05 device=0 day=0,7 currents=10 cycles=60",
    "codesign": "width=0.08,0.034 variation=0,0.2 seed=0 images=12 steps=10 epochs=1 data=digits",
    "hil": "width=0.05 seed=0 images=4 test_images=4 steps=15 epochs=1 currents=8 cycles=40 data=digits",
    "hil-replicates": "variation=0,0.2 ratio=13.8 seed=0 images=8 test_images=12 steps=15 epochs=1 data=digits",
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in ("codesign", "hil-replicates") else ()) for name in SWEEPS],
)
def test_it_takes_the_hall_bar_s_place_in(name: str, lab: Path) -> None:
    cube: Any = run(name, SWEEPS[name])
    if name == "codesign":
        np.testing.assert_allclose(cube["z_shift_scale"], 13.8155, rtol=1e-5)  # 2 Delta * 0.005/0.01
        energy = cube["synaptic_energy"].isel(timestep=-1, variation=0, seed=0)
        assert float(energy[0] / energy[1]) == pytest.approx((0.08 / 0.034) ** 4, rel=1e-5)  # i0 squared, as area
