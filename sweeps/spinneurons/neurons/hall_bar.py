"""The Hall bar: a magnet that a write pulse of spin-orbit torque switches, read by its anomalous Hall resistance.

The family of the paper, with the paper's sigmoid and the curve of one thermally activated barrier.  Widths are in um,
currents in A, resistances in ohm.  :mod:`spinneurons.neurons.hall_bar_reference` has the same pulses one at a time.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from spinneurons.neurons import card as cards
from spinneurons.neurons import levels as two_levels
from spinneurons.neurons.base import Family, with_luck_of_before
from spinneurons.neurons.card import (
    CardModel,
    Entry,
    Flag,
    NotNegative,
    Positive,
    Real,
    Sign,
    Strictly,
    Unit,
    value,
)
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
from spinneurons.neurons.laws import CLOGLOG, LOGISTIC, P_LOW
from spinneurons.neurons.measured_card import MOST_SPREAD, measured_card

if TYPE_CHECKING:
    from spinneurons.neurons.family import NeuronFamily

DEFAULT_CARD = Path(__file__).parent / "data" / "hall_bar.toml"
SHAPE = DEFAULT_CARD.with_name("hall_bar_shape.toml")
"""The section ``bar`` of a card that has none."""
LEAST_RATIO = -float(LOGISTIC.quantile(P_LOW))
"""I_bias/i0 below which the 0.01 % edge of the logistic curve is at a negative current: 9.21."""

# The card


class WidthLine(Strictly):
    """A current against the width, intercept + slope * width, and the largest deviation of a device from it."""

    intercept: Annotated[Entry[Real], Unit("A")]
    """Of the line, at width 0."""
    slope: Annotated[Entry[Real], Unit("A/um")]
    """Of the line, per width."""
    spread: Annotated[Entry[Annotated[NotNegative, Field(le=MOST_SPREAD)]], Unit("1")]
    """Largest deviation of a device from the line, as a share of it."""

    def current_at(self, width: float) -> float:
        """A at ``width`` (um)."""
        return self.intercept.value + self.slope.value * width


class Switching(Strictly):
    """The curve of a write pulse, and the reset pulse."""

    link: Annotated[Entry[Literal["logistic", "cloglog"]], Unit("1")]
    """Form of the switching curve."""
    pulse_width: Annotated[Entry[Positive], Unit("s")]
    """Of write and reset pulses."""
    reset_failure: Annotated[Entry[Annotated[Positive, Field(le=0.5)]], Unit("1")]
    """Largest probability that a reset pulse fails."""


class Hall(Strictly):
    """The Hall resistance of the two states."""

    amplitude: Annotated[Entry[Positive], Unit("ohm")]
    """Half the distance of the two states without a tilt."""
    offset: Annotated[Entry[Real], Unit("ohm")]
    """Middle of the two states."""
    tilt: Annotated[Entry[Annotated[NotNegative, Field(le=0.999)]], Unit("1")]
    """In-plane field over anisotropy field."""
    reset_state: Annotated[Entry[Sign], Unit("1")]
    """State after a reset: -1 has the low resistance, 1 the high one."""


class Read(Strictly):
    """The read pulse."""

    current: Annotated[Entry[Positive], Unit("A")]
    """Of a read."""
    noise: Annotated[Entry[NotNegative], Unit("V")]
    """Standard deviation of a reading."""
    never_switches: Annotated[Entry[Flag], Unit("1")]
    """Whether no current up to the read current switches."""


class Drift(Strictly):
    """Random walk of the logarithm of I_bias."""

    sd: Annotated[Entry[Annotated[NotNegative, Field(le=1)]], Unit("1")]
    """Standard deviation of the logarithm of I_bias after one period."""
    period: Annotated[Entry[Positive], Unit("day")]
    """Time between two characterizations."""


class Use(Strictly):
    """What changes while a device is in use, beside its drift; a card without it has none of this."""

    temperature_coefficient: Annotated[Entry[Real], Unit("1/K")]
    """Relative change of I_bias."""
    temperature_sd: Annotated[Entry[NotNegative], Unit("K")]
    """Of the temperature of a bench or a chip, from week to week."""
    pulse_correlation: Annotated[Entry[Annotated[NotNegative, Field(le=0.999)]], Unit("1")]
    """Of the outcomes of two write pulses that follow each other at one current."""


class BarShape(Strictly):
    """The bar as a resistor, of so many squares or of one length: for the energy of pulses alone."""

    sheet_resistance: Annotated[Entry[Positive], Unit("ohm")]
    """Of one square."""
    squares: Annotated[Entry[Positive], Unit("1")]
    """Between the contacts, where the bars are of one shape."""
    length: Annotated[Entry[Positive], Unit("um")]
    """Between the contacts, where the bars are of one length."""


class HallBarCard(CardModel):
    """The card of Hall bars.

    The 0.01 % edge of the logistic curve has to be at a positive current at each listed width, I_bias/i0 >= 9.21,
    unless both formulas are measured: a measurement is reported, not refused.
    """

    i_bias: WidthLine
    i0: WidthLine
    switching: Switching
    hall: Hall
    read: Read
    drift: Drift
    use: Use | None = None
    bar: BarShape | None = None
    """Of a card without it: :data:`SHAPE`."""

    without_numbers: ClassVar = ("bar",)

    @model_validator(mode="after")
    def _check_curve(self) -> Self:
        formulas = [e for line in (self.i_bias, self.i0) for e in (line.intercept, line.slope)]
        measured = all(entry.provenance == "measured" for entry in formulas)
        for width in self.devices.widths.value:
            bias, scale = self.i_bias.current_at(width), self.i0.current_at(width)
            for key, current in (("i_bias", bias), ("i0", scale)):
                if not current > 0:
                    raise ValueError(
                        f"{key}: {current:.3g} A at {width:g} um; intercept + slope * width has to be above 0"
                    )
            if not measured and bias < LEAST_RATIO * scale:
                raise ValueError(
                    f"i0: the 0.01 % edge of the switching curve is at {bias - LEAST_RATIO * scale:.3g} A "
                    f"at {width:g} um, where I_bias/i0 is {bias / scale:.4g}; "
                    f"it has to be at least {LEAST_RATIO:.4g}"
                )
        return self


@cache
def _default() -> Card:
    return cards.load(DEFAULT_CARD)


@cache
def _built_in_shape() -> Card:
    section = tomllib.loads(SHAPE.read_text(encoding="utf-8"))["bar"]
    return {"bar": BarShape.model_validate(section).model_dump()}


# Pulses


class HallBarDraws(NamedTuple):
    """The random numbers of a measurement, each (n, cycles) float64."""

    uniform: Floats
    """A write pulse switches where this is below its probability."""
    noise_reset: Floats
    noise_write: Floats
    kept: Floats | None = None
    """A pulse has the luck of the one before where this is below the correlation of pulses; None without one."""


class HallReadings(NamedTuple):
    """Hall resistances, ohm, each (n, cycles) float32."""

    r_reset: npt.NDArray[np.float32]
    r_write: npt.NDArray[np.float32]


def draw(rng: np.random.Generator, n: int, cycles: int, *, correlated: bool = False) -> HallBarDraws:
    """All random numbers of ``n`` currents and ``cycles`` cycles, in this order: uniforms, reset noise, write
    noise, and of correlated pulses what is kept."""
    uniform = rng.random((n, cycles))
    noise_reset, noise_write = rng.standard_normal((2, n, cycles))
    return HallBarDraws(uniform, noise_reset, noise_write, rng.random((n, cycles)) if correlated else None)


class HallBar(Family):
    """The Hall bars that a card describes."""

    name = "hall-bar"
    laws: ClassVar[Sequence[Law]] = (LOGISTIC, CLOGLOG)
    readings: ClassVar[Sequence[CycleReading]] = (
        CycleReading("r_reset", "ohm", "Hall resistance", "after reset"),
        CycleReading("r_write", "ohm", "Hall resistance", "after write"),
    )
    width = Size("bar width", 0.05, 50.0)
    schema: ClassVar[type[CardModel]] = HallBarCard

    @classmethod
    def default(cls) -> Card:
        """Nine widths of four bars, assumed scale (``data/hall_bar.toml``)."""
        return copy.deepcopy(_default())

    @property
    def stated_law(self) -> str:
        """``switching.link`` of the card."""
        return str(self.value("switching.link"))

    def i_bias(self, width: npt.ArrayLike) -> Floats:
        """Nominal current of switching probability 1/2 at ``width`` (um, any shape), A.

        I_bias = intercept + slope * width.  Source: linear trend of Fig. 3(a).
        """
        return self._line("i_bias", width)

    def i0(self, width: npt.ArrayLike) -> Floats:
        """Nominal scale current of the switching curve at ``width`` (um, any shape), A; it falls with the width.

        i0 = intercept + slope * width.  Source: linear window of Fig. 3(b).  Fig. S6 shows 1/i0, a gain, as "I0".
        """
        return self._line("i0", width)

    def _line(self, section: str, width: npt.ArrayLike) -> Floats:
        width = np.asarray(width, dtype=np.float64)
        return np.asarray(self.value(f"{section}.intercept") + self.value(f"{section}.slope") * width)

    def shape(self, key: str) -> float:
        """``sheet_resistance`` (ohm), ``squares`` or ``length`` (um) of the bar: the card's, else built in."""
        return float(self.value(f"bar.{key}") if "bar" in self.card else value(_built_in_shape(), f"bar.{key}"))

    @property
    def spread(self) -> tuple[float, float]:
        """Of I_bias and i0, uniform."""
        return self.value("i_bias.spread"), self.value("i0.spread")

    def relative_energy(self, width: npt.ArrayLike) -> Floats:
        """Energy of a write pulse relative to the card's widest bar, (i0/i0_widest)^2.  Source: Fig. 3(d)."""
        return np.asarray((self.i0(width) / self.i0(max(self.value("devices.widths")))) ** 2)

    def drift(self, days: npt.ArrayLike, normals: npt.ArrayLike) -> Floats:
        """Factor on I_bias after whole days: a random walk of its logarithm with daily steps.

            factor(d) = exp(sd * sqrt(1/period) * (n_1 + ... + n_d)),        factor(0) = 1

        All days are points of one path: the first ``d`` numbers decide day ``d``, whichever other days are given.

        Parameters
        ----------
        days : whole numbers from 0, shape (d,) or scalar
        normals : (..., m) standard normal numbers, one a day, m >= max(days)

        Returns
        -------
        (..., d) float64 (or (...) for a scalar day), dimensionless

        Source: 0.5 % after seven days, Fig. S4; the law is assumed.
        """
        day = np.asarray(days)
        steps = np.asarray(normals, dtype=np.float64)
        if day.size and (day.min() < 0 or day.max() > steps.shape[-1] or np.any(day != np.floor(day))):
            raise ValueError(f"days {day.tolist()} are not whole numbers from 0 to the {steps.shape[-1]} steps given")
        start = np.zeros((*steps.shape[:-1], 1))
        path = np.concatenate([start, np.cumsum(steps, axis=-1)], axis=-1)
        sd = self.value("drift.sd") * np.sqrt(1 / self.value("drift.period"))
        return np.asarray(np.exp(sd * path[..., day.astype(np.int64)]))

    def drift_deviation(self, days: float) -> float:
        """Standard deviation of the relative change of I_bias in so many days."""
        return float(self.value("drift.sd") * np.sqrt(days / self.value("drift.period")))

    @property
    def pulse_correlation(self) -> float:
        """``use.pulse_correlation`` of the card, else 0."""
        return float(self.value("use.pulse_correlation")) if "use" in self.card else 0.0

    @property
    def temperature(self) -> tuple[float, float]:
        """Relative change of I_bias per K, and the standard deviation of the temperature, K."""
        if "use" not in self.card:
            return 0.0, 0.0
        return float(self.value("use.temperature_coefficient")), float(self.value("use.temperature_sd"))

    def reset_current(self, width: float) -> float:
        """Amplitude of the reset pulse, A; negative, for it drives the device the other way.

        So large that the individual which is hardest to switch within the spreads fails to reset with at most the
        probability ``switching.reset_failure``, if reset and write are alike.
        """
        bias = float(self.i_bias(width) * (1 + self.spread[0]))
        scale = float(self.i0(width) * (1 + self.spread[1]))
        margin = float(LOGISTIC.quantile(1 - self.value("switching.reset_failure"))) * scale
        return -(bias + margin)

    def probability(self, i_write: npt.ArrayLike, i_bias: npt.ArrayLike, i0: npt.ArrayLike, law: Law) -> Floats:
        """Probability that one write pulse switches a reset device; none up to the read current, if the card says so.

        Source: the sigmoid fitted in Fig. 2(c-k) of the paper.
        """
        p = super().probability(i_write, i_bias, i0, law)
        if self.value("read.never_switches"):
            p = np.where(np.abs(i_write) <= self.read_current, 0.0, p)
        return p

    @property
    def reset_state(self) -> int:
        """State after reset: -1, low resistance, or 1."""
        return int(self.value("hall.reset_state"))

    def with_reset_state(self, state: int) -> Self:
        """The same bars with another reset state."""
        card = copy.deepcopy(dict(self.card))
        card["hall"]["reset_state"]["value"] = state
        return type(self)(card)

    @property
    def reading_noise(self) -> float:
        """Standard deviation of one reading, ohm."""
        return float(self.value("read.noise") / self.read_current)

    def resistance(self, state: npt.ArrayLike, noise: npt.ArrayLike = 0.0) -> Floats:
        """Hall resistance of a device in ``state``, as read.

            R = R_off + state * R_A * sqrt(1 - tilt^2) + noise * sigma_V/I_read

        Parameters
        ----------
        state : array of -1 or +1, sign of the perpendicular magnetisation
        noise : standard normal numbers, broadcast with ``state``; 0 for the level itself

        Returns
        -------
        float64 array, ohm

        Source: Fig. 2(b); tilt from equation S2.
        """
        level = self.value("hall.amplitude") * np.sqrt(1 - self.value("hall.tilt") ** 2)
        noise_ohm = np.asarray(noise) * self.reading_noise
        return np.asarray(self.value("hall.offset") + np.asarray(state) * level + noise_ohm)

    def measure(
        self,
        i_bias: float,
        i0: float,
        i_write: npt.ArrayLike,
        cycles: int,
        rng: np.random.Generator,
        law: Law = LOGISTIC,
    ) -> HallReadings:
        """Readings of ``cycles`` cycles at each write current of one device, all at once.

        One cycle: a reset pulse puts the device into its reset state, a read pulse gives ``r_reset``, a write pulse
        switches it or does not, a read pulse gives ``r_write``.  The reset pulse is taken to succeed always; the
        read pulse never switches.

        Parameters
        ----------
        i_bias, i0 : A, of this individual
        i_write : (n,) A
        cycles : number of cycles at each current
        rng : the stream of this measurement, used up in the order of :func:`draw`

        Returns
        -------
        r_reset, r_write (n, cycles) float32, ohm

        Source: protocol of the main text and Fig. 2(b).
        """
        currents = np.asarray(i_write, dtype=np.float64)
        draws = draw(rng, currents.size, cycles, correlated=self.pulse_correlation > 0)
        p, uniform = self.probability(currents, i_bias, i0, law), draws.uniform
        if draws.kept is not None:
            uniform = with_luck_of_before(uniform.ravel(), draws.kept.ravel() < self.pulse_correlation)
        state = np.where(uniform.reshape(draws.uniform.shape) < p[:, None], -self.reset_state, self.reset_state)
        r_reset = self.resistance(self.reset_state, draws.noise_reset)
        r_write = self.resistance(state, draws.noise_write)
        return HallReadings(r_reset.astype(np.float32), r_write.astype(np.float32))

    def of_voltages(self, v_reset: npt.ArrayLike, v_write: npt.ArrayLike) -> HallReadings:
        """Hall resistances from the Hall voltages at the read current."""
        current = self.value("read.current")
        return HallReadings(*((np.asarray(v) / current).astype(np.float32) for v in (v_reset, v_write)))

    # Decisions

    def levels(self) -> Levels:
        """The two resistances of the card."""
        low, high = self.resistance(np.array([-1, 1]))
        return Levels(float(low), float(high), self.reading_noise)

    def learn(self, readings: Floats) -> Levels | None:
        """Levels of pooled readings, once both have been seen."""
        return two_levels.learn(readings)

    def decide(self, readings: Readings, levels: Levels | None = None) -> Decision:
        """Which cycles switched; see :func:`spinneurons.neurons.levels.decide`."""
        r_reset, r_write = readings
        return two_levels.decide(r_reset, r_write, self.reset_state, levels)

    def level_mixture(self, readings: Readings) -> LevelMixture:
        """Levels among all readings, and the share of the written ones between the outer two."""
        r_reset, r_write = readings
        pooled = np.concatenate([np.ravel(r_reset), np.ravel(r_write)])
        return LevelMixture(two_levels.level_means(pooled), two_levels.intermediate_share(r_reset, r_write))

    # Other cards

    def with_ratios(self, wide: float, narrow: float) -> Card:
        """The card with I_bias/i0 equal to ``wide`` at its widest and ``narrow`` at its narrowest bar.

        Only I_bias changes; i0 stays, and with it the energy ratio.  How the ratio depends on the width is the
        main assumption of the card: show results along an axis of it as well as along one of the width.
        """
        changed = copy.deepcopy(dict(self.card))
        last, first = max(self.value("devices.widths")), min(self.value("devices.widths"))
        scale = {w: self.value("i0.intercept") + self.value("i0.slope") * w for w in (last, first)}
        slope = (wide * scale[last] - narrow * scale[first]) / (last - first)
        source = f"I_bias/i0 set to {wide:g} at {last:g} um and {narrow:g} at {first:g} um"
        for key, number in (("slope", slope), ("intercept", wide * scale[last] - slope * last)):
            changed["i_bias"][key].update(value=number, provenance="assumed", source=source)
        return cards.validate(changed, "card with ratios")

    def measured(self, devices: MeasuredDevices, source: str = "fit of recorded readings") -> Card:
        """A card from measured devices: straight lines against width for the formulas, and each device by itself.

        Devices of one width give constants: the slope is 0.  Levels, noise, read current, pulse width, reset state
        and law are those of the recording, as far as it says them; all other values are this card's.  What was
        measured says "measured"; a spread is the largest relative deviation of a device from its line.

        Parameters
        ----------
        source : one line that says which recording

        Raises
        ------
        CardError
            There is no fitted device, or the lines are not positive at some width.

        Source: linear fits of Fig. 3(a, b) of the paper.
        """
        return measured_card(self.card, devices, source)


if TYPE_CHECKING:
    _is_a_family: type[NeuronFamily] = HallBar
