"""The energy ledger: values computed by hand, what it is proportional to, and that no sweep rests on its entries."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr

from spinneurons.codesign import account
from spinneurons.codesign.energy_ledger import Bars, EnergyLedger, InferenceLoad, fold, ledger
from spinneurons.codesign.sweep import SWEEP
from spinneurons.neurons import card as cards
from spinneurons.neurons.hall_bar import HallBar
from spinneurons.neurons.tunnel_junction import TunnelJunction

WIDTHS = np.array([0.3, 5.0])
BARS = Bars(WIDTHS, [4e-4, 1e-3], [1e-5, 1e-4], [6e-4, 2e-3], 5e-5, 1e-4, 400.0)
WORK = InferenceLoad(weight_read=1000.0, neurons=10, steps=5, synapse_time=1e-3, conductance=1e-4)


def test_each_term_is_that_of_a_computation_by_hand() -> None:
    resistance = BARS.resistance(squares=3)
    np.testing.assert_allclose(resistance, [1200, 1200])
    found = ledger(BARS, resistance, WORK)
    np.testing.assert_allclose(found.synapse, [1e-6, 1e-4])  # i0^2/1e-4 * 1e-3 * 1000
    np.testing.assert_allclose(found.write, [50 * 1.6e-7 * 0.12, 50 * 1e-6 * 0.12])  # R t = 0.12 ohm s
    np.testing.assert_allclose(found.reset, [50 * 3.6e-7 * 0.12, 50 * 4e-6 * 0.12])
    np.testing.assert_allclose(found.read, [2 * 50 * 2.5e-9 * 1200 * 0.5] * 2)
    np.testing.assert_array_equal(found.calibration, [0, 0])
    np.testing.assert_allclose(found.total("synapse", "write"), found.synapse + found.write)
    np.testing.assert_allclose(found.total(), sum(found))


def test_bars_of_one_length_have_a_resistance_that_falls_with_the_width() -> None:
    np.testing.assert_allclose(BARS.resistance(length=20), [400 * 20 / 0.3, 1600])
    with pytest.raises(ValueError, match="give one of the two"):
        BARS.resistance()


def test_a_calibration_is_spread_over_images_and_takes_the_pulses_of_its_cycles() -> None:
    once, often = (
        ledger(BARS, BARS.resistance(squares=3), InferenceLoad(1000.0, 10, 5, 1e-3, 1e-4, 28, images))
        for images in (1, 100)
    )
    of_a_cycle = (once.write + once.reset + once.read) / 50
    np.testing.assert_allclose(once.calibration, 10 * 28 * of_a_cycle)
    np.testing.assert_allclose(often.calibration, once.calibration / 100)


def test_a_fold_is_of_the_widest_over_the_narrowest() -> None:
    assert fold([2.0, 100.0, 7.0], [0.3, 5.0, 1.0]) == 50


def cube(card: cards.Card) -> xr.Dataset:
    """A co-design cube in which spikes read weights of 1e5 in all, at each width."""
    width = np.array([5.0, 1.0, 0.3])
    bars = HallBar(cards.default())
    energy = (bars.i0(width) ** 2 / 1e-4 * 1e-3 * 1e5)[:, None, None, None] * np.array([0.5, 1.0])
    params = {"card": card, "conductance": 1e-4, "dt": 1e-3}
    dims = ("width", "variation", "seed", "timestep")
    coords = {"width": width, "variation": [0.0], "seed": [0], "timestep": [1, 2]}
    return xr.Dataset({"synaptic_energy": (dims, energy)}, coords, {"parameters": json.dumps(params)})


def test_the_fiftyfold_is_of_synapses_alone() -> None:
    found = account.of_cube(cube(cards.default()))
    squares, length = found["3 squares"], found["20 µm long"]
    assert fold(squares["synapse"], squares["width"]) == pytest.approx(50, rel=1e-6)
    pulsed = {name: fold(e["write"] + e["reset"], e["width"]) for name, e in found.items()}
    assert 5 < pulsed["3 squares"] < 15
    assert pulsed["20 µm long"] == pytest.approx(pulsed["3 squares"] * 0.3 / 5)
    assert fold(length["read"], length["width"]) == pytest.approx(0.3 / 5)  # one current, R as 1/width
    np.testing.assert_allclose(squares["write"].sel(width=1.0), 410 * 2 * (5.0e-4) ** 2 * 3 * 456 * 1e-4, rtol=1e-3)


def test_a_card_says_its_own_shape_and_no_sweep_becomes_another_one_by_it() -> None:
    card = cards.default()
    entry = {"unit": "1", "provenance": "assumed", "source": "a test"}
    card["bar"] = {
        "sheet_resistance": {**entry, "value": 912.0, "unit": "ohm"},
        "squares": {**entry, "value": 6.0},
        "length": {**entry, "value": 40.0, "unit": "um"},
    }
    card = cards.loads(cards.dumps(cards.validate(card)))
    assert SWEEP.with_values(card=card).digest == SWEEP.digest
    assert cards.values(card) == cards.values(cards.default())
    mine, built_in = (account.of_cube(cube(c)) for c in (card, cards.default()))
    np.testing.assert_allclose(mine["6 squares"]["reset"], 4 * built_in["3 squares"]["reset"])
    np.testing.assert_allclose(mine["40 µm long"]["reset"], 4 * built_in["20 µm long"]["reset"])
    del card["bar"]["length"]
    with pytest.raises(cards.CardError, match=r"bar\.length: missing; write length"):
        cards.validate(card)


def test_devices_without_a_bar_have_no_ledger() -> None:
    assert account.missing(cube(cards.default())) == ""
    assert account.missing(cube(TunnelJunction.default())) == "the devices of this card have no bar"
    assert EnergyLedger._fields == ("synapse", "write", "reset", "read", "calibration")
