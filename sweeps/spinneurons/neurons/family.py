"""What a family of stochastic neurons is: a law, individuals, readings, and how readings are decided.

An experiment asks a :class:`NeuronFamily`, which is a family bound to a card, and knows no device by name.  A family
of your own is a class with these methods, most of which :class:`spinneurons.neurons.base.Family` already has,
installed under the entry point ``spinsweep.neurons``.

Units: widths are in um, drives are currents in A, readings have the unit that ``readings`` states.
The reduced drive is z = (I - i_bias)/i0, where i_bias is the current of probability 1/2 and i0 the scale whose slope
there is dp/dI = 1/(4 i0), for every law.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from spinneurons.neurons.laws import BinomialLaw

Law = BinomialLaw
"""Probability of firing against the reduced drive z, with p(0) = 1/2 and dp/dz(0) = 1/4; it can be pickled."""
Card = dict[str, Any]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Readings = tuple[npt.NDArray[np.float32], ...]
"""Of some cycles: one array for each of the family's ``readings``, all of one shape; NaN marks a lost sample."""


@dataclass(frozen=True)
class CycleReading:
    """One quantity that each cycle gives."""

    name: str
    """Of the array in the cube."""
    unit: str
    quantity: str
    """Such as ``Hall resistance``."""
    moment: str
    """When it is read, such as ``after reset``."""

    @property
    def long_name(self) -> str:
        """What is read and when."""
        return f"{self.quantity} {self.moment}"


@dataclass(frozen=True)
class Size:
    """The axis ``width`` of a family: the size by which its devices differ by design, um."""

    long_name: str
    low: float
    """Smallest value that makes sense, um."""
    high: float


class Levels(NamedTuple):
    """The two levels of a device's readings, from its own readings; NaN with a ``reason`` if not distinct."""

    low: float
    high: float
    noise: float
    """Standard deviation of a reading about its level."""
    reason: str = ""

    @property
    def threshold(self) -> float:
        """Midpoint of the two levels."""
        return (self.low + self.high) / 2


class LevelMixture(NamedTuple):
    """How many levels the readings of a device have, and how many readings lie between two of them."""

    means: Floats
    """(levels,), rising: one of a device that rests, three of one that stops half-way."""
    intermediate_share: float
    """Share of the readings after write between the outer levels: partial switching; NaN where it is not known."""


class Decision(NamedTuple):
    """What the readings say: ``switched`` and ``valid`` have their shape; an invalid cycle is not switched."""

    switched: Bools
    valid: Bools
    levels: Levels
    reason: str
    """Why nothing is valid; empty otherwise."""


class NeuronFamily(Protocol):
    """A family bound to a card; ``HallBar(card)``, say."""

    name: ClassVar[str]
    """Of the entry point, and of the card's key ``family``."""
    laws: ClassVar[Sequence[Law]]
    """The standard one first."""
    readings: ClassVar[Sequence[CycleReading]]
    width: ClassVar[Size]
    schema: ClassVar[Any]
    """Subclass of :class:`spinneurons.neurons.card.CardModel`: what a card of the family holds."""
    card: Mapping[str, Any]

    def __init__(self, card: Mapping[str, Any]) -> None: ...

    @classmethod
    def default(cls) -> Card:
        """The family's built-in card."""

    def law(self, choice: str = "card") -> Law:
        """The law of that name; "card": the one that the card states, "standard": the family's first.

        Raises
        ------
        ValueError
            The family has no such law; one line that names those there are.
        """

    def labels(self) -> dict[str, list[Any]]:
        """The devices of the card: values of the axes ``width`` and ``device``."""

    def i_bias(self, width: npt.ArrayLike) -> Floats:
        """Nominal current of probability 1/2 at ``width`` (any shape), A."""

    def i0(self, width: npt.ArrayLike) -> Floats:
        """Nominal scale current at ``width`` (any shape), A."""

    def individual(self, width: float, device: int) -> tuple[float, float]:
        """(i_bias, i0) in A of one device; the same in every sweep."""

    @property
    def spread(self) -> tuple[float, float]:
        """Largest relative deviation of a device's i_bias and i0 from the nominal ones."""

    def drift(self, days: npt.ArrayLike, normals: npt.ArrayLike) -> Floats:
        """Factor on i_bias after whole days, from standard normals (..., m >= days); one path for all days."""

    def drift_deviation(self, days: float) -> float:
        """Standard deviation of the relative change of i_bias in so many days."""

    @property
    def pulse_correlation(self) -> float:
        """Correlation of the outcomes of successive pulses of a device, beyond that of its law; 0: none."""

    @property
    def temperature(self) -> tuple[float, float]:
        """Relative change of the bias per K, and the standard deviation of the temperature from week to week, K."""

    def write_currents(self, width: float, n: int) -> Floats:
        """(n,) A, rising: currents that show the whole law of each device of a width."""

    @property
    def read_current(self) -> float:
        """A; write currents lie above it."""

    def reset_current(self, width: float) -> float:
        """Amplitude of the reset pulse of a width, A; negative."""

    def probability(self, i_write: npt.ArrayLike, i_bias: npt.ArrayLike, i0: npt.ArrayLike, law: Law) -> Floats:
        """Probability that a write pulse switches a device; arrays in A that broadcast together."""

    def measure(
        self, i_bias: float, i0: float, i_write: npt.ArrayLike, cycles: int, rng: np.random.Generator, law: Law
    ) -> Readings:
        """Readings (n, cycles) of a simulated device at n write currents (A)."""

    def of_voltages(self, v_reset: npt.ArrayLike, v_write: npt.ArrayLike) -> Readings:
        """Readings from the voltages (V) that a bench reads after reset and after write."""

    def with_reset_state(self, state: int) -> NeuronFamily:
        """The same where reset gives the low (-1) or the high (1) level: what a bench or a log says of itself."""

    def levels(self) -> Levels:
        """What the card says of the levels, before a device has shown its own."""

    def learn(self, readings: Floats) -> Levels | None:
        """Levels from pooled readings (any number) of one device; None while they do not show both."""

    def decide(self, readings: Readings, levels: Levels | None = None) -> Decision:
        """Which cycles of one device switched, by these levels or by those of the readings themselves."""

    def level_mixture(self, readings: Readings) -> LevelMixture:
        """How many levels the readings of one device have."""

    def measured(self, devices: MeasuredDevices, source: str) -> Card:
        """A card in which these devices are the individuals, and formulas follow from them.

        Entries that were measured have that provenance and this source, one line; all others stay as they are.

        Raises
        ------
        CardError
            They are too few for that.
        """


