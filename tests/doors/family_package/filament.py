"""The shortest family: a filament of stochastic RRAM that a pulse forms or does not.

The mean time of formation falls exponentially with the voltage, tau = tau0 exp(-V/v0), and the times have an
exponential distribution, so that a pulse of length t forms it with p = 1 - exp(-t/tau): the built-in law ``cloglog``.
The voltage is that of the write current at a series resistor.  The numbers are made up.

Source of the law: S. Gaba et al., Nanoscale 5, 5872 (2013).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from spinneurons.neurons import card as cards
from spinneurons.neurons.base import Family
from spinneurons.neurons.card import CardModel, Entry, NotNegative, Positive, Strictly, Unit
from spinneurons.neurons.family import Card, CycleReading, Decision, Floats, Law, Levels, Readings, Size
from spinneurons.neurons.laws import CLOGLOG


class Formation(Strictly):
    """When a filament forms; ``spread`` is how far cells deviate in their voltage."""

    tau0: Annotated[Entry[Positive], Unit("s")]
    v0: Annotated[Entry[Positive], Unit("V")]
    pulse_width: Annotated[Entry[Positive], Unit("s")]
    series_resistance: Annotated[Entry[Positive], Unit("ohm")]
    spread: Annotated[Entry[NotNegative], Unit("1")]


class Cell(Strictly):
    """What is read: the resistance without and with a filament."""

    low: Annotated[Entry[Positive], Unit("ohm")]
    high: Annotated[Entry[Positive], Unit("ohm")]
    read_current: Annotated[Entry[Positive], Unit("A")]
    noise: Annotated[Entry[NotNegative], Unit("ohm")]


class FilamentCard(CardModel):
    """What a card of filaments holds."""

    formation: Formation
    cell: Cell


CARD = """
title = "Filaments, made up"
family = "filament"

[devices]
widths = {value = [0.1], unit = "um", provenance = "assumed", source = "one cell size"}
per_width = {value = 4, unit = "1", provenance = "assumed", source = "four cells"}
seed = {value = 7, unit = "1", provenance = "assumed", source = "addresses the deviations"}

[formation]
tau0 = {value = 10.0, unit = "s", provenance = "assumed", source = "made up"}
v0 = {value = 0.2, unit = "V", provenance = "assumed", source = "made up"}
pulse_width = {value = 1e-4, unit = "s", provenance = "assumed", source = "made up"}
series_resistance = {value = 2000.0, unit = "ohm", provenance = "assumed", source = "made up"}
spread = {value = 0.05, unit = "1", provenance = "assumed", source = "made up"}

[cell]
low = {value = 1e4, unit = "ohm", provenance = "assumed", source = "made up"}
high = {value = 1e6, unit = "ohm", provenance = "assumed", source = "made up"}
read_current = {value = 1e-6, unit = "A", provenance = "assumed", source = "made up"}
noise = {value = 300.0, unit = "ohm", provenance = "assumed", source = "made up"}
"""


class Filament(Family):
    """The filaments that a card describes."""

    name = "filament"
    laws: ClassVar[Sequence[Law]] = (CLOGLOG,)
    readings: ClassVar[Sequence[CycleReading]] = (CycleReading("r_cell", "ohm", "Cell resistance", "after write"),)
    width = Size("cell size", 0.005, 10.0)
    schema: ClassVar[type[CardModel]] = FilamentCard

    @classmethod
    def default(cls) -> Card:
        return cards.loads(CARD)

    def i_bias(self, width: npt.ArrayLike) -> Floats:
        """p = 1/2 where t/tau = ln 2: V = v0 ln(ln 2 tau0/t)."""
        ratio = np.log(2) * self.value("formation.tau0") / self.value("formation.pulse_width")
        current = self.value("formation.v0") * np.log(ratio) / self.value("formation.series_resistance")
        return np.full(np.shape(width), current)

    def i0(self, width: npt.ArrayLike) -> Floats:
        """``cloglog`` has t/tau = ln 2 exp(z/(2 ln 2)), z = (I - I_bias)/i0: so i0 = v0/(2 ln 2 R)."""
        current = self.value("formation.v0") / (2 * np.log(2) * self.value("formation.series_resistance"))
        return np.full(np.shape(width), current)

    @property
    def spread(self) -> tuple[float, float]:
        return self.value("formation.spread"), 0.0

    @property
    def read_current(self) -> float:
        return float(self.value("cell.read_current"))

    def measure(
        self, i_bias: float, i0: float, i_write: npt.ArrayLike, cycles: int, rng: np.random.Generator, law: Law
    ) -> Readings:
        p = self.probability(i_write, i_bias, i0, law)
        formed = rng.random((p.size, cycles)) < p[:, None]
        levels = self.levels()
        resistance = np.where(formed, levels.low, levels.high) + levels.noise * rng.standard_normal(formed.shape)
        return (resistance.astype(np.float32),)

    def levels(self) -> Levels:
        return Levels(self.value("cell.low"), self.value("cell.high"), self.value("cell.noise"))

    def decide(self, readings: Readings, levels: Levels | None = None) -> Decision:
        """A filament lowers the resistance: what reads low has switched."""
        levels = levels or self.levels()
        valid = np.isfinite(readings[0])
        return Decision((readings[0] < levels.threshold) & valid, valid, levels, "")
