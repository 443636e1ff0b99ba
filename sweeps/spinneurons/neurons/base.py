"""What most families have in common: individuals of a card, the plan of currents, and no drift.

A family of your own derives from :class:`Family`, states its names, laws, readings and schema, and gives ``i_bias``,
``i0``, ``spread``, ``measure`` and ``decide``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from spinneurons.neurons.card import CardError, CardModel, device_key, value
from spinneurons.neurons.family import (
    Card,
    CycleReading,
    Decision,
    Floats,
    Law,
    LevelMixture,
    Levels,
    MeasuredDevices,
    Readings,
    Size,
)
from spinneurons.neurons.levels import level_means

REACH = 6.0
"""Half-span of the plan of currents in i0, beyond the spread of i_bias: p = 0.25 % and 99.75 % of a logistic."""


def with_luck_of_before(uniform: npt.NDArray[Any], kept: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Luck along the last axis (time) with that of the step before where ``kept``.

    Each number stays uniform, and two that follow each other are the same with the probability of ``kept``: this is
    then the correlation of their outcomes at one probability.
    """
    steps = np.broadcast_to(np.arange(uniform.shape[-1]), uniform.shape)
    latest = np.maximum.accumulate(np.where(kept, 0, steps), axis=-1)  # the first has none before it
    return np.take_along_axis(uniform, latest, axis=-1)


