"""Class by membrane sum, neurons that are devices of a card, and crossbars that are calibrated."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chips_and_digits import reference_neurons

from spinneurons.codesign import chip as chips
from spinneurons.codesign import own_devices, reference
from spinneurons.codesign.calibrated import Method, estimate, spread_of
from spinneurons.codesign.chip import Chip, Programmed
from spinneurons.codesign.draws import Batch, Draws
from spinneurons.codesign.model import CellGrid, plane
from spinneurons.codesign.network import Network
from spinneurons.codesign.sweep import CROSSBAR, SWEEP, prepare
from spinneurons.neurons import card as cards
from spinneurons.neurons.hall_bar import HallBar
from spinneurons.neurons.laws import LOGISTIC
from spinsweep.evaluate import evaluate


@pytest.mark.parametrize(
    "steps", [20, pytest.param(70, marks=pytest.mark.slow)]
)  # one chunk of random numbers, and more
@pytest.mark.parametrize("calibrated", [False, True])
def test_the_class_of_the_largest_membrane_sum_is_that_of_the_reference(
    chip: Chip, digits: Batch, draws: Draws, calibrated: bool, steps: int
) -> None:
    batch = digits[:60]
    etas, ratios = [0.0, 0.2], [10.0, 30.0]
    estimates = None
    if calibrated:
        method = Method(28, LOGISTIC, gains=True)
        estimates = estimate(chip, etas, ratios, 0.1, method, np.random.default_rng(0))
    grid = CellGrid(etas, ratios, steps, zeta=0.1, estimates=estimates, class_by="membrane")
    fast = plane(chip, batch, draws, grid, threads=1)
    plain = plane(chip, batch, draws, CellGrid(etas, ratios, steps, zeta=0.1, estimates=estimates), threads=1)
    np.testing.assert_array_equal(fast.spikes_output, plain.spikes_output)
    assert not np.array_equal(fast.accuracy, plain.accuracy)
    for e, r in np.ndindex(2, 2):
        neurons = reference_neurons(grid, e, r)
        by_membrane = reference.CellNeurons(neurons.thresholds, neurons.zeta, neurons.shift, neurons.gain, "membrane")
        slow = reference.run(chip, batch, draws, etas[e], ratios[r], steps, neurons=by_membrane)
        np.testing.assert_allclose(fast.accuracy[e, r], slow.accuracy, atol=1e-12)


def test_the_membrane_sum_does_not_depend_on_threads_or_other_cells(chip: Chip, digits: Batch, draws: Draws) -> None:
    both = plane(chip, digits, draws, CellGrid([0.0, 0.2], [10.0, 30.0], 12, class_by="membrane"), threads=2)
    one = plane(chip, digits, draws, CellGrid([0.2], [30.0], 12, class_by="membrane"), threads=1)
    np.testing.assert_array_equal(both.accuracy[1, 1], one.accuracy[0, 0])


# Devices of a card


def listing(*devices: tuple[float, int, float, float]) -> dict[str, Any]:
    """A card that lists devices: width, index, and deviations of I_bias and i0."""
    card = copy.deepcopy(cards.default())
    family = HallBar(card)
    card["device"] = [
        {"width_um": w, "index": i, "i_bias": float(family.i_bias(w)) * (1 + a), "i_bias_stderr": 0.0,
         "i0": float(family.i0(w)) * (1 + b), "i0_stderr": 0.0}
        for w, i, a, b in devices
    ]  # fmt: skip
    return cards.validate(card)


@pytest.fixture
def card(tmp_path: Path) -> str:
    path = tmp_path / "card.toml"
    path.write_text(cards.dumps(listing((5.0, 0, 0.05, -0.02), (0.5, 1, -0.2, 0.04), (0.5, 3, 0.1, 0.0))))
    return str(path)


def test_each_neuron_is_one_of_the_card_s_devices_and_the_axes_say_how_far_they_go(card: str) -> None:
    value = own_devices.describe(card)
    rows = own_devices.measured(value)
    assert rows is not None
    np.testing.assert_allclose(rows * [0.2, 0.04], [[0.05, -0.02], [-0.2, 0.04], [0.1, 0.0]], atol=1e-9)
    sweep = SWEEP.with_text({"devices": card})
    assert sweep.axis("variation").values == (pytest.approx(0.2),)
    assert sweep.axis("i0_variation").values == (pytest.approx(0.04),)
    rngs = (np.random.default_rng(k) for k in range(3))
    x, y, xi = chips.draw([(20, 3000), (3000, 10)], *rngs, measured=rows)
    found, times = np.unique(np.stack([x, y], axis=1), axis=0, return_counts=True)
    np.testing.assert_allclose(np.sort(found, axis=0), np.sort(rows, axis=0), atol=1e-6)
    assert (abs(times - 1003) < 5 * np.sqrt(3010 * 2 / 9)).all()
    assert np.abs(xi[0]).max() == pytest.approx(1, abs=1e-3)


def test_the_same_devices_in_another_file_are_the_same_sweep(card: str, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(Path(card).read_text())
    digests = [SWEEP.with_text({"devices": str(path)}).digest for path in (card, other)]
    assert digests[0] == digests[1] != SWEEP.digest


def test_what_is_known_before_a_pulse_is_how_far_the_devices_deviate(card: str) -> None:
    rows = own_devices.measured(own_devices.describe(card))
    assert rows is not None
    assert spread_of("uniform", rows) == pytest.approx(tuple(np.sqrt((rows**2).mean(axis=0))))
    assert spread_of("uniform") == pytest.approx((3**-0.5, 3**-0.5))
    assert spread_of("normal") == pytest.approx((1.0, 3**-0.5))


def test_a_chip_of_devices_is_calibrated(trained: Network, digits: Batch, draws: Draws, card: str) -> None:
    rows = own_devices.measured(own_devices.describe(card))
    layers = [Programmed.ideal(w) for w in trained.folded]
    one = chips.make(layers, *(np.random.default_rng(k) for k in range(2)), "neurons", "uniform",
                     np.random.default_rng(2), rows)  # fmt: skip
    method = Method(280, LOGISTIC, spread=spread_of("uniform", rows))
    estimates = estimate(one, [0.25], [30.0], 0.04, method, np.random.default_rng(0))
    none, few = (
        plane(one, digits, draws, CellGrid([0.25], [30.0], 20, zeta=0.04, estimates=e)).accuracy[0, 0, -1]
        for e in (None, estimates)
    )
    assert few > none + 0.05


# Crossbars


def test_a_crossbar_is_calibrated_as_its_planes_are(tmp_path: Path) -> None:
    sweep = CROSSBAR.with_values(
        width=(0.3,), variation=(0.2,), seed=(0, 1), levels=(0, 4), stuck_off=(0.0, 0.1), stuck_on=(0.0,),
        read_noise=(0.0,), calibration_cycles=("0", "28"), images=60, steps=8, epochs=1,
    )  # fmt: skip
    prepare(sweep)
    whole = evaluate(sweep, {a.name: a.values for a in sweep.axes})
    assert not whole.errors
    accuracy = whole.values["accuracy"][..., -1]
    none, few = np.moveaxis(accuracy, sweep.axis_names.index("calibration_cycles"), 0)
    assert (few.mean() > none.mean() + 0.1).all()
    chosen = {"seed": 1, "levels": 1, "stuck_off": 1, "calibration_cycles": 1}
    for place in ({}, chosen, {"seed": 1, "calibration_cycles": 1}, {"stuck_off": 1, "levels": 1}):
        at = tuple(place.get(a.name, 0) for a in sweep.axes)
        box = {a.name: (a.values[i],) for a, i in zip(sweep.axes, at, strict=True)}
        alone = evaluate(sweep, box)
        np.testing.assert_array_equal(alone.values["accuracy"].ravel(), whole.values["accuracy"][at])
