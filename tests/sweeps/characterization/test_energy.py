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

    found = relative_energy(WIDTHS, i0, np.random.default_rng(0), 20)

    assert 1 / found.relative[0] == pytest.approx(50, rel=1e-6)
    np.testing.assert_allclose(found.low, found.high)


def test_spread_devices_scatter_about_the_papers_factor() -> None:
    ratios = []
    for seed in range(60):
        card = cards.default()
        card["devices"]["seed"]["value"] = seed
        i0 = np.array([[HallBar(card).individual(w, d)[1] for d in range(4)] for w in WIDTHS])
        found = relative_energy(WIDTHS, i0, np.random.default_rng(0), 50)
        assert found.low[0] < found.relative[0] < found.high[0]
        ratios.append(1 / found.relative[0])

    assert np.median(ratios) == pytest.approx(50, rel=0.08)
    assert 35 < np.percentile(ratios, 5) < np.percentile(ratios, 95) < 75  # 41 to 62 by another simulation


def test_devices_without_a_fit_are_left_out() -> None:
    i0 = np.repeat(HallBar(cards.default()).i0(WIDTHS)[:, None], 4, axis=1)
    i0[0, 1] = np.nan
    i0[3] = np.nan

    found = relative_energy(WIDTHS, i0, np.random.default_rng(0), 20)

    assert found.width.tolist() == sorted(np.delete(WIDTHS, 3))
    assert 1 / found.relative[0] == pytest.approx(50, rel=1e-6)
