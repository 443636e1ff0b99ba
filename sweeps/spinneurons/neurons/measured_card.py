"""A card of Hall bars from measured ones: formulas, individuals, levels, noise, reads and pulses."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from spinneurons.analysis.lines import straight_line
from spinneurons.analysis.scatter import weighted_fit
from spinneurons.neurons import card as cards
from spinneurons.neurons.card import CardError
from spinneurons.neurons.family import Bools, Card, Floats, MeasuredDevices

MOST_SPREAD = 0.9
"""Of a line, by the card's schema: what a device may deviate by at the most."""


def measured_card(card: Mapping[str, Any], devices: MeasuredDevices, source: str) -> Card:
    """The card with what was measured in place of what it said; see :meth:`HallBar.measured`."""
    good = require_fitted(devices)
    widths = np.asarray(devices.width, dtype=np.float64)
    rows = good.any(axis=1)
    changed = copy.deepcopy(dict(card)) | {"title": f"Hall bars as measured: {source}"}
    for section in ("i_bias", "i0"):
        changed[section] = _line_through(section, changed[section], devices, good, source)
    entries: dict[str, tuple[Any, str]] = {
        "devices.widths": ([float(w) for w in widths[rows]], ""),
        "devices.per_width": (int(good.shape[1]), ""),
        **_read_out(changed, devices),
    }
    return completed(changed, entries, devices, good, source)


def completed(
    changed: Card, entries: Mapping[str, tuple[Any, str]], devices: MeasuredDevices, good: Bools, source: str
) -> Card:
    """The card with measured entries, each with what more is said of its source, and with the individuals."""
    for key, (number, more) in entries.items():
        section, name = key.split(".")
        changed[section][name].update(value=number, provenance="measured", source=source + more)
    changed["device"] = individuals(devices, good)
    return cards.validate(changed, "measured card")


def require_spread(section: str, deviation: Floats, devices: MeasuredDevices, reference: str) -> float:
    """The largest relative deviation of a device.

    Parameters
    ----------
    deviation : (W, D), NaN where a device has no fit
    reference : what they deviate from, in words

    Raises
    ------
    CardError
        It is larger than a card can hold.
    """
    spread = float(np.nanmax(np.abs(deviation)))
    if spread > MOST_SPREAD:
        w, d = np.unravel_index(np.nanargmax(np.abs(deviation)), deviation.shape)
        raise CardError(
            f"measured card: {section}: width {np.asarray(devices.width)[w]:g} um, device {devices.labels[d]} is "
            f"{deviation[w, d]:+.0%} from {reference}, and a card holds a spread up to {MOST_SPREAD:.0%}; leave that "
            "device out"
        )
    return spread


def fitted_currents(section: str, devices: MeasuredDevices, good: Bools) -> tuple[Floats, Floats]:
    """(W, D) currents and their standard errors, A, NaN where a device is not good."""
    current, error = (
        np.where(good, np.asarray(getattr(devices, section + end), np.float64), np.nan) for end in ("", "_stderr")
    )
    return current, error


def _read_out(card: Mapping[str, Any], devices: MeasuredDevices) -> dict[str, tuple[Any, str]]:
    """Values of the card's entries on levels, reads and pulses that the recording says, and more on their source.

    A level is offset +- amplitude * sqrt(1 - tilt^2), so that the amplitude follows from the card's own tilt. Noise
    in ohm is one in V at the read current; where that is not known, at the card's, so that the noise in ohm is right.
    """
    law = "" if devices.law == cards.value(card, "switching.link") else devices.law
    entries: dict[str, tuple[Any, str]] = {
        "switching.link": (law or None, ": the law that was fitted"),
        "switching.pulse_width": (devices.pulse_width, ""),
        "hall.reset_state": (devices.reset_state, ""),
        "read.current": (devices.read_current, ""),
    }
    if (levels := devices.levels) is not None:
        read_current = devices.read_current or cards.value(card, "read.current")
        amplitude = (levels.high - levels.low) / 2 / math.sqrt(1 - cards.value(card, "hall.tilt") ** 2)
        shown = f": levels {levels.low:.4g} and {levels.high:.4g} ohm"
        entries |= {
            "hall.amplitude": (amplitude, shown),
            "hall.offset": (levels.threshold, shown),
            "read.noise": (levels.noise * read_current, f": {levels.noise:.3g} ohm at {read_current:.3g} A"),
        }
    return {key: entry for key, entry in entries.items() if entry[0] is not None}


def require_fitted(devices: MeasuredDevices) -> Bools:
    """(W, D), which devices have a fit.

    Raises
    ------
    CardError
        None has, or their numbers have different shapes.
    """
    try:
        good = devices.fitted
    except ValueError as error:
        raise CardError(f"measured card: {error}") from None
    if not good.any():
        raise CardError(
            "measured card: no width has a fitted device; characterize devices at currents from where none of them "
            "switches to where all do"
        )
    return good


def individuals(devices: MeasuredDevices, good: Bools) -> list[dict[str, float | int]]:
    """The list ``device`` of a card: each device that is good, with its numbers."""
    widths = np.asarray(devices.width, np.float64)
    numbers = {name: np.asarray(getattr(devices, name), np.float64) for name in MeasuredDevices.FITTED}
    return [
        {
            "width_um": float(widths[w]),
            "index": int(devices.labels[d]),
            **{n: float(a[w, d]) for n, a in numbers.items()},
        }
        for w, d in np.argwhere(good)
    ]


def _line_through(
    section: str, entries: Mapping[str, Any], devices: MeasuredDevices, good: Bools, source: str
) -> dict[str, Any]:
    """The section of a card with the straight line through the currents of the devices that are good.

    Each device is weighed by its error and by the spread that the devices show about the line.  Devices of one width
    have no slope: the line is their mean.
    """
    widths = np.asarray(devices.width, np.float64)
    currents, errors = fitted_currents(section, devices, good)
    if good.any(axis=1).sum() > 1:
        line = straight_line(widths[:, None], currents, errors, proportional=True)
        intercept, slope = line.intercept, line.slope
    else:
        mean = weighted_fit(np.ones((int(good.sum()), 1)), currents[good], errors[good], proportional=True)
        intercept, slope = float(mean.coefficients[0]), 0.0
    if np.isnan(intercept + slope):
        raise CardError(
            f"measured card: {section}: the straight line through the devices is not above 0 A at each width, and no "
            "card can hold it; characterize more of the narrow bars"
        )
    deviation = currents / (intercept + slope * widths)[:, None] - 1
    spread = require_spread(section, deviation, devices, "the line")
    return {
        key: {**entries[key], "value": number, "provenance": "measured", "source": source}
        for key, number in {"intercept": intercept, "slope": slope, "spread": spread}.items()
    }