@dataclass(frozen=True)
class MeasuredDevices:
    """Devices of all widths, and what a recording says of them; what it does not say is None, "" or NaN."""

    FITTED: ClassVar = ("i_bias", "i_bias_stderr", "i0", "i0_stderr")

    width: npt.ArrayLike
    """(W,) um."""
    i_bias: npt.ArrayLike
    """(W, D) A, as the three that follow; a device without a fit is NaN."""
    i_bias_stderr: npt.ArrayLike
    i0: npt.ArrayLike
    i0_stderr: npt.ArrayLike
    device: npt.ArrayLike | None = None
    """(D,) labels of the devices of each width; None: 0, 1, ..."""
    low: npt.ArrayLike | None = None
    """(W, D) lower level of each device, in the unit of the readings."""
    high: npt.ArrayLike | None = None
    """(W, D) upper level."""
    noise: npt.ArrayLike | None = None
    """(W, D) standard deviation of a reading about its level."""
    read_current: float | None = None
    """A."""
    pulse_width: float | None = None
    """Length of the write pulses, s."""
    reset_state: int | None = None
    """-1 if reset gave the low level, 1 if it gave the high one."""
    law: str = ""
    """Name of the law that was fitted."""

    @property
    def fitted(self) -> Bools:
        """(W, D), which devices have a fit.

        Raises
        ------
        ValueError
            The fitted values are not (width, device).
        """
        columns = [np.asarray(getattr(self, name), dtype=np.float64) for name in self.FITTED]
        shapes = {a.shape for a in columns}
        if len(shapes) != 1 or columns[0].ndim != 2 or len(columns[0]) != np.size(self.width):
            raise ValueError(f"the fitted values have shapes {shapes}; all are (width, device)")
        i_bias, _, i0, _ = columns
        with np.errstate(invalid="ignore"):
            return np.asarray(np.logical_and.reduce(np.isfinite(columns)) & (i_bias > 0) & (i0 > 0))

    @property
    def labels(self) -> list[Any]:
        """Of the devices of each width."""
        return list(range(np.shape(self.i_bias)[1])) if self.device is None else list(np.asarray(self.device))

    def of_fitted(self, name: str) -> Floats:
        """The numbers of one of the arrays (W, D) that fitted devices have, as far as they are known."""
        values = getattr(self, name)
        known = np.full(0, np.nan) if values is None else np.asarray(values, np.float64)[self.fitted]
        return known[np.isfinite(known)]

    @property
    def levels(self) -> Levels | None:
        """Levels and noise of the fitted devices, medians over them; None where no levels are known."""
        low, high, noise = (self.of_fitted(name) for name in ("low", "high", "noise"))
        if not low.size:
            return None
        middle, half = np.median((low + high) / 2), np.median((high - low) / 2)
        return Levels(float(middle - half), float(middle + half), float(np.median(noise)))
