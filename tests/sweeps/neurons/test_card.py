"""The device card: complete, refused with one clear line when wrong, unchanged by JSON and TOML."""

import copy
import json
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinneurons.analysis.lines import straight_line
from spinneurons.neurons import card as cards
from spinneurons.neurons.card import CardError
from spinneurons.neurons.family import MeasuredDevices
from spinneurons.neurons.hall_bar import LEAST_RATIO, HallBar


@pytest.fixture
def card():
    return cards.default()


def entries(card):
    return [(s, k, e) for s, section in card.items() if isinstance(section, dict) for k, e in section.items()]


def test_every_entry_of_the_default_card_has_value_unit_provenance_and_source(card):
    assert len(entries(card)) == 21
    for _, _, entry in entries(card):
        assert set(entry) == {"value", "unit", "provenance", "source"}
        assert entry["provenance"] in cards.PROVENANCE


def test_a_card_survives_json_and_toml_unchanged(card):
    card["device"] = [
        {"width_um": 0.3, "index": 1, "i_bias": 4.1e-4, "i_bias_stderr": 1e-6, "i0": 1.4e-5, "i0_stderr": 7e-7}
    ]
    card = cards.validate(card)
    assert json.loads(json.dumps(card)) == card
    assert cards.loads(cards.dumps(card)) == card
    assert json.dumps(cards.loads(cards.dumps(card))) == json.dumps(card)  # types too: 5.0 is not 5


@given(title=st.text(st.characters(exclude_categories=["Cs"])), number=st.floats(0.0, 0.9))
def test_any_text_and_number_survive_toml(title, number):
    card = cards.default()
    card["title"] = title
    card["i0"]["spread"]["value"] = number
    assert cards.loads(cards.dumps(card)) == card


def test_the_default_is_a_copy_that_nobody_can_spoil(card):
    card["i_bias"]["slope"]["value"] = 7.0
    assert cards.default()["i_bias"]["slope"]["value"] != 7.0


def test_a_written_card_is_loaded_from_its_file(card, tmp_path):
    path = tmp_path / "card.toml"
    path.write_text(cards.dumps(card), encoding="utf-8")
    assert cards.load(path) == card == cards.load(None) == cards.load(str(path))


def broken(section, key, field, new):
    def spoil(card):
        card[section][key][field] = new

    return spoil


WRONG = {
    "unknown section": (lambda c: c.update(extra={}), "extra: unknown section"),
    "missing section": (lambda c: c.pop("hall"), "hall: section is missing; it holds amplitude, offset, tilt"),
    "unknown key": (lambda c: c["hall"].update(gain={}), "hall.gain: unknown key; the section holds amplitude"),
    "missing key": (lambda c: c["i0"].pop("slope"), 'i0.slope: missing; write slope = {value = ..., unit = "A/um"'),
    "bare number": (lambda c: c["i0"].update(slope=1.0), "i0.slope: 1.0 has no unit and provenance; write slope"),
    "missing field": (lambda c: c["i0"]["slope"].pop("source"), "i0.slope: no source; write slope = "),
    "unknown field": (broken("i0", "slope", "error", 1.0), "i0.slope.error: unknown field; an entry has value, unit"),
    "unit": (broken("i0", "slope", "unit", "mA/um"), "i0.slope: unit 'mA/um'; this value is in 'A/um'"),
    "provenance": (
        broken("i0", "slope", "provenance", "guess"),
        "i0.slope: provenance 'guess'; it is one of ",
    ),
    "source": (broken("i0", "slope", "source", " "), "i0.slope: source ' '; say in one line where"),
    "text as number": (broken("i0", "slope", "value", "1e-5"), "i0.slope: value '1e-5'; it is a number"),
    "not finite": (broken("i0", "slope", "value", math.nan), "i0.slope: value nan; it is a number"),
    "bool as number": (broken("i0", "slope", "value", True), "i0.slope: value True; it is a number"),
    "spread": (broken("i0", "spread", "value", 1.5), "i0.spread: value 1.5; it is a number from 0 to 0.9"),
    "zero current": (broken("read", "current", "value", 0), "read.current: value 0; it is a number above 0"),
    "fraction": (
        broken("devices", "per_width", "value", 3.5),
        "devices.per_width: value 3.5; it is a whole",
    ),
    "widths": (
        broken("devices", "widths", "value", [1.0, 1.0]),
        "devices.widths: value [1.0, 1.0]; it is a list",
    ),
    "empty widths": (broken("devices", "widths", "value", []), "devices.widths: value []; it is a list of different"),
    "sign": (broken("hall", "reset_state", "value", 0), "hall.reset_state: value 0; it is -1 or 1"),
    "bool": (broken("read", "never_switches", "value", 1), "read.never_switches: value 1; it is true or false"),
    "link": (
        broken("switching", "link", "value", "probit"),
        "switching.link: value 'probit'; it is logistic or",
    ),
    "title": (lambda c: c.update(title=3), "title: 3 is not text"),
    "no current": (broken("i_bias", "intercept", "value", -0.001), "i_bias: -0.00"),
    "edge": (
        broken("i0", "slope", "value", 2e-5),
        "i0: the 0.01 % edge of the switching curve is at -1.92e-05 A "
        "at 5 um, where I_bias/i0 is 9.033; it has to be at least 9.21",
    ),
    "device list": (lambda c: c.update(device={}), "device: not a list; write each individual as [[device]]"),
    "device keys": (lambda c: c.update(device=[{"index": 1}]), "device[0]: has other keys than width_um, index"),
}


