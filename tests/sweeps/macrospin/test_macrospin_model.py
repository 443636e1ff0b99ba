"""The kernel: equal to its reference, equal for any split, and equal to what is known of the LLG equation."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from spinneurons.macrospin import reference
from spinneurons.macrospin.material import GYROMAGNETIC, Magnet, envelope
from spinneurons.macrospin.model import LANES, Ensemble
from spinneurons.macrospin.noise import draw_seeds, normals

PS = 1e-12
COLD = Magnet(temperature=0.0)


def tilted(angle, n=1):
    return np.tile([[np.sin(angle)], [0.0], [np.cos(angle)]], n)


def one_seed(n=1):
    return draw_seeds(np.random.default_rng(1), n)


@pytest.mark.parametrize("spin", [(0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (0.6, 0.0, 0.8)])
def test_the_kernel_equals_its_reference_on_the_same_noise(spin):
    n, magnet, field = 300, Magnet(damping=0.1, width=10e-9), (2e3, -500.0, 1e3)
    rng = np.random.default_rng(4)
    seeds, start = draw_seeds(rng, n), rng.standard_normal((3, n))
    start /= np.linalg.norm(start, axis=0)
    torque = np.linspace(-2, 4, n) * magnet.critical_field("collinear")
    pulse = envelope(0.4e-9, 0.1e-9, 0.1e-9, PS)
    expected = reference.heun(start, magnet, PS, normals(seeds, pulse.size), torque, pulse, field, spin)
    ensemble = Ensemble(magnet, PS, start, seeds, field, spin)
    ensemble.advance(torque, pulse)
    assert np.abs(expected - start).max() > 0.5
    np.testing.assert_allclose(ensemble.m, expected, atol=2e-5)


def test_any_split_over_batches_and_calls_gives_the_same_bits():
    n, magnet, pulse = LANES + 300, Magnet(), np.ones(60, np.float32)
    seeds, start = one_seed(n), tilted(0.1, n)
    torque = np.linspace(0, 2, n) * magnet.critical_field("collinear")
    whole = Ensemble(magnet, PS, start, seeds)
    whole.advance(torque, pulse)
    for cuts in ([0, 1, 7, LANES + 2, n], [0, 300, n]):
        for a, b in pairwise(cuts):
            part = Ensemble(magnet, PS, start[:, a:b], seeds[:, a:b])
            part.advance(torque[a:b], pulse[:13])
            part.advance(torque[a:b], pulse[13:])
            assert part.m.tobytes() == whole.m[:, a:b].tobytes()


def test_an_undamped_moment_precesses_at_the_field_s_frequency():
    # d phi/dt = g0 (Hz + Hk mz), counted over 2 ns
    field, angle, steps = 2e4, 0.3, 2000
    magnet = Magnet(temperature=0.0, damping=0.0)
    ensemble = Ensemble(magnet, PS, tilted(angle), one_seed(), (0.0, 0.0, field))
    ensemble.advance(0.0, np.ones(steps))
    mx, my, mz = ensemble.m[:, 0].astype(float)
    expected = GYROMAGNETIC * (field + magnet.anisotropy_field * np.cos(angle)) * steps * PS
    off = (np.arctan2(my, mx) - expected + np.pi) % (2 * np.pi) - np.pi
    assert expected > 30
    assert abs(off) < 2e-3  # the step's error is (omega dt)^2/6 = 4e-5 of the phase
    assert mz == pytest.approx(np.cos(angle), abs=2e-4)


@pytest.mark.parametrize("damping", [0.02, 0.3])
def test_a_damped_moment_turns_into_the_field_in_the_known_time(damping):
    # tan(theta/2) = tan(theta0/2) exp(-alpha g0 H t/(1 + alpha^2))
    field, angle, time = 5e4, 2.0, 1.5e-9
    magnet = Magnet(temperature=0.0, damping=damping, anisotropy_field=0.0)
    ensemble = Ensemble(magnet, PS, tilted(angle), one_seed(), (0.0, 0.0, field))
    ensemble.advance(0.0, np.ones(round(time / PS)))
    theta = np.arccos(float(ensemble.m[2, 0]))
    expected = 2 * np.arctan(np.tan(angle / 2) * np.exp(-damping * magnet.rate * field * time))
    assert theta == pytest.approx(expected, abs=1e-3)


def test_the_error_falls_with_the_square_of_the_step():
    magnet, field, spin, time = Magnet(temperature=0.0, damping=0.1), (5e3, 0.0, 2e3), (0.0, 0.6, 0.8), 1.024e-9
    torque = 2 * magnet.critical_field("collinear")

    def slope(_, m):
        m = m[:, None]
        h = reference.effective_field(
            m, magnet, np.reshape(field, (3, 1)), np.array([torque]), np.reshape(spin, (3, 1))
        )
        return reference.slope(m, h, magnet)[:, 0]

    exact = solve_ivp(slope, (0, time), tilted(0.4)[:, 0], "DOP853", rtol=1e-11, atol=1e-12).y[:, -1]
    errors = []
    for dt in (16 * PS, 8 * PS, 4 * PS):
        ensemble = Ensemble(magnet, dt, tilted(0.4), one_seed(), field, spin)
        ensemble.advance(torque, np.ones(round(time / dt)))
        errors.append(np.linalg.norm(ensemble.m[:, 0] - exact))
    ratios = np.array(errors[:-1]) / errors[1:]
    np.testing.assert_allclose(ratios, 4, rtol=0.1)


def test_spins_along_the_easy_axis_switch_from_the_critical_current_on():
    for factor, end in ((0.9, -1), (1.1, 1)):
        ensemble = Ensemble(COLD, PS, tilted(np.pi - 0.05), one_seed())
        ensemble.advance(factor * COLD.critical_field("collinear"), np.ones(200_000))
        assert ensemble.m[2, 0] == pytest.approx(end, abs=0.01)


def test_spins_in_the_plane_hold_the_moment_up_to_half_the_anisotropy_field():
    strong = Magnet(temperature=0.0, damping=0.5)
    heights = []
    for factor in (0.95, 1.05):
        ensemble = Ensemble(strong, PS, tilted(np.pi), one_seed(), spin=(0.0, 1.0, 0.0))
        ensemble.advance(factor * strong.critical_field("in-plane"), np.ones(20_000))
        heights.append(float(ensemble.m[2, 0]))
    assert heights[0] == pytest.approx(-np.cos(np.arcsin(0.95) / 2), abs=1e-3)  # sin(2 theta) = 2 HDL/Hk
    assert abs(heights[1]) < 0.3


def test_moments_keep_their_length():
    ensemble = Ensemble(Magnet(width=5e-9), PS, tilted(1.0, 100), one_seed(100))
    ensemble.advance(1e4, np.ones(5000))
    np.testing.assert_allclose(np.linalg.norm(ensemble.m.astype(float), axis=0), 1, atol=3e-7)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"start has shape \(3, 2\) and seeds \(4, 3\); they are"):
        Ensemble(COLD, PS, tilted(0.1, 2), one_seed(3))
