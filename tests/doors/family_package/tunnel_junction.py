"""A family of one's own, in one file: a magnetic tunnel junction that a current pulse switches, read by its voltage.

Its threshold current grows with the pillar's area and is blurred by a normal distribution (a probit law).  A cycle
gives one reading: the voltage after the write pulse.  The numbers are made up.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from spinneurons.neurons import card as cards
from spinneurons.neurons.base import Family
from spinneurons.neurons.card import CardModel, Entry, NotNegative, Positive, Strictly, Unit
from spinneurons.neurons.family import (
    Card,
    CycleReading,
    Decision,
    Floats,
    Law,
    Levels,
    MeasuredDevices,
    Readings,
    Size,
)
from spinneurons.neurons.laws import BinomialLaw

# The law


class Probit(BinomialLaw):
    """p = Phi(eta), the normal distribution."""

    def predictor(self, p: npt.ArrayLike) -> Floats:
        return np.asarray(ndtri(p))

    def inverse(self, eta: Floats) -> Floats:
        return np.asarray(ndtr(eta))

    def slope(self, eta: Floats) -> Floats:
        return np.asarray(np.exp(-(eta**2) / 2) / np.sqrt(2 * np.pi))

    def statsmodels_link(self) -> Any:
        from statsmodels.genmod.families.links import Probit as Link

        return Link()


PROBIT = Probit("probit", half=0.0, scale=float(np.sqrt(2 * np.pi) / 4))  # slope 1/4 at p = 1/2

# The card


class Threshold(Strictly):
    """Current of probability 1/2: density * area; it is blurred by ``blur`` of itself."""

    density: Annotated[Entry[Positive], Unit("A/um^2")]
    blur: Annotated[Entry[Positive], Unit("1")]
    spread: Annotated[Entry[NotNegative], Unit("1")]


class Junction(Strictly):
    """Resistance of the parallel state, and what the antiparallel one adds to it, at the read current."""

    resistance_area: Annotated[Entry[Positive], Unit("ohm um^2")]
    magnetoresistance: Annotated[Entry[Positive], Unit("1")]
    read_current: Annotated[Entry[Positive], Unit("A")]
    noise: Annotated[Entry[NotNegative], Unit("V")]


class TunnelJunctionCard(CardModel):
    """What a card of tunnel junctions holds."""

    threshold: Threshold
    junction: Junction


CARD = """
title = "Tunnel junctions, made up"
family = "tunnel-junction"

[devices]
widths = {value = [0.08, 0.06, 0.05], unit = "um", provenance = "assumed", source = "pillars"}
per_width = {value = 2, unit = "1", provenance = "assumed", source = "two of each"}
seed = {value = 5, unit = "1", provenance = "assumed", source = "addresses the deviations"}

[threshold]
density = {value = 0.03, unit = "A/um^2", provenance = "assumed", source = "made up"}
blur = {value = 0.04, unit = "1", provenance = "assumed", source = "made up"}
spread = {value = 0.1, unit = "1", provenance = "assumed", source = "made up"}

[junction]
resistance_area = {value = 5.0, unit = "ohm um^2", provenance = "assumed", source = "made up"}
magnetoresistance = {value = 1.2, unit = "1", provenance = "assumed", source = "made up"}
read_current = {value = 5e-6, unit = "A", provenance = "assumed", source = "made up"}
noise = {value = 1e-4, unit = "V", provenance = "assumed", source = "made up"}
"""

# The family


class TunnelJunction(Family):
    """The junctions that a card describes."""

    name = "tunnel-junction"
    laws: ClassVar[Sequence[Law]] = (PROBIT,)
    readings: ClassVar[Sequence[CycleReading]] = (CycleReading("v_junction", "V", "Junction voltage", "after write"),)
    width = Size("pillar diameter", 0.01, 1.0)
    schema: ClassVar[type[CardModel]] = TunnelJunctionCard

    @classmethod
    def default(cls) -> Card:
        return cards.loads(CARD)

    def i_bias(self, width: npt.ArrayLike) -> Floats:
        return np.asarray(self.value("threshold.density") * np.pi / 4 * np.asarray(width) ** 2)

    def i0(self, width: npt.ArrayLike) -> Floats:
        return np.asarray(self.value("threshold.blur") * self.i_bias(width))

    @property
    def spread(self) -> tuple[float, float]:
        return self.value("threshold.spread"), 0.0

    @property
    def read_current(self) -> float:
        return float(self.value("junction.read_current"))

    def measure(
        self, i_bias: float, i0: float, i_write: npt.ArrayLike, cycles: int, rng: np.random.Generator, law: Law
    ) -> Readings:
        p = self.probability(i_write, i_bias, i0, law)
        switched = rng.random((p.size, cycles)) < p[:, None]
        levels = self.levels()
        voltage = np.where(switched, levels.high, levels.low) + levels.noise * rng.standard_normal(switched.shape)
        return (voltage.astype(np.float32),)

    def levels(self) -> Levels:
        smallest = np.pi / 4 * min(self.value("devices.widths")) ** 2
        low = self.read_current * self.value("junction.resistance_area") / smallest
        return Levels(low, low * (1 + self.value("junction.magnetoresistance")), self.value("junction.noise"))

    def decide(self, readings: Readings, levels: Levels | None = None) -> Decision:
        levels = levels or self.levels()
        valid = np.isfinite(readings[0])
        return Decision((readings[0] > levels.threshold) & valid, valid, levels, "")

    def measured(self, devices: MeasuredDevices, source: str) -> Card:
        area, good = np.pi / 4 * np.asarray(devices.width)[:, None] ** 2, devices.fitted
        found = {
            "threshold.density": float(np.mean((np.asarray(devices.i_bias) / area)[good])),
            "threshold.blur": float(np.mean((np.asarray(devices.i0) / np.asarray(devices.i_bias))[good])),
        }
        if devices.read_current is not None:
            found["junction.read_current"] = devices.read_current
        if (levels := devices.levels) is not None:  # those of the smallest pillar, as in `levels` above
            smallest = np.pi / 4 * min(self.value("devices.widths")) ** 2
            read_current = devices.read_current or self.read_current
            found["junction.resistance_area"] = levels.low * smallest / read_current
            found["junction.magnetoresistance"] = levels.high / levels.low - 1
            found["junction.noise"] = levels.noise
        changed = copy.deepcopy(dict(self.card))
        for key, number in found.items():
            section, name = key.split(".")
            changed[section][name].update(value=number, provenance="measured", source=source)
        return cards.validate(changed)