@pytest.mark.parametrize(("spoil", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_card_is_refused_in_one_line_that_names_file_key_and_remedy(card, spoil, message):
    spoil(card)
    with pytest.raises(CardError, match=re.escape(f"my.toml: {message}")) as caught:
        cards.validate(card, "my.toml")
    assert "\n" not in str(caught.value)


def test_a_device_that_stands_twice_or_has_no_current_is_refused(card):
    one = {"width_um": 0.3, "index": 0, "i_bias": 4e-4, "i_bias_stderr": 1e-6, "i0": 1e-5, "i0_stderr": 1e-7}
    card["device"] = [one, {**one, "width_um": 0.1 * 3}]  # the same width to 12 digits
    with pytest.raises(CardError, match=r"device\[1\]: width 0\.3 um, index 0 stands twice"):
        cards.validate(card)
    card["device"] = [{**one, "i0": 0.0}]
    with pytest.raises(CardError, match=r"device\[0\]\.i0: value 0\.0; it is a number above 0"):
        cards.validate(card)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"= 3", "is not TOML"),
        (b"\xff\xfe", "is not text in UTF-8"),
        (b"", "devices: section is missing"),
    ],
)
def test_a_file_that_is_no_card_is_refused_by_its_path(tmp_path, content, message):
    path = tmp_path / "card.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CardError, match=message) as caught:
        cards.load(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@given(wide=st.floats(9.3, 20), narrow=st.floats(20, 60))
def test_a_card_with_ratios_has_them_and_the_same_scale_currents(wide, narrow):
    card = cards.default()
    changed = HallBar(card).with_ratios(wide, narrow)
    ratio = HallBar(changed).i_bias([5.0, 0.3]) / HallBar(changed).i0([5.0, 0.3])
    np.testing.assert_allclose(ratio, [wide, narrow], rtol=1e-12)
    assert changed["i0"] == card["i0"]
    assert card == cards.default()


def test_a_ratio_that_puts_the_edge_below_zero_is_refused(card):
    with pytest.raises(CardError, match=r"I_bias/i0 is 8; it has to be at least 9\.21"):
        HallBar(card).with_ratios(8, 25)


def fitted(card):
    widths = np.array(cards.value(card, "devices.widths"))
    pairs = np.array([[HallBar(card).individual(w, d) for d in range(4)] for w in widths])
    return widths, pairs[..., 0], pairs[..., 0] * 0.003, pairs[..., 1], pairs[..., 1] * 0.04


def test_a_measured_card_gives_each_device_back_and_its_formulas_are_the_lines(card):
    widths, bias, bias_error, scale, scale_error = fitted(card)
    bias[2, 1] = np.nan  # one device has no fit
    found = HallBar(card).measured(
        MeasuredDevices(widths, bias, bias_error, scale, scale_error), "recording of a test"
    )
    assert len(found["device"]) == 35
    assert HallBar(found).individual(0.3, 2) == (bias[8, 2], scale[8, 2])
    for section, currents, errors in (("i_bias", bias, bias_error), ("i0", scale, scale_error)):
        line = straight_line(
            widths[:, None], np.where(np.isfinite(bias), currents, np.nan), errors, proportional=True
        )
        kept = [cards.value(found, f"{section}.{key}") for key in ("intercept", "slope")]
        np.testing.assert_allclose(kept, [line.intercept, line.slope])
    assert found["i_bias"]["slope"]["provenance"] == found["i0"]["spread"]["provenance"] == "measured"
    assert found["hall"] == card["hall"]
    assert cards.loads(cards.dumps(found)) == found == json.loads(json.dumps(found))


def test_devices_through_which_no_line_above_0_goes_make_no_card(card):
    widths, bias, bias_error, scale, scale_error = fitted(card)
    steep = np.where(widths[:, None] > 4, 1e-3, 1e-6 / widths[:, None] ** 6) * np.ones_like(bias)
    with pytest.raises(
        CardError, match=r"^measured card: i_bias: the straight line through the devices is not above"
    ):
        HallBar(card).measured(MeasuredDevices(widths, steep, bias_error, scale, scale_error), "recording of a test")


def test_the_title_of_a_measured_card_says_what_it_was_fitted_to_and_no_longer_that_its_scale_is_assumed(card):
    found = HallBar(card).measured(MeasuredDevices(*fitted(card)), "fit of lab.zarr, 36 devices")
    assert found["title"] == "Hall bars as measured: fit of lab.zarr, 36 devices"


ONE = {"width_um": 0.5, "index": 0, "i_bias": 4e-4, "i_bias_stderr": 1e-6, "i0": 1e-5, "i0_stderr": 1e-7}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width_um": 0.55}, "device[1].width_um: value 0.55; it is one of devices.widths, 5, 2.5, "),
        ({"index": 9}, "device[1].index: value 9; it is from 0 to 3, as devices.per_width is 4"),
    ],
)
def test_an_individual_that_is_none_of_the_devices_of_the_card_is_refused(card, change, message):
    card["device"] = [ONE, {**ONE, **change}]
    with pytest.raises(CardError, match=re.escape(f"my.toml: {message}")):
        cards.validate(card, "my.toml")


