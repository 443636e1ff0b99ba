"""Energy against the width from fitted scale currents."""

from __future__ import annotations

import numpy as np
import pytest

from spinneurons.characterization.energy import relative_energy
from spinneurons.neurons import card as cards
from spinneurons.neurons.hall_bar import HallBar

WIDTHS = np.array(cards.value(cards.default(), "devices.widths"))


def test_the_cards_own_i0_gives_the_papers_factor_of_fifty() -> None:
    i0 = np.repeat(HallBar(cards.default()).i0(WIDTHS)[:, None], 4, axis=1)

    found = relative_energy(WIDTHS, i0)

    assert 1 / found.relative[0] == pytest.approx(50, rel=1e-6)
    np.testing.assert_allclose(found.low, found.high)
    assert (found.devices, found.left_out) == (36, 0)


def test_spread_devices_scatter_about_the_papers_factor() -> None:
    ratios = []
    for seed in range(60):
        card = cards.default()
        card["devices"]["seed"]["value"] = seed
        i0 = np.array([[HallBar(card).individual(w, d)[1] for d in range(4)] for w in WIDTHS])
        found = relative_energy(WIDTHS, i0)
        assert found.low[0] < found.relative[0] < found.high[0]
        ratios.append(1 / found.relative[0])

    assert np.median(ratios) == pytest.approx(50, rel=0.05)
    assert 42 < np.percentile(ratios, 5) < np.percentile(ratios, 95) < 60  # 41 to 62 with equal weights


def test_devices_without_a_fit_are_left_out() -> None:
    i0 = np.repeat(HallBar(cards.default()).i0(WIDTHS)[:, None], 4, axis=1)
    i0[0, 1] = np.nan
    i0[3] = np.nan

    found = relative_energy(WIDTHS, i0)

    assert found.width.tolist() == sorted(np.delete(WIDTHS, 3))
    assert (found.devices, found.left_out) == (31, 5)
    assert 1 / found.relative[0] == pytest.approx(50, rel=1e-6)


def test_an_error_makes_the_interval_wider_and_the_widest_bar_is_the_unit() -> None:
    i0 = np.array([[HallBar(cards.default()).individual(w, d)[1] for d in range(4)] for w in WIDTHS])

    exact, measured = relative_energy(WIDTHS, i0), relative_energy(WIDTHS, i0, 0.2 * i0)

    assert measured.high[0] - measured.low[0] > 2 * (exact.high[0] - exact.low[0])
    assert (exact.relative[-1], exact.low[-1], exact.high[-1]) == pytest.approx((1, 1, 1))


def test_one_width_has_no_ratio() -> None:
    found = relative_energy([1.0], [[1e-5, 1.1e-5]], [[1e-6, 1e-6]])

    assert np.isnan(found.relative).all()
    assert found.devices == 2


def test_two_devices_have_a_ratio_without_an_interval() -> None:
    found = relative_energy([1.0, 2.0], [[1e-5], [2e-5]])

    assert 1 / found.relative[0] == pytest.approx(4)
    assert np.isnan([found.low[0], found.high[0]]).all()
