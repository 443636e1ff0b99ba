"""The characterization sweep: what its cells hold, and that a cell is its coordinates'."""

import json

import numpy as np
import pytest

from spinneurons.characterization.sweep import SWEEP
from spinneurons.neurons import card as cards
from spinneurons.neurons.family import MeasuredDevices
from spinneurons.neurons.hall_bar import HallBar
from spinsweep.evaluate import evaluate

SMALL = SWEEP.with_values(width=(5.0, 0.3), currents=14, cycles=40, resamples=100)
COORDS = {"width": (5.0, 0.3), "device": (0, 1, 2, 3)}


@pytest.fixture(scope="module")
def result():
    found = evaluate(SMALL, COORDS)
    assert not found.errors
    return found.values


def test_the_default_is_36_devices_of_28_currents_and_100_cycles():
    assert SWEEP.shape == (9, 4)
    assert (SWEEP.params["currents"], SWEEP.params["cycles"]) == (28, 100)
    assert json.loads(json.dumps(SWEEP.params["card"])) == SWEEP.params["card"] == cards.default()


def test_every_cell_finds_its_device(result):
    for w, width in enumerate(COORDS["width"]):
        for d in COORDS["device"]:
            bias, scale = HallBar(cards.default()).individual(width, d)
            assert abs(result["i_bias"][w, d] - bias) < 4 * result["i_bias_stderr"][w, d]
            assert abs(result["i0"][w, d] - scale) < 4 * result["i0_stderr"][w, d]
    assert result["valid"].all()
    np.testing.assert_array_equal(result["i_write"][0, 0], result["i_write"][0, 3])


def test_a_cell_does_not_depend_on_the_box_it_is_computed_in(result):
    alone = evaluate(SMALL, {"width": (0.3,), "device": (2,)}).values
    for name, array in result.items():
        np.testing.assert_array_equal(array[1, 2], alone[name][0, 0])


def test_devices_differ_in_their_readings(result):
    assert len({result["r_reset"][w, d].tobytes() for w in range(2) for d in range(4)}) == 8


def test_a_card_from_a_file_is_part_of_the_identity(tmp_path):
    card = cards.default()
    card["hall"]["offset"]["value"] = 5.0
    path = tmp_path / "mine.toml"
    path.write_text(cards.dumps(card), encoding="utf-8")
    mine = SMALL.with_text({"card": str(path)})
    assert mine.params["card"] == card
    assert mine.digest != SMALL.digest
    found = evaluate(mine, {"width": (0.3,), "device": (0,)}).values
    assert found["r_reset"].mean() == pytest.approx(5.0 - 2.7, abs=0.01)


def test_a_card_fitted_from_a_characterization_brings_its_devices_back(result):
    fits = (result[n] for n in ("i_bias", "i_bias_stderr", "i0", "i0_stderr"))
    card = HallBar(cards.default()).measured(MeasuredDevices(COORDS["width"], *fits))
    again = evaluate(SMALL.with_values(card=card), COORDS).values
    off = (again["i_bias"] - result["i_bias"]) / again["i_bias_stderr"]
    assert np.abs(off).max() < 4


def test_cloglog_devices_are_found_by_a_cloglog_fit():
    found = evaluate(SMALL.with_values(link="cloglog"), COORDS).values
    for w, width in enumerate(COORDS["width"]):
        true = np.array([HallBar(cards.default()).individual(width, d) for d in range(4)])
        assert np.abs((found["i_bias"][w] - true[:, 0]) / found["i_bias_stderr"][w]).max() < 4
        assert np.abs((found["i0"][w] - true[:, 1]) / found["i0_stderr"][w]).max() < 4


def test_words_in_a_card_are_no_part_of_the_identity_and_values_are() -> None:
    card = cards.default()
    card["title"] = "another title"
    card["hall"]["offset"]["source"] = "another sentence"
    words = SWEEP.with_values(card=card)
    card["hall"]["offset"]["value"] = 0.91
    value = SWEEP.with_values(card=card)

    assert words.digest == SWEEP.digest
    assert value.digest != SWEEP.digest


def test_a_card_brings_its_devices_and_its_switching_curve() -> None:
    card = cards.default()
    card["devices"]["widths"]["value"] = [4.0, 3.0]
    card["devices"]["per_width"]["value"] = 2
    mine = SWEEP.with_values(card=card)
    card["switching"]["link"]["value"] = "cloglog"
    other = SWEEP.with_values(card=card, device=(0,))

    assert (mine.axis("width").values, mine.axis("device").values) == ((4.0, 3.0), (0, 1))
    assert other.axis("device").values == (0,)
    coords = {"width": (4.0,), "device": (0,)}
    a, b = (evaluate(s.with_values(cycles=50, resamples=10), coords).values["deviance"] for s in (mine, other))
    assert a != b