class Family:
    """A family bound to a card; see :class:`spinneurons.neurons.family.NeuronFamily` for the methods."""

    name: ClassVar[str]
    laws: ClassVar[Sequence[Law]]
    readings: ClassVar[Sequence[CycleReading]]
    width: ClassVar[Size]
    schema: ClassVar[type[CardModel]]

    def __init__(self, card: Mapping[str, Any]) -> None:
        self.card = card

    def value(self, key: str) -> Any:
        """The card's value at ``"section.key"``."""
        return value(self.card, key)

    @property
    def stated_law(self) -> str:
        """Name of the law that the card states."""
        return self.laws[0].name

    def law(self, choice: str = "card") -> Law:
        """The law of that name; "card": the one that the card states, "standard": the family's first."""
        name = {"card": self.stated_law, "standard": self.laws[0].name}.get(choice, choice)
        for law in self.laws:
            if law.name == name:
                return law
        names = ", ".join(law.name for law in self.laws)
        raise ValueError(f"link {choice!r} is unknown; it is one of card, {names}")

    def labels(self) -> dict[str, list[Any]]:
        """The devices of the card: values of the axes ``width`` (um) and ``device``."""
        if "device" in self.card:
            devices = sorted({d["index"] for d in self.card["device"]})
        else:
            devices = list(range(self.value("devices.per_width")))
        return {"width": list(self.value("devices.widths")), "device": devices}

    # Individuals

    def i_bias(self, width: npt.ArrayLike) -> Floats:
        """Nominal current of probability 1/2 at ``width`` (um, any shape), A."""
        raise NotImplementedError

    def i0(self, width: npt.ArrayLike) -> Floats:
        """Nominal scale current at ``width`` (um, any shape), A."""
        raise NotImplementedError

    @property
    def spread(self) -> tuple[float, float]:
        """Largest relative deviation of a device's i_bias and i0 from the nominal ones."""
        raise NotImplementedError

    def individual(self, width: float, device: int) -> tuple[float, float]:
        """(i_bias, i0) in A of one device.

        A ``[[device]]`` entry of the card is taken as it is; otherwise each nominal value times 1 + spread * u, u
        uniform on [-1, 1) from the individual's own stream.  Source: device-to-device variation, main text and
        Fig. 3(a).
        """
        key = device_key(width, device)
        for entry in self.card.get("device", ()):
            if device_key(entry["width_um"], entry["index"]) == key:
                return entry["i_bias"], entry["i0"]
        width = float(f"{width:.12g}")  # 0.1 * 3 is 0.3
        u = self.stream(width, device, "spread").uniform(-1.0, 1.0, 2)
        bias = self.i_bias(width) * (1 + self.spread[0] * u[0])
        scale = self.i0(width) * (1 + self.spread[1] * u[1])
        return float(bias), float(scale)

    def stream(self, width: float, device: int, name: str) -> np.random.Generator:
        """The random stream ``name`` of one individual, which the card's seed, its width and its index give."""
        text = json.dumps(["device", self.value("devices.seed"), device_key(width, device), name])
        key = hashlib.blake2b(text.encode(), digest_size=16).digest()
        return np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little")))

    def drift(self, days: npt.ArrayLike, normals: npt.ArrayLike) -> Floats:
        """No drift: 1 on each day."""
        return np.ones((*np.shape(normals)[:-1], *np.shape(days)))

    def drift_deviation(self, days: float) -> float:
        """No drift."""
        return 0.0

    @property
    def pulse_correlation(self) -> float:
        """Of the outcomes of successive pulses, beyond what the family's law has: none."""
        return 0.0

    @property
    def temperature(self) -> tuple[float, float]:
        """Relative change of the bias per K, and the standard deviation of the temperature, K: none."""
        return 0.0, 0.0

    # Pulses

    @property
    def read_current(self) -> float:
        """A; write currents lie above it."""
        return float(self.value("read.current"))

    def write_currents(self, width: float, n: int) -> Floats:
        """Amplitude plan: ``n`` evenly spaced write currents, the same for all devices of a width.

        Centred on the nominal i_bias, half-span (6 + spread * i_bias/i0) i0: this covers the curve of each
        individual within the spread.  The lower end is kept above the read current.

        Returns
        -------
        (n,) float64, A, rising

        Raises
        ------
        CardError
            i_bias of this width is not above the read current: no plan exists.
        ValueError
            ``n`` is below 2.
        """
        if n < 2:
            raise ValueError(f"{n} write currents; a curve needs at least 2")
        bias, scale = float(self.i_bias(width)), float(self.i0(width))
        if not bias > self.read_current or not scale > 0:
            raise CardError(
                f"card: i_bias: {bias:.3g} A (i0 {scale:.3g} A) at {width:g} um; "
                f"it has to be above the read current {self.read_current:g} A"
            )
        half_span = REACH * scale + self.spread[0] * bias
        return np.linspace(max(bias - half_span, self.read_current), bias + half_span, n)

    def probability(self, i_write: npt.ArrayLike, i_bias: npt.ArrayLike, i0: npt.ArrayLike, law: Law) -> Floats:
        """Probability that one write pulse switches a reset device, by the law alone."""
        current, bias, scale = (np.asarray(a, dtype=np.float64) for a in (i_write, i_bias, i0))
        return law.probability((current - bias) / scale)

    def measure(
        self, i_bias: float, i0: float, i_write: npt.ArrayLike, cycles: int, rng: np.random.Generator, law: Law
    ) -> Readings:
        """Readings (n, cycles) of a simulated device at n write currents (A)."""
        raise NotImplementedError

    # On a bench; a family without these is simulated only

    def reset_current(self, width: float) -> float:
        """Amplitude of the reset pulse of a width, A; negative."""
        raise CardError(f"card: the family {self.name} is not measured on a bench")

    def of_voltages(self, v_reset: npt.ArrayLike, v_write: npt.ArrayLike) -> Readings:
        """Readings from the voltages (V) that a bench reads after reset and after write."""
        raise CardError(f"card: the family {self.name} is not measured on a bench")

    def with_reset_state(self, state: int) -> Self:
        """The same where reset gives the low (-1) or the high (1) level."""
        raise CardError(f"card: the family {self.name} is not measured on a bench")

    # Decisions

    def levels(self) -> Levels:
        """What the card says of the levels, before a device has shown its own."""
        raise NotImplementedError

    def learn(self, readings: Floats) -> Levels | None:
        """No levels are learned from readings."""
        return None

    def decide(self, readings: Readings, levels: Levels | None = None) -> Decision:
        """Which cycles of one device switched."""
        raise NotImplementedError

    def level_mixture(self, readings: Readings) -> LevelMixture:
        """Levels among the readings after the write pulse, the last of each cycle; what is between is not known."""
        return LevelMixture(level_means(readings[-1]), np.nan)

    def measured(self, devices: MeasuredDevices, source: str) -> Card:
        """A card in which these devices are the individuals."""
        raise CardError(f"card: no card is made of measured devices of the family {self.name}")
