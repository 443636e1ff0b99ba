"""Numbers of the Hall bars that a card describes: currents of a width and of an individual, probabilities,
resistance.

``card`` is always a mapping from :mod:`spinneurons.device.card`; widths are in um, currents in A, resistances in
ohm. Numbers only: nothing here knows a sweep, a file or a figure.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from spinneurons.device.card import CardError, device_key, value
from spinneurons.device.link import probability, window_factor, z_of

Card = Mapping[str, Any]
Floats = npt.NDArray[np.float64]

REACH = 6.0
"""Half-span of the amplitude plan in i0, beyond the spread of I_bias: p = 0.25 % and 99.75 %."""


def i_bias(card: Card, width: npt.ArrayLike) -> Floats:
    """Nominal current of switching probability 1/2 at ``width`` (um, any shape), A.

    I_bias = intercept + slope * width.  Source: linear trend of Fig. 3(a).
    """
    return np.asarray(
        value(card, "i_bias.intercept") + value(card, "i_bias.slope") * np.asarray(width, dtype=np.float64)
    )


def i0(card: Card, width: npt.ArrayLike) -> Floats:
    """Nominal scale current of the switching curve at ``width`` (um, any shape), A; it falls with the width.

    i0 = intercept + slope * width.  Source: linear window of Fig. 3(b).  Fig. S6 shows 1/i0, a gain, as "I0".
    """
    return np.asarray(value(card, "i0.intercept") + value(card, "i0.slope") * np.asarray(width, dtype=np.float64))


def relative_energy(card: Card, width: npt.ArrayLike) -> Floats:
    """Energy of a write pulse relative to the card's widest bar, (i0/i0_widest)^2.  Source: Fig. 3(d)."""
    return np.asarray((i0(card, width) / i0(card, max(value(card, "devices.widths")))) ** 2)


def stream(card: Card, width: float, device: int, name: str) -> np.random.Generator:
    """The random stream ``name`` of one individual: the card's seed, its width and index give it, nothing
    else."""
    text = json.dumps(["device", value(card, "devices.seed"), device_key(width, device), name])
    key = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little")))


def device_parameters(card: Card, width: float, device: int) -> tuple[float, float]:
    """(I_bias, i0) in A of one individual.

    A ``[[device]]`` entry of the card is taken as it is; otherwise each nominal value times 1 + spread * u, u
    uniform on [-1, 1) from the individual's own stream.  Source: device-to-device variation, main text and
    Fig. 3(a).
    """
    wanted = device_key(width, device)
    for entry in card.get("device", ()):
        if device_key(entry["width_um"], entry["index"]) == wanted:
            return entry["i_bias"], entry["i0"]
    width = float(f"{width:.12g}")  # 0.1 * 3 is 0.3
    u = stream(card, width, device, "spread").uniform(-1.0, 1.0, 2)
    bias = i_bias(card, width) * (1 + value(card, "i_bias.spread") * u[0])
    scale = i0(card, width) * (1 + value(card, "i0.spread") * u[1])
    return float(bias), float(scale)


def switching_probability(
    i_write: npt.ArrayLike, i_bias: npt.ArrayLike, i0: npt.ArrayLike, link: str = "logistic"
) -> Floats:
    """Probability that one write pulse switches a reset device.

        p = 1/(1 + exp(-(I - I_bias)/i0))        (logistic; see spinneurons.device.link for cloglog)

    Parameters
    ----------
    i_write, i_bias, i0 : arrays that broadcast together, A; i0 > 0
    link : "logistic" or "cloglog"

    Returns
    -------
    float64 array, 0 to 1

    Source: the sigmoid fitted in Fig. 2(c-k) of the paper.
    """
    current, bias, scale = (np.asarray(a, dtype=np.float64) for a in (i_write, i_bias, i0))
    return probability((current - bias) / scale, link)


def pulse_probability(
    card: Card, i_write: npt.ArrayLike, i_bias: npt.ArrayLike, i0: npt.ArrayLike, link: str = "logistic"
) -> Floats:
    """``switching_probability`` under the card's rule that no current up to the read current switches."""
    p = switching_probability(i_write, i_bias, i0, link)
    if value(card, "read.never_switches"):
        p = np.where(np.abs(i_write) <= value(card, "read.current"), 0.0, p)
    return p


def window(i0: npt.ArrayLike, link: str = "logistic") -> Floats:
    """Width in A of the stochastic window, 0.01 % to 99.9 %: 16.117 i0 for the logistic.  Source: Fig.
    3(b)."""
    return np.asarray(window_factor(link) * np.asarray(i0, dtype=np.float64))


def hall_resistance(state: npt.ArrayLike, card: Card, noise: npt.ArrayLike = 0.0) -> Floats:
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
    level = value(card, "hall.amplitude") * np.sqrt(1 - value(card, "hall.tilt") ** 2)
    noise_ohm = value(card, "read.noise") / value(card, "read.current")
    return np.asarray(value(card, "hall.offset") + np.asarray(state) * level + np.asarray(noise) * noise_ohm)


def write_currents(card: Card, width: float, n: int) -> Floats:
    """Amplitude plan: ``n`` evenly spaced write currents, the same for all devices of a width.

    Centred on the nominal I_bias, half-span (6 + spread * I_bias/i0) i0, so that each individual within the
    spread has its curve covered.  The lower end is kept above the read current.

    Returns
    -------
    (n,) float64, A, rising

    Raises
    ------
    CardError
        I_bias of this width is not above the read current, so that no plan exists.
    ValueError
        ``n`` is below 2.
    """
    if n < 2:
        raise ValueError(f"{n} write currents; a curve needs 2 at least")
    bias, scale = float(i_bias(card, width)), float(i0(card, width))
    floor = value(card, "read.current")
    if not bias > floor or not scale > 0:
        raise CardError(
            f"card: i_bias: {bias:.3g} A (i0 {scale:.3g} A) at {width:g} um; "
            f"it has to be above the read current {floor:g} A"
        )
    half_span = REACH * scale + value(card, "i_bias.spread") * bias
    return np.linspace(max(bias - half_span, floor), bias + half_span, n)


def reset_current(card: Card, width: float) -> float:
    """Amplitude of the reset pulse, A; negative, for it drives the device the other way.

    So large that the individual which is hardest to switch within the spreads still fails to reset with the
    probability ``switching.reset_failure`` at most, were reset and write alike.
    """
    bias = float(i_bias(card, width) * (1 + value(card, "i_bias.spread")))
    scale = float(i0(card, width) * (1 + value(card, "i0.spread")))
    failure: float = value(card, "switching.reset_failure")
    margin = z_of(1 - failure) * scale
    return -(bias + margin)


def drift(card: Card, days: npt.ArrayLike, normals: npt.ArrayLike) -> Floats:
    """Factor on I_bias after whole days: a random walk of its logarithm with daily steps.

        factor(d) = exp(sd * sqrt(1/period) * (n_1 + ... + n_d)),        factor(0) = 1

    All days are points of one path: the first ``d`` numbers decide day ``d``, whichever other days are asked
    for.

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
    sd = value(card, "drift.sd") * np.sqrt(1 / value(card, "drift.period"))
    return np.asarray(np.exp(sd * path[..., day.astype(np.int64)]))
