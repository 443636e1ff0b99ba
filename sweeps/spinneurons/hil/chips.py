"""Chips: devices that deviate from the nominal one, and what is learned of each by a few pulses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from spinneurons.hil.neurons import Drive, ModelNeurons, drive
from spinneurons.hil.states import States
from spinneurons.hil.streams import Streams
from spinneurons.neurons.base import REACH
from spinneurons.neurons.calibration import calibrate, pulses_at
from spinneurons.neurons.family import Law, NeuronFamily
from spinneurons.neurons.population import card_deviations, relative

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Population:
    """How devices deviate from the nominal one: in I_bias and in i0, each relative to the largest deviation."""

    measured: Floats | None = None
    """(devices, 2) of which any may be drawn, again and again; None: both are uniform on [-1, 1)."""

    def draw(self, rng: np.random.Generator, count: int) -> Floats:
        """(2, count) deviations of so many devices."""
        if self.measured is None:
            return rng.uniform(-1.0, 1.0, (2, count))
        return self.measured[rng.integers(len(self.measured), size=count)].T

    @property
    def sd(self) -> Floats:
        """(2,) root mean square of the deviations."""
        return np.full(2, 3**-0.5) if self.measured is None else np.sqrt(np.mean(self.measured**2, axis=0))


def population(family: NeuronFamily, chips: str) -> Population:
    """The devices of the parameter ``chips``: "uniform", or those of the card."""
    if chips == "uniform":
        return Population()
    return Population(
        relative(card_deviations(family)).round(12)
    )  # the same whatever the scale of the card's currents


@dataclass(frozen=True)
class Deviations:
    """How far devices deviate at the most."""

    ratio: float
    """Nominal I_bias/i0."""
    bias: float
    """Largest relative deviation of I_bias."""
    scale: float
    """Of i0."""


@dataclass(frozen=True)
class OutputDevices:
    """One device a neuron; what is known of them beforehand is the nominal one and how far they deviate."""

    family: NeuronFamily
    law: Law
    i0: float
    """Nominal, A."""
    x: Floats
    """(2, neurons) deviations of I_bias and i0, from -1 to 1."""
    far: Deviations
    population: Population
    streams: Streams
    """Luck and noise of the pulses, by key."""
    z_limit: float

    @property
    def i_bias(self) -> float:
        """Nominal, A."""
        return self.far.ratio * self.i0

    @property
    def numbers(self) -> tuple[int, ...]:
        """Of the devices."""
        return tuple(range(self.x.shape[1]))

    @cached_property
    def neurons(self) -> ModelNeurons:
        """The devices: I_bias (1 + variation x), as in equation 3, and i0 likewise."""
        devices = {
            d: (self.i_bias * (1 + self.far.bias * float(a)), self.i0 * (1 + self.far.scale * float(b)))
            for d, (a, b) in enumerate(self.x.T)
        }
        return ModelNeurons(self.family, devices, self.law, self.streams)

    def drive(self, shift: Floats | float = 0.0, gain: Floats | float = 1.0) -> Drive:
        """About bias currents that are ``shift`` i0 above the nominal one, z counting in ``gain`` i0."""
        nominal = drive(self.family, self.numbers, self.i_bias, self.i0, self.z_limit)
        return replace(nominal, i_bias=nominal.i_bias + nominal.i0 * shift, i0=nominal.i0 * gain)

    def sampled(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """(neurons,) shift and gain of devices as they might be, in nominal i0."""
        bias, scale = self.population.draw(rng, len(self.numbers))
        return self.far.ratio * self.far.bias * bias, 1 + self.far.scale * scale

    def calibrated(self, cycles: int, currents: int, *, gain: bool = False) -> Drive:
        """The drive after so many cycles of each device: about its most probable bias current.

        The cycles are spread over ``currents`` write currents, from where no device switches to where all do.

        Parameters
        ----------
        gain : take the most probable scale current of each device as well
        """
        if not cycles:
            return self.drive()
        half_span = (REACH + self.far.ratio * self.far.bias) * self.i0
        plan = np.linspace(max(self.i_bias - half_span, self.family.read_current), self.i_bias + half_span, currents)
        z = (plan - self.i_bias) / self.i0
        place = np.repeat(np.arange(currents), pulses_at(cycles, z))
        train = np.repeat(plan[place][:, None], len(self.numbers), axis=1)
        readings = self.neurons.read(f"calibration by {cycles} cycles", self.numbers, train)
        done = States(self.family).decide(self.numbers, readings)
        k, n = (
            np.stack([np.bincount(place, column, currents) for column in a.T]) for a in (done.switched, done.valid)
        )
        shift_sd, gain_sd = self.population.sd * (self.far.ratio * self.far.bias, self.far.scale)
        known = calibrate(k, n, z, self.law, float(shift_sd), float(gain_sd) if gain else 0.0)
        return self.drive(known.shift, known.gain)
