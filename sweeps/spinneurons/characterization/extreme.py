"""Devices that are far from the line of the others."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spinneurons.neurons.card import CardError
from spinneurons.neurons.family import Bools, Floats, MeasuredDevices, NeuronFamily
from spinneurons.neurons.registry import family_of

FAR = 5.0
"""Robust standard deviations of the others beyond which a device is extreme."""
CANDIDATES = 16
"""Devices that deviate most, which are looked at."""
MOST = 10
"""Extreme devices that are named."""


class Extreme(NamedTuple):
    """One current of a device, which the others do not make likely."""

    place: tuple[int, int]
    """Index of width and device."""
    quantity: str
    """i_bias or i0."""
    deviation: float
    """From the line of the others, as a share of it."""


def without(devices: MeasuredDevices, places: npt.ArrayLike) -> MeasuredDevices:
    """The devices without some, (n, 2) indices of width and device."""
    left = np.array(devices.i_bias, np.float64)
    left[tuple(np.asarray(places, int).reshape(-1, 2).T)] = np.nan
    return replace(devices, i_bias=left)


def extremes(family: NeuronFamily, devices: MeasuredDevices) -> list[Extreme]:
    """Devices whose i_bias or i0 is further from the line of the others than these make likely.

    Each device in turn is held against the family's formula through the others.  They scatter about it by a robust
    standard deviation, 1.4826 times their median absolute deviation, and not less than the typical error of a fit.
    With the error of their line at this width, and of the device's own fit, that is what a device may deviate by.
    The furthest one beyond ``FAR`` of these is extreme, and the rest is looked at again without it: an extreme device
    does not hide another, nor does it make its neighbours extreme.

    Of 60 simulated sets of 3 to 36 devices each, within 5 % of their lines, 0 to 3 % had a device named.  One that
    was 38 % off was named alone in 83 % of the sets with two devices at each of two widths, and in 95 to 100 % of all
    others.
    """
    named: list[Extreme] = []
    while len(named) < MOST:
        rest = without(devices, [one.place for one in named])
        best = max(_deviations(family, rest), default=None)
        if best is None or best[0] <= FAR:
            break
        named.append(best[1])
    return named


def _deviations(family: NeuronFamily, devices: MeasuredDevices) -> list[tuple[float, Extreme]]:
    """Deviation of each candidate, in standard deviations of the others."""
    named = []
    for place in _candidates(family, devices):
        others = without(devices, [place])
        good = others.fitted
        free = int(good.sum()) - min(_widths(good), 2)
        if free < 1 or _widths(good) < min(_widths(devices.fitted), 2):  # the others do not tell a line there
            continue
        if (line := _line(family, others)) is None:
            continue
        leverage = _leverage(np.asarray(devices.width, np.float64), good, place[0])
        for quantity, nominal in line.items():
            value, error = (np.asarray(getattr(devices, quantity + end), np.float64) for end in ("", "_stderr"))
            deviation, relative = value / nominal - 1, error / nominal
            about = deviation[good] - np.median(deviation[good])
            scatter = max(1.4826 * float(np.median(np.abs(about))), float(np.median(relative[good])))
            likely = float(np.hypot(scatter * np.sqrt(1 + leverage), relative[place]))
            if likely > 0 and nominal[place[0], 0] > 0:
                sizes = abs(float(deviation[place])) / likely
                named.append((sizes, Extreme(place, quantity, float(deviation[place]))))
    return named


def _widths(good: Bools) -> int:
    """Number of widths that have a device."""
    return int(good.any(axis=1).sum())


def _leverage(widths: Floats, good: Bools, position: int) -> float:
    """Variance of a line through devices of these widths at one width, over that of a device."""
    x = np.repeat(widths, good.sum(axis=1))
    squares = float(((x - x.mean()) ** 2).sum())
    return 1 / x.size + (float((widths[position] - x.mean()) ** 2) / squares if squares else 0.0)


def _candidates(family: NeuronFamily, devices: MeasuredDevices) -> list[tuple[int, int]]:
    """Places of the fitted devices that are furthest from the line of all, or from their median without one."""
    good = devices.fitted
    line = _line(family, devices)
    furthest = np.zeros(good.shape)
    for quantity in ("i_bias", "i0"):
        value = np.asarray(getattr(devices, quantity), np.float64)
        nominal = np.nanmedian(np.where(good, value, np.nan)) if line is None else line[quantity]
        furthest = np.fmax(furthest, np.abs(np.where(good, value / nominal - 1, 0.0)))
    places = sorted(map(tuple, np.argwhere(good).tolist()), key=lambda place: -furthest[place])
    return [(w, d) for w, d in places[:CANDIDATES]]


def _line(family: NeuronFamily, devices: MeasuredDevices) -> dict[str, Floats] | None:
    """(W, 1) A by quantity: the family's formulas through devices; None where they make no card."""
    try:
        measured = family_of(family.measured(devices, "others"))
    except CardError:
        return None
    widths = np.asarray(devices.width, np.float64)[:, None]
    return {"i_bias": measured.i_bias(widths), "i0": measured.i0(widths)}
