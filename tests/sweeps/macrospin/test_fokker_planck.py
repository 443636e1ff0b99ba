"""The exact law, the thermal start and the barrier: against closed forms and against the kernel."""

import dataclasses

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import eigvals, expm
from scipy.stats import kstest

from spinneurons.macrospin import barrier, equilibrium
from spinneurons.macrospin import fokker_planck as fp
from spinneurons.macrospin.material import Magnet, envelope
from spinneurons.macrospin.model import Ensemble
from spinneurons.macrospin.noise import draw_seeds

PS = 1e-12


def with_stability(delta, **changes):
    """A magnet whose volume makes its barrier ``delta`` kB T."""
    one = Magnet(**changes)
    return dataclasses.replace(one, width=one.width * delta / one.stability)


def on_a_sphere(n, rng):
    m = rng.standard_normal((3, n))
    return m / np.linalg.norm(m, axis=0)


def mean_square(delta):
    weight = quad(lambda z: np.exp(delta * z**2), 0, 1)[0]
    return quad(lambda z: z**2 * np.exp(delta * z**2), 0, 1)[0] / weight


def slowest_rate(magnet):
    """Smallest rate above zero at which a distribution relaxes, 1/s.

    Without field, and if the wells are deep, it is twice the rate of escape from one of them.
    """
    diagonals = fp.generator(magnet, 0.0, fp.modes(magnet))
    dense = sum(
        np.diag(row[max(k, 0) : row.size + min(k, 0)], k) for k, row in zip(range(2, -3, -1), diagonals, strict=True)
    )
    values = np.asarray(eigvals(np.asarray(dense)[1:, 1:]), dtype=np.complex128)
    return float(-values.real.max())


@pytest.mark.parametrize(("delta", "ratio"), [(3, 0.81), (5, 0.80), (8, 0.86), (10, 0.89), (20, 0.95)])
def test_the_slowest_rate_stands_to_brown_s_asymptote_as_known(delta, ratio):
    magnet = with_stability(delta)
    asymptote = 2 * float(barrier.rate(magnet, 0.0, "collinear"))
    assert slowest_rate(magnet) / asymptote == pytest.approx(ratio, abs=0.006)


def test_a_free_magnet_relaxes_at_2d():
    magnet = with_stability(1e-6)
    assert slowest_rate(magnet) == pytest.approx(2 * fp.diffusion(magnet), rel=1e-5)


def test_probabilities_without_current_are_kept_and_end_even():
    magnet, still = with_stability(6), np.ones(1)
    assert fp.switching_probability(magnet, 0.0, still, 1e-15) == pytest.approx(0, abs=1e-3)
    assert fp.switching_probability(magnet, 0.0, still, 1.0) == pytest.approx(0.5, abs=1e-9)


