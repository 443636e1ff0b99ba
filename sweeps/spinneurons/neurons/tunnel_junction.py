"""The superparamagnetic tunnel junction, or p-bit: two states between which heat switches it, biased by a current.

No pulse resets it.  A cycle is a bias current and one reading of the resistance, low in the parallel state P and high
in the antiparallel one AP; it counts as switched where it is AP.  Each state is left at random after a mean time of

    tau_P  = tau0 exp(Delta (1 - (I - I_50)/I_c)),     tau_AP = tau0 exp(Delta (1 + (I - I_50)/I_c))

(Neel and Brown, with barriers that the current changes linearly).  With z = (I - I_50)/i0, i0 = I_c/(2 Delta) and
tau = tau0 exp(Delta), the mean time in either state at I_50, these are tau exp(-z/2) and tau exp(z/2), and

    P(AP) = tau_AP/(tau_P + tau_AP) = 1/(1 + exp(-z)),     rho = exp(-dt (1/tau_P + 1/tau_AP))

is the correlation of two samples of one current that are dt apart.  So the law is a logistic, and i_bias is I_50.

Limits: the two barriers are there for |I - I_50| < I_c, that is |z| < 2 Delta, and bend before that; heating by the
current, which shortens both times alike and leaves P(AP), is not in the model; nor is a resistance that depends on
the bias.  The barrier is the same at each diameter, and with it both currents go as the area.

Sources: L. Neel, Ann. Geophys. 5, 99 (1949); W. F. Brown, Phys. Rev. 130, 1677 (1963); T. Funatsu et al., Nat.
Commun. 13, 4079 (2022), for the times of both states against current and field; L. Schnitzspan et al., arXiv
2301.05694, for heating.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from spinneurons.neurons import card as cards
from spinneurons.neurons import levels as two_levels
from spinneurons.neurons.base import Family
from spinneurons.neurons.card import CardModel, Entry, NotNegative, Positive, Strictly, Unit
from spinneurons.neurons.family import (
    Bools,
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
from spinneurons.neurons.laws import LOGISTIC
from spinneurons.neurons.measured_card import MOST_SPREAD, completed, fitted_currents, require_fitted, require_spread

if TYPE_CHECKING:
    from spinneurons.neurons.family import NeuronFamily

DEFAULT_CARD = Path(__file__).parent / "data" / "tunnel_junction.toml"
Spread = Annotated[Entry[Annotated[NotNegative, Field(le=MOST_SPREAD)]], Unit("1")]

# The card


class Balance(Strictly):
    """Where both states are equally likely: current density, and how far a device deviates from it at most."""

    density: Annotated[Entry[Positive], Unit("A/um^2")]
    """Current density at which both states are equally likely."""
    spread: Spread
    """Largest deviation of a device, as a share of it."""


class Torque(Strictly):
    """Distance from there to where the current leaves no barrier; and the spread of i0, which goes with it."""

    critical_density: Annotated[Entry[Positive], Unit("A/um^2")]
    """Current density, from the balance on, that leaves no barrier."""
    spread: Spread
    """Largest deviation of a device, as a share of it."""


class Dwell(Strictly):
    """Mean time in either state where both are equally likely, and the time between two attempts to leave it."""

    time: Annotated[Entry[Positive], Unit("s")]
    """Mean time in either state at the balance."""
    attempt_time: Annotated[Entry[Positive], Unit("s")]
    """Between two attempts to leave a state."""


class Sampling(Strictly):
    """Time between two samples."""

    interval: Annotated[Entry[Positive], Unit("s")]
    """Between two samples."""


class Junction(Strictly):
    """Resistance of the parallel state, and by what share the antiparallel one is higher."""

    resistance: Annotated[Entry[Positive], Unit("ohm")]
    """Of the parallel state."""
    magnetoresistance: Annotated[Entry[Positive], Unit("1")]
    """By what share the antiparallel state is higher."""


class JunctionRead(Strictly):
    """Least bias current at which the states can be read, and the noise of a reading."""

    current: Annotated[Entry[Positive], Unit("A")]
    """Least bias current at which the states can be read."""
    noise: Annotated[Entry[NotNegative], Unit("ohm")]
    """Standard deviation of a reading."""


class TunnelJunctionCard(CardModel):
    """The card of superparamagnetic tunnel junctions.

    A barrier is left in both states without a current, unless the densities are measured.
    """

    balance: Balance
    torque: Torque
    dwell: Dwell
    sampling: Sampling
    junction: Junction
    read: JunctionRead

    @model_validator(mode="after")
    def _check_barrier(self) -> Self:
        time, attempt = self.dwell.time.value, self.dwell.attempt_time.value
        if not time > attempt:
            raise ValueError(
                f"dwell.time: value {time:g} s; it has to be above dwell.attempt_time, {attempt:g} s: the barrier is "
                "ln(time/attempt_time)"
            )
        density, critical = self.balance.density, self.torque.critical_density
        measured = density.provenance == critical.provenance == "measured"
        if not measured and not density.value < critical.value:
            raise ValueError(
                f"balance.density: value {density.value:g} A/um^2; it has to be below torque.critical_density, "
                f"{critical.value:g}: without a current the antiparallel state has no barrier otherwise"
            )
        return self


@cache
def _default() -> Card:
    return cards.load(DEFAULT_CARD)


# Samples


class JunctionDraws(NamedTuple):
    """The random numbers of a measurement, each (n, cycles) float64."""

    kept: Floats
    """A state is kept where this is below the correlation."""
    state: Floats
    """Otherwise it is drawn anew: AP where this is below the probability."""
    noise: Floats


def draw_samples(rng: np.random.Generator, n: int, cycles: int) -> JunctionDraws:
    """All random numbers of ``n`` currents and ``cycles`` samples, in this order: kept, state, noise."""
    kept, state = rng.random((2, n, cycles))
    return JunctionDraws(kept, state, rng.standard_normal((n, cycles)))


class DwellTimes(NamedTuple):
    """Mean times in the two states, s."""

    parallel: Floats
    antiparallel: Floats


class TunnelJunction(Family):
    """The superparamagnetic tunnel junctions that a card describes."""

    name = "superparamagnetic-junction"
    laws: ClassVar[Sequence[Law]] = (LOGISTIC,)
    readings: ClassVar[Sequence[CycleReading]] = (
        CycleReading("r_junction", "ohm", "Junction resistance", "under bias"),
    )
    width = Size("junction diameter", 0.005, 1.0)
    schema: ClassVar[type[CardModel]] = TunnelJunctionCard

    @classmethod
    def default(cls) -> Card:
        """Five diameters of four junctions (``data/tunnel_junction.toml``)."""
        return copy.deepcopy(_default())

    # Currents

    @property
    def barrier(self) -> float:
        """Delta = ln(tau/tau0), in k_B T, where both states are equally likely."""
        return float(np.log(self.value("dwell.time") / self.value("dwell.attempt_time")))

    def i_bias(self, width: npt.ArrayLike) -> Floats:
        """Nominal current I_50 at which both states are equally likely at ``width`` (diameter, um, any shape), A."""
        return np.asarray(self.value("balance.density") * area(width))

    def i0(self, width: npt.ArrayLike) -> Floats:
        """Nominal scale current at ``width`` (diameter, um, any shape), A: i0 = I_c/(2 Delta)."""
        return np.asarray(self.value("torque.critical_density") * area(width) / (2 * self.barrier))

    @property
    def spread(self) -> tuple[float, float]:
        """Of I_50 and i0, uniform."""
        return self.value("balance.spread"), self.value("torque.spread")

    # Telegraph

    def dwell_times(self, z: npt.ArrayLike) -> DwellTimes:
        """Mean times in both states at the reduced drive ``z`` (any shape), s."""
        half = np.asarray(z, np.float64) / 2
        time = self.value("dwell.time")
        return DwellTimes(np.asarray(time * np.exp(-half)), np.asarray(time * np.exp(half)))

    def correlation(self, z: npt.ArrayLike) -> Floats:
        """rho of two successive samples at the reduced drive ``z`` (any shape): that of a telegraph process.

            rho = exp(-dt (1/tau_P + 1/tau_AP))

        Source: S. Machlup, J. Appl. Phys. 25, 341 (1954).
        """
        times = self.dwell_times(z)
        rate = 1 / times.parallel + 1 / times.antiparallel
        return np.asarray(np.exp(-self.value("sampling.interval") * rate))

    def measure(
        self,
        i_bias: float,
        i0: float,
        i_write: npt.ArrayLike,
        cycles: int,
        rng: np.random.Generator,
        law: Law = LOGISTIC,
    ) -> Readings:
        """Readings of ``cycles`` successive samples at each bias current of one device, all at once.

        The state is that of a Markov chain, P(AP | before) = p + rho ([before is AP] - p): with probability rho the
        state before, else one drawn with p.  The first sample of a current is drawn: the device has settled there.

        Parameters
        ----------
        i_bias, i0 : A, of this individual
        i_write : (n,) A
        cycles : number of samples at each current
        rng : the stream of this measurement, used up in the order of :func:`draw_samples`

        Returns
        -------
        r_junction (n, cycles) float32, ohm
        """
        currents = np.asarray(i_write, dtype=np.float64)
        draws = draw_samples(rng, currents.size, cycles)
        p = self.probability(currents, i_bias, i0, law)
        with np.errstate(over="ignore"):  # far from I_50 a state is left at once: a rate of inf, a correlation of 0
            rho = self.correlation((currents - i_bias) / i0)
        is_drawn = draws.kept >= rho[:, None]
        is_drawn[:, :1] = True
        last = np.maximum.accumulate(np.where(is_drawn, np.arange(cycles), 0), axis=1)
        antiparallel = np.take_along_axis(draws.state < p[:, None], last, axis=1)
        return (self.resistance(antiparallel, draws.noise).astype(np.float32),)

    # Readings

    def resistance(self, antiparallel: Bools, noise: npt.ArrayLike = 0.0) -> Floats:
        """Resistance as read, ohm; ``noise`` are standard normal numbers."""
        levels = self.levels()
        return np.asarray(np.where(antiparallel, levels.high, levels.low) + np.asarray(noise) * levels.noise)

    def levels(self) -> Levels:
        """The two resistances of the card, the same at each diameter."""
        low = self.value("junction.resistance")
        return Levels(low, low * (1 + self.value("junction.magnetoresistance")), self.value("read.noise"))

    def learn(self, readings: Floats) -> Levels | None:
        """Levels of pooled readings, once both have been seen."""
        return two_levels.learn(readings)

    def decide(self, readings: Readings, levels: Levels | None = None) -> Decision:
        """AP above the midpoint of the device's own levels; of the card's where it shows one level alone."""
        resistance = np.asarray(readings[0], dtype=np.float64)
        if levels is None:
            levels = two_levels.find_levels(resistance)
        if levels.reason:
            levels = self.levels()
        valid = two_levels.is_plausible(resistance, levels)
        with np.errstate(invalid="ignore"):  # a lost sample
            return Decision((resistance > levels.threshold) & valid, valid, levels, "")

    # Other cards

    def measured(self, devices: MeasuredDevices, source: str = "fit of recorded readings") -> Card:
        """A card of measured junctions: the densities of the currents by weighted least squares on the area.

        The times are not measured by curves: they stay, and with them the barrier; i0 gives the critical density.

        Raises
        ------
        CardError
            There is no fitted device, or one is too far from the others for the spread that a card holds.
        """
        fitted = require_fitted(devices)
        rows = fitted.any(axis=1)
        widths = np.asarray(devices.width, np.float64)
        numbers: dict[str, Any] = {
            "devices.widths": [float(w) for w in widths[rows]],
            "devices.per_width": int(fitted.shape[1]),
        }
        for name, key, factor in (
            ("i_bias", "balance.density", 1.0),
            ("i0", "torque.critical_density", 2 * self.barrier),
        ):
            density, spread = _per_area(name, devices, fitted)
            numbers |= {key: factor * density, f"{key.partition('.')[0]}.spread": spread}
        if devices.read_current is not None:
            numbers["read.current"] = devices.read_current
        if (levels := devices.levels) is not None:
            numbers |= {
                "junction.resistance": levels.low,
                "junction.magnetoresistance": levels.high / levels.low - 1,
                "read.noise": levels.noise,
            }
        changed = copy.deepcopy(dict(self.card)) | {"title": f"Tunnel junctions as measured: {source}"}
        return completed(changed, {key: (number, "") for key, number in numbers.items()}, devices, fitted, source)


def area(diameter: npt.ArrayLike) -> Floats:
    """Of a disc, um^2 for um."""
    return np.asarray(np.pi / 4 * np.asarray(diameter, np.float64) ** 2)


def _per_area(name: str, devices: MeasuredDevices, fitted: Bools) -> tuple[float, float]:
    """A current over the area, A/um^2, and the largest relative deviation of a device from it."""
    from spinneurons.analysis.scatter import weighted_fit

    currents, errors = fitted_currents(name, devices, fitted)
    areas = area(devices.width)[:, None]
    columns = np.broadcast_to(areas, fitted.shape)[fitted][:, None]
    fit = weighted_fit(columns, currents[fitted], errors[fitted], proportional=True)
    density = float(fit.coefficients[0])
    return density, require_spread(name, currents / (density * areas) - 1, devices, "that of its area")


if TYPE_CHECKING:
    _is_a_family: type[NeuronFamily] = TunnelJunction
