"""Axes: canonical values, ranges from text, and messages that name what is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinsweep.axis import Axis, canonical, key
from spinsweep.errors import SpecError

VARIATION = Axis("variation", (0.0, 0.1), low=0, high=0.5)
SEED = Axis("seed", (0, 1, 2), low=0)
VARY = Axis("vary", ("neurons", "both"), choices=("neurons", "weights", "both"))


def test_a_third_of_a_tenth_and_its_product_are_one_value() -> None:
    assert 0.1 * 3 != 0.3
    assert canonical(0.1 * 3, "float") == canonical(0.3, "float") == 0.3


@given(st.floats(allow_nan=False, allow_infinity=False, width=64))
def test_canonical_is_idempotent_and_keeps_twelve_digits(value: float) -> None:
    once = canonical(value, "float")

    assert canonical(once, "float") == once
    assert once == pytest.approx(value, rel=1e-11, abs=0)
    assert not (once == 0 and np.signbit(once))


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=2))
def test_equal_keys_are_equal_values(pair: list[float]) -> None:
    a, b = (canonical(v, "float") for v in pair)

    assert (key(a) == key(b)) == (a == b)


def test_a_range_of_numbers_has_a_count_and_both_ends() -> None:
    assert VARIATION.parse("0:0.25:6") == (0.0, 0.05, 0.1, 0.15, 0.2, 0.25)


def test_a_log_range_has_one_ratio_and_both_ends() -> None:
    rate = Axis("rate", (1.0,))

    assert rate.parse("1e-3:1:log:4") == (0.001, 0.01, 0.1, 1.0)
    assert rate.parse("-1:-100:log:3,0") == (-1.0, -10.0, -100.0, 0.0)
    assert SEED.parse("1:1000:log:7") == (1, 3, 10, 32, 100, 316, 1000)


@given(
    st.floats(1e-300, 1e300),
    st.floats(1e-300, 1e300),
    st.integers(2, 30),
    st.sampled_from((1, -1)),
)
def test_any_log_range_goes_from_one_end_to_the_other(start: float, stop: float, count: int, sign: int) -> None:
    try:
        values = Axis("x", (1.0,)).parse(f"{sign * start!r}:{sign * stop!r}:log:{count}")
    except SpecError as error:  # the ends are too near for so many values of twelve digits
        assert "one value" in str(error) or "twice" in str(error)  # noqa: PT017 - where there is one
        return

    assert (values[0], values[-1]) == (canonical(sign * start, "float"), canonical(sign * stop, "float"))
    steps = np.diff(np.log(np.abs(values)))
    np.testing.assert_allclose(steps, (np.log(stop) - np.log(start)) / (count - 1), atol=1e-9)


def test_values_that_join_others_stand_behind_them_once() -> None:
    assert VARIATION.plus((0.2, 0.1), VARIATION.parse("0.3,0.1")) == (0.2, 0.1, 0.3)


def test_a_range_of_whole_numbers_stops_before_its_end() -> None:
    assert SEED.parse("0:20") == tuple(range(20))
    assert SEED.parse("0:20:5,100") == (0, 5, 10, 15, 100)


def test_whole_numbers_are_exact_to_64_bits_and_no_further() -> None:
    assert SEED.parse("9007199254740993") == (9007199254740993,)
    with pytest.raises(SpecError, match="does not fit into 64 bits"):
        SEED.parse("9223372036854775808")


def test_numpy_values_become_plain_ones() -> None:
    assert Axis("seed", tuple(np.arange(3))).kind == "int"  # type: ignore[arg-type]
    assert SEED.check(np.arange(2)) == (0, 1)


@pytest.mark.parametrize(
    ("axis", "text", "says"),
    [
        (VARIATION, "0.9", r"axis 'variation': 0.9 is out of range; it takes numbers from 0 to 0.5"),
        (VARIATION, "0:0.25", r"axis 'variation': '0:0.25' is not START:STOP:COUNT"),
        (VARIATION, "a", r"axis 'variation': 'a' is not a number"),
        (VARIATION, "", r"axis 'variation' has no values"),
        (VARIATION, "0.3,0.30000000000000004", r"axis 'variation' has the value 0.3 twice"),
        (VARIATION, "nan", r"axis 'variation': nan is not a finite number"),
        (SEED, "1.5", r"axis 'seed': 1.5 is not a whole number; it takes whole numbers from 0 up"),
        (SEED, "5:5", r"axis 'seed': '5:5' holds no value"),
        (SEED, "0:20:0.5", r"axis 'seed': '0:20:0.5' is not START:STOP"),
        (SEED, "0:99999999", r"axis 'seed': 99999999 values are more than"),
        (VARIATION, "0:1:log:3", r"axis 'variation': '0:1:log:3' is a log range, whose ends are both above 0"),
        (VARIATION, "0.1:0.2:log", r"axis 'variation': '0.1:0.2:log' is not START:STOP:log:COUNT"),
        (SEED, "1:4:log:9", r"axis 'seed': '1:4:log:9' has fewer than 9 different whole numbers"),
        (VARIATION, "0.3,0.3000000000000009", r"holds 0.3 and 0.3000000000000009, which are one value"),
        (Axis("t", (1.0,)), "1700000000.123456,1700000000.123457", "use an axis of datetimes"),
        (VARY, "neuron", r"axis 'vary' cannot take the value 'neuron'; it takes one of neurons, weights, both"),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_axis_and_what_is_right(axis: Axis, text: str, says: str) -> None:
    with pytest.raises(SpecError, match=says) as caught:
        axis.parse(text)

    assert "\n" not in str(caught.value)


@given(st.text(max_size=30))
def test_any_text_is_values_or_a_spec_error(text: str) -> None:
    for axis in (VARIATION, SEED, VARY):
        try:
            values = axis.parse(text)
        except SpecError:
            continue
        assert axis.check(values) == values