def test_the_labels_of_measured_devices_may_be_any(card):
    widths, *values = fitted(card)
    found = HallBar(card).measured(MeasuredDevices(widths, *values, device=[11, 12, 13, 21]))
    assert HallBar(cards.loads(cards.dumps(found))).labels()["device"] == [11, 12, 13, 21]


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("read.noize", "no value 'read.noize' (did you mean 'read.noise'?); it has devices.widths, "),
        ("noise", "no value 'noise'"),
        ("title.value", "no value 'title.value'"),
    ],
)
def test_a_value_that_no_card_has_is_refused_with_the_nearest_one(card, key, says):
    with pytest.raises(CardError, match=re.escape(says)):
        cards.value(card, key)


def test_the_plan_of_a_measured_card_covers_each_measured_device(card):
    found = HallBar(card).measured(MeasuredDevices(*fitted(card)))
    for entry in found["device"]:
        plan = HallBar(found).write_currents(entry["width_um"], 28)
        assert plan[0] <= entry["i_bias"] - 4 * entry["i0"] or plan[0] == cards.value(found, "read.current")
        assert plan[-1] >= entry["i_bias"] + 4 * entry["i0"]


@pytest.mark.parametrize("devices", [1, 2, 4])
def test_one_width_gives_constants_that_are_the_weighted_means_of_its_devices(card, devices):
    widths, *values = (a[4:5] for a in fitted(card))
    values = [v[:, :devices] for v in values]
    found = HallBar(card).measured(MeasuredDevices(widths, *values))
    for section, currents in (("i_bias", values[0]), ("i0", values[2])):
        constant = cards.value(found, f"{section}.intercept")
        assert cards.value(found, f"{section}.slope") == 0
        assert np.mean(currents / constant) == pytest.approx(
            1, abs=1e-2
        )  # errors are one share: nearly equal weights
        spread = np.abs(currents / constant - 1).max()
        assert cards.value(found, f"{section}.spread") == pytest.approx(spread, abs=1e-12)
    assert HallBar(found).labels() == {"width": [1.0], "device": list(range(devices))}


def test_a_measured_card_needs_a_device_with_a_fit(card):
    widths, *values = fitted(card)
    with pytest.raises(CardError, match="no width has a fitted device; characterize devices"):
        HallBar(card).measured(MeasuredDevices(widths, *(np.full_like(v, np.nan) for v in values)))
    with pytest.raises(CardError, match=r"all are \(width, device\)"):
        HallBar(card).measured(MeasuredDevices(widths[:1], *values))


def test_drawn_levels_are_the_measured_ones_at_any_tilt(card):
    widths, *values = fitted(card)
    card["hall"]["tilt"]["value"] = 0.6
    low, high, noise = (np.full(values[0].shape, v) for v in (-0.3, 0.35, 0.004))
    measured = MeasuredDevices(widths, *values, low=low, high=high, noise=noise, law="cloglog")
    found = HallBar(card).measured(measured, "a log")
    np.testing.assert_allclose(HallBar(found).levels()[:3], [-0.3, 0.35, 0.004], rtol=1e-12)
    assert found["hall"]["tilt"] == card["hall"]["tilt"]
    assert found["hall"]["amplitude"]["source"] == "a log: levels -0.3 and 0.35 ohm"
    assert found["switching"]["link"]["value"] == "cloglog"


def test_a_measured_edge_below_zero_is_reported_not_refused(card):
    widths, bias, bias_error, scale, scale_error = fitted(card)
    found = HallBar(card).measured(MeasuredDevices(widths, bias, bias_error, 2 * scale, scale_error))
    assert HallBar(found).i_bias(5.0) / HallBar(found).i0(5.0) < LEAST_RATIO
    assumed = copy.deepcopy(found)
    assumed["i0"]["slope"]["provenance"] = "assumed"
    with pytest.raises(CardError, match=r"0\.01 % edge"):
        cards.validate(assumed)