def test_more_modes_change_nothing(monkeypatch):
    cases = [(20.0, 30e-6, 1e-9), (100.0, 180e-6, 1e-9), (200.0, 5.2e-6, 1e-4), (40.0, 1.05e-6, 1e-7)]
    few = [fp.switching_probability(m, float(m.torque_field(i)), [1.0], t) for m, i, t in _magnets(cases)]
    modes = fp.modes
    monkeypatch.setattr(fp, "modes", lambda magnet, h=0.0: modes(magnet, h) * 3 // 2)
    more = [fp.switching_probability(m, float(m.torque_field(i)), [1.0], t) for m, i, t in _magnets(cases)]
    np.testing.assert_allclose(few, more, atol=1e-4)


def _magnets(cases):
    return [(Magnet(width=w * 1e-9), i, t) for w, i, t in cases]


def test_a_probability_is_that_of_the_matrix_exponential():
    for magnet, current, duration in _magnets([(20.0, 7e-6, 1e-9), (40.0, 2.3e-6, 1e-8), (200.0, 5.2e-6, 1e-4)]):
        torque = float(magnet.torque_field(current))
        h = torque / (magnet.damping * magnet.anisotropy_field)
        count = fp.modes(magnet, h)
        diagonals = fp.generator(magnet, h, count)
        dense = sum(np.diag(diagonals[2 - k, max(k, 0) : count + min(k, 0)], k) for k in range(-2, 3))
        exact = fp.upper(expm(dense * duration) @ fp.well(magnet, count))
        assert 0.1 < exact < 0.9
        assert fp.switching_probability(magnet, torque, [1.0], duration) == pytest.approx(exact, abs=1e-5)


def test_the_current_of_a_probability_is_found():
    magnet = Magnet()
    for p in (0.003, 0.5, 0.997):
        current = fp.current_at(magnet, p, 2e-9)
        found = fp.switching_probability(magnet, float(magnet.torque_field(current)), [1.0], 2e-9)
        assert found == pytest.approx(p, abs=1e-4)
    assert fp.current_at(with_stability(1.0), 0.1, 1.0) == 0


@pytest.mark.parametrize("field", [0.0, 5e3])
def test_the_start_is_a_boltzmann_distribution_of_the_lower_well(field):
    magnet, n = with_stability(15), 20_000
    m = equilibrium.draw(magnet, (field, 0.0, 0.0), n, np.random.default_rng(2))
    np.testing.assert_allclose(np.linalg.norm(m, axis=0), 1)
    assert m[2].max() < 0

    def density(z):
        x = 2 * magnet.stability * field / magnet.anisotropy_field * np.sqrt(1 - z * z)
        return np.exp(magnet.stability * (z * z - 1)) * np.i0(x)

    z = np.linspace(-1, 0, 4001)
    cumulative = np.append(0, np.cumsum((density(z[1:]) + density(z[:-1])) / 2))
    assert kstest(m[2], lambda x: np.interp(x, z, cumulative / cumulative[-1])).pvalue > 1e-3


@pytest.mark.parametrize(
    ("delta", "damping"), [(1, 0.1), (3, 0.1), (3, 0.5), pytest.param(3, 0.02, marks=pytest.mark.slow)]
)
def test_the_kernel_comes_to_the_boltzmann_distribution(delta, damping):
    magnet, n, rng = with_stability(delta, damping=damping), 2000, np.random.default_rng(3)
    ensemble = Ensemble(magnet, PS, on_a_sphere(n, rng), draw_seeds(rng, n))
    relaxation = np.ones(round(1 / (2 * fp.diffusion(magnet)) / PS))
    squares = []
    for snapshot in range(14):
        ensemble.advance(0.0, relaxation)
        if snapshot >= 4:
            squares.append(np.mean(ensemble.m[2].astype(float) ** 2))
    error = 0.3 / np.sqrt(n * 5)
    assert np.mean(squares) == pytest.approx(mean_square(delta), abs=4 * error + 0.003)  # 0.003: the step's own error


@pytest.mark.parametrize(
    ("delta", "damping", "n"),
    [
        (3, 0.1, 16384),
        pytest.param(6, 0.1, 16384, marks=pytest.mark.slow),
        pytest.param(4, 0.02, 16384, marks=pytest.mark.slow),
    ],
)
def test_escape_happens_at_the_fokker_planck_rate(delta, damping, n):
    magnet, rng = with_stability(delta, damping=damping), np.random.default_rng(7)
    rate = slowest_rate(magnet)
    ensemble = Ensemble(magnet, PS, equilibrium.draw(magnet, (0, 0, 0), n, rng), draw_seeds(rng, n))
    steps = round(0.5 / rate / PS)
    shares = []
    for _ in range(2):
        ensemble.advance(0.0, np.ones(steps))
        shares.append(np.mean(ensemble.m[2] > 0))
    early, late = (1 - 2 * share for share in shares)
    found = np.log(early / late) / (steps * PS)
    spread = np.sqrt(sum((1 - f * f) / f**2 for f in (early, late)) / n) / (steps * PS)
    assert found / rate == pytest.approx(1, abs=4 * spread / rate)
    assert spread / rate < 0.06
    exact = [fp.switching_probability(magnet, 0.0, np.ones(1), k * steps * PS) for k in (1, 2)]
    np.testing.assert_allclose(shares, exact, atol=4 * 0.5 / np.sqrt(n))


@pytest.mark.parametrize("pulse", [envelope(1e-9, 0.0, 0.0, PS), envelope(2e-9, 0.5e-9, 0.5e-9, PS)])
def test_the_kernel_s_switching_probability_is_the_exact_one(pulse):
    magnet, n, rng = Magnet(), 4000, np.random.default_rng(11)
    current = fp.current_at(magnet, 0.5, pulse.sum() * PS) * np.array([0.7, 1.0, 1.4])
    start = equilibrium.draw(magnet, (0, 0, 0), 3 * n, rng)
    ensemble = Ensemble(magnet, PS, start, draw_seeds(rng, 3 * n))
    ensemble.advance(np.repeat(magnet.torque_field(current), n), pulse)
    shares = (ensemble.m[2].reshape(3, n) > 0).mean(axis=1)
    exact = np.array([fp.switching_probability(magnet, h, pulse, PS) for h in magnet.torque_field(current)])
    assert exact[0] < 0.3
    assert exact[2] > 0.7
    assert np.abs(shares - exact).max() < 4 * 0.5 / np.sqrt(n)


def test_the_washboard_maps_pulses_as_known():
    # h(100 us)/h(10 ns) at f0 = 1e9: solved independently for barriers of 40, 60, 80
    for delta, ratio in ((40, 0.655), (60, 0.748), (80, 0.796)):
        magnet = with_stability(delta)
        found = barrier.bias(magnet, 1e-4, "in-plane") / barrier.bias(magnet, 1e-8, "in-plane")
        assert found == pytest.approx(ratio, abs=2e-3)


def test_the_barrier_s_bias_current_is_the_exact_one_for_long_pulses():
    for width, off in ((20e-9, 0.015), (40e-9, 0.008), (200e-9, 0.004)):
        magnet = Magnet(width=width)
        exact = fp.current_at(magnet, 0.5, 1e-4)
        assert barrier.bias_current(magnet, 1e-4, "collinear") == pytest.approx(exact, rel=off)


def test_the_barrier_has_no_bias_where_activation_is_not_the_cause():
    assert np.isnan(barrier.bias(Magnet(), 1e-9, "collinear"))  # faster than thermal activation
    assert np.isnan(barrier.bias(with_stability(5), 1e-4, "collinear"))  # forgets by itself


@pytest.mark.parametrize("torque", ["collinear", "in-plane"])
def test_the_barrier_falls_from_one_to_zero_and_half_switch_at_the_bias(torque):
    h = np.linspace(0, 1, 50)
    g = barrier.height(h, torque)
    assert g[0] == 1
    assert g[-1] == 0
    assert (np.diff(g) < 0).all()
    magnet = Magnet()
    assert barrier.switching_probability(magnet, barrier.bias(magnet, 1e-4, torque), 1e-4, torque) == pytest.approx(
        0.5
    )


def test_the_in_plane_barrier_is_that_of_its_potential():
    # U/K = sin^2(t) - h t between its minimum and the maximum that follows
    for h in (0.1, 0.5, 0.9):
        low, high = np.arcsin(h) / 2, np.pi / 2 - np.arcsin(h) / 2
        depth = np.sin(high) ** 2 - np.sin(low) ** 2 - h * (high - low)
        assert barrier.height(h, "in-plane") == pytest.approx(depth)
