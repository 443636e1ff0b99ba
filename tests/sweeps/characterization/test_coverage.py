"""How often the intervals of lines, bends and the energy ratio hold the true value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from spinneurons.characterization.coverage import Coverage, characterizations, coverage, main, table
from spinneurons.neurons import card as cards
from spinneurons.neurons.family import Card
from spinneurons.neurons.hall_bar import HallBar

QUANTITIES = (
    "slope of the bias current", "slope of the window", "bend of the bias current", "bend of the window",
    "energy ratio",
)  # fmt: skip
BARS = HallBar(cards.default())


def few(widths: list[float], per_width: int) -> HallBar:
    card: Card = cards.default()
    card["devices"]["widths"]["value"], card["devices"]["per_width"]["value"] = widths, per_width
    return HallBar(cards.validate(card))


@pytest.fixture(scope="module")
def found() -> dict[str, Coverage]:
    return coverage(BARS, 300, seed=1)


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_the_intervals_hold_what_is_true_about_as_often_as_they_say(
    found: dict[str, Coverage], quantity: str
) -> None:
    one = found[quantity]
    assert binom.ppf(1e-4, 300, 0.93) <= one.held <= binom.ppf(1 - 1e-4, 300, 0.97)
    assert np.isfinite(one.estimates).all()


@pytest.mark.slow
def test_95_of_100_intervals_hold_what_is_true() -> None:
    found = coverage(BARS, 2000)
    assert set(found) == set(QUANTITIES)
    shares = {quantity: one.share for quantity, one in found.items()}
    assert all(0.93 <= share <= 0.97 for share in shares.values()), shares
    low, high = found["energy ratio"].middle
    assert 43.5 < low < 50 < high < 57.5  # 40 to 63 with equal weights
    assert table(found) in (Path(__file__).parents[3] / "sweeps/ANALYSIS.md").read_text()


def test_estimates_are_right_on_average(found: dict[str, Coverage]) -> None:
    for one in found.values():
        error = one.estimates.std() / np.sqrt(one.estimates.size)
        assert abs(np.median(one.estimates) - one.true) < 4 * error


@pytest.mark.slow
@pytest.mark.parametrize(("widths", "per_width"), [([5.0, 2.0, 1.0, 0.3], 1), ([5.0, 0.3], 2)])
def test_few_devices_have_wide_intervals_that_still_hold_what_is_true(widths: list[float], per_width: int) -> None:
    found = coverage(few(widths, per_width), 300)
    for name in ("slope of the bias current", "slope of the window", "energy ratio"):
        assert found[name].held >= binom.ppf(1e-4, 300, 0.90), name


def test_the_counts_are_drawn_for_the_devices_of_the_card_and_do_not_depend_on_how_many_are_asked() -> None:
    (many,), (some,) = (list(characterizations(BARS, draws, seed=3)) for draws in (40, 7))
    assert some.identical(many.isel(draw=slice(0, 7)))
    width = many["width"]
    deviation = many["i_bias"] / BARS.i_bias(width.values)[:, None] - 1
    assert dict(many.sizes) == {"draw": 40, "width": 9, "device": 4}
    assert 0.10 < float(abs(deviation).max()) < 0.16  # 12.5 % by the card, and the error of a fit
    assert float((many["i0_stderr"] / many["i0"]).mean()) == pytest.approx(0.044, abs=0.002)


def test_the_table_is_printed_and_a_wrong_number_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    main(["3"])
    assert capsys.readouterr().out.count("\n") == 2 + len(QUANTITIES)
    with pytest.raises(SystemExit) as stopped:
        main(["0"])
    assert stopped.value.code == 2
    assert "'0' is not a whole number from 1 up, such as 2000" in capsys.readouterr().err.splitlines()[-1]


def test_an_interval_that_is_missing_holds_nothing() -> None:
    one = Coverage(1.0, np.array([1.0, 1.0]), np.array([0.5, np.nan]), np.array([1.5, np.nan]))
    assert one.share == 0.5
    assert "50.0 %" in table({"energy ratio": one})
