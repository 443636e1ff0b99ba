"""Parameters of the macrospin: fields, currents, pulse shapes."""

import numpy as np
import pytest
from scipy import constants

from spinneurons.macrospin import material
from spinneurons.macrospin.material import GYROMAGNETIC, Magnet, envelope


@pytest.mark.parametrize("name", ["e", "hbar", "k", "mu_0"])
def test_the_constants_of_nature_are_those_of_codata(name):
    assert getattr(material, name) == pytest.approx(getattr(constants, name), rel=1e-8)


def test_the_constants_are_those_of_the_equation():
    assert pytest.approx(2.2128e5, rel=1e-4) == GYROMAGNETIC
    magnet = Magnet()
    assert magnet.stability == pytest.approx(40, rel=1e-3)
    # hbar theta J/(2 e mu0 Ms t) at 1e11 A/m2
    current = 1e11 * magnet.width * magnet.metal
    assert magnet.torque_field(current) == pytest.approx(6545, rel=1e-3)
    assert magnet.current_of(magnet.torque_field(3e-6)) == pytest.approx(3e-6)
    assert magnet.torque_field(magnet.critical_current("in-plane")) == pytest.approx(magnet.anisotropy_field / 2)


def test_the_thermal_field_obeys_fluctuation_and_dissipation():
    one = Magnet()
    assert Magnet(temperature=1200).thermal_field(1e-12) == pytest.approx(2 * one.thermal_field(1e-12))
    assert one.thermal_field(4e-12) == pytest.approx(one.thermal_field(1e-12) / 2)
    assert Magnet(temperature=0).thermal_field(1e-12) == 0


def test_the_paper_s_bar_would_need_a_hundredfold_current_as_a_macrospin():
    # H_an 5.8e5 A/m, Ms 1e6 A/m, 1 nm, spin Hall angle 0.12 to 0.15: 7 to 9e12 A/m2
    for angle, density in ((0.15, 7e12), (0.12, 9e12)):
        bar = Magnet(anisotropy_field=5.8e5, thickness=1e-9, spin_hall_angle=angle, width=300e-9, metal=5e-9)
        found = bar.critical_current("in-plane") / (bar.width * bar.metal)
        assert found == pytest.approx(density, rel=0.1)


def test_a_pulse_is_a_trapezoid_of_its_length_at_half_height():
    flat = envelope(2e-9, 0.0, 1e-9, 1e-12)
    assert flat.size == 3000
    assert flat.sum() == 2000
    edged = envelope(2e-9, 0.5e-9, 0.0, 1e-12)
    assert edged.size == 2500
    assert edged.sum() == pytest.approx(2000)
    assert (edged > 0.5).sum() == 2000
    np.testing.assert_allclose(edged, edged[::-1], atol=1e-6)
    assert edged.max() == 1


@pytest.mark.parametrize(("length", "rise"), [(1e-10, 2e-10), (1e-13, 0.0)])
def test_a_pulse_shorter_than_its_edge_or_a_step_is_refused(length, rise):
    with pytest.raises(ValueError, match="is shorter than its edge or one step"):
        envelope(length, rise, 0.0, 1e-12)


@pytest.mark.parametrize("name", ["width", "saturation", "metal"])
def test_a_size_has_to_be_above_zero(name):
    with pytest.raises(ValueError, match=f"magnet: {name} is 0; it has to be above 0"):
        Magnet(**{name: 0.0})
