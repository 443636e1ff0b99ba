"""What an import understood, in words: one line for each device, and the cycles that are not used by their reason."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spinneurons.characterization.analysis import without_levels
from spinneurons.characterization.decisions import DecisionRule, DeviceDecision
from spinneurons.characterization.fit_table import known_goodness, status_text
from spinneurons.characterization.goodness import BOOTSTRAP, Goodness
from spinneurons.characterization.imported import ImportedLog
from spinneurons.logs.cycles import Cycles
from spinneurons.neurons import card as cards
from spinneurons.neurons.checked_fit import checked_fit
from spinneurons.neurons.family import Law
from spinneurons.neurons.fit import Fit
from spinneurons.neurons.hall_bar import HallBar
from spinneurons.neurons.registry import family_of
from spinsweep.axis import Value, key
from spinsweep.spec import Sweep

MOST_DEVICES = 60
"""Lines of the table; further devices are counted."""
THICKNESS = 5.0
"""Of the layer that carries the current, nm, where the files do not say it: that of the paper's tantalum."""
LIKELY = 20.0
"""Factor between the current of a device and that of the built-in card beyond which the unit is doubted."""
UNITS = {1e-3: "mA", 1e-6: "uA"}


@dataclass(frozen=True)
class DeviceReport:
    """One cell of an import."""

    coords: Mapping[str, Value]
    width: float
    """um"""
    currents: int
    recorded: int
    """Cycles, or pulses of counts."""
    used: int
    decision: DeviceDecision
    middle: float
    """Current closest to a probability of one half, A; the middle one without any cycle that is used."""
    curve: Fit
    """Through the counts, or why there is none; before the bootstrap, which may yet reject it."""
    quality: Goodness | None
    """None without a curve."""


def reports(sweep: Sweep) -> list[DeviceReport]:
    """What the rows of each cell say."""
    function = sweep.function
    assert isinstance(function, ImportedLog)
    rule = DecisionRule.of(sweep.params["reset_state"], sweep.params["decision"])
    law = family_of(cards.default()).law(sweep.params["link"])
    return [_report(function, coords, rule, law) for coords in function.cells()]


def _report(function: ImportedLog, coords: Mapping[str, Value], rule: DecisionRule, law: Law) -> DeviceReport:
    one = function.log.sel({name: coords[name] for name in function.axes})
    decision = function.decision(coords, rule)
    current = one["i_write"].values
    k, n = decision.switched.sum(-1), decision.valid.sum(-1)
    seen = np.isfinite(current)
    good = seen & (n > 0)
    middle = float(np.median(current[seen]))
    if good.any():
        p = k[good] / n[good]
        middle = float(current[good][np.argmin(np.abs(p - 0.5))])
    recorded = int(n.sum()) if decision.method == "counts" else int(one["recorded"].sum())
    if decision.reason:
        curve = without_levels(decision.decision, function.mixture(coords, decision))
    else:
        curve = checked_fit(k, n, current, law)
    quality = None if curve.reason else known_goodness(
        tuple(k.tolist()), tuple(n.tolist()), tuple(current.tolist()), (curve.i_bias, curve.i0), law,
        tuple(other for other in family_of(cards.default()).laws if other.name != law.name),
    )  # fmt: skip
    return DeviceReport(
        coords, float(one["width"]), int(seen.sum()), recorded, int(n.sum()), decision, middle, curve, quality
    )


def table(log: Cycles, devices: list[DeviceReport]) -> Iterator[str]:
    """Lines of the table, aligned, and the sums."""
    further = [name for name in devices[0].coords if name not in ("width", "device")]
    what = "pulses" if log.counted else "cycles"
    fit = ["I_bias (mA)", "deviance/dof", "p"]
    rows = [["width", "device", *further, "currents", what, "used", "levels", *fit, "not used"]]
    for device in devices[:MOST_DEVICES]:
        place = [key(device.coords[name]) for name in further]
        rows.append([
            f"{device.width:g} um", key(device.coords["device"]), *place, str(device.currents), str(device.recorded),
            str(device.used), _levels(device.decision), *_fit(device), _unused(device.decision.unused),
        ])  # fmt: skip
    sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(size) for cell, size in zip(row, sizes, strict=True)).rstrip()
    if len(devices) > MOST_DEVICES:
        yield f"and {len(devices) - MOST_DEVICES} more"
    fitted = [device for device in devices if device.quality is not None]
    if any(device.quality.p_method == BOOTSTRAP for device in fitted if device.quality):
        yield "* expected counts are too small for chi-square: parametric bootstrap"
    recorded, used = (sum(getattr(device, name) for device in devices) for name in ("recorded", "used"))
    counts: Counter[str] = Counter()
    for device in devices:
        counts.update(device.decision.unused)
    reasons = f"; not used: {_unused(counts)}" if counts else ""
    bad = sum(device.quality.is_bad for device in fitted if device.quality)
    currents = [float(f(log.frame["i_write"])) * 1e3 for f in (np.min, np.max)]
    yield (
        f"{len(devices)} curves, {used} of {recorded} {what} used{reasons}; currents from {currents[0]:.4g} to "
        f"{currents[1]:.4g} mA; {len(fitted)} with a fit, {bad} of these a bad one"
    )


def _fit(device: DeviceReport) -> tuple[str, str, str]:
    """Bias current, deviance and p-value; or in place of the first, why there is no curve."""
    if device.quality is None:
        return status_text(device.curve.status, device.used), "-", "-"
    quality = device.quality
    bad = "  bad" if quality.is_bad else ""
    return f"{1e3 * device.curve.i_bias:.4g}", f"{quality.deviance:.1f}/{quality.dof}", _p_text(quality) + bad


def _p_text(quality: Goodness) -> str:
    """A p-value, with a star where it is of the parametric bootstrap."""
    number = f"{quality.p_value:.2g}" if math.isfinite(quality.p_value) else "-"
    return number + ("*" if quality.p_method == BOOTSTRAP else "")


def _levels(decision: DeviceDecision) -> str:
    if decision.method == "counts":
        return "(counts)"
    levels = decision.levels
    if decision.method == "difference" and not decision.reason:
        return f"step {levels.low if abs(levels.low) > abs(levels.high) else levels.high:.4g} ohm, by difference"
    if math.isnan(levels.low) and math.isnan(levels.high):
        return "none"
    return f"{levels.low:.4g}, {levels.high:.4g} ohm{', by threshold' if decision.method == 'threshold' else ''}"


def _unused(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {reason}" for reason, n in counts.items())


def remarks(devices: list[DeviceReport]) -> Iterator[str]:
    """What the user can do about devices whose cycles are not used."""
    helped: dict[str, list[DeviceReport]] = {}
    for device in devices:
        if device.decision.help:
            helped.setdefault(device.decision.help, []).append(device)
    for help, those in helped.items():
        shown = "; ".join(name(device.coords) for device in those[:3])
        more = f" and {len(those) - 3} more" if len(those) > 3 else ""
        yield f"{shown}{more}: {help}"


def name(coords: Mapping[str, Value]) -> str:
    """A cell in words."""
    texts: dict[str, Any] = {"width": "width {} um", "device": "device {}"}
    return ", ".join(texts.get(n, f"{n} {{}}").format(key(v)) for n, v in coords.items())


def doubts(devices: list[DeviceReport], log: Cycles) -> Iterator[str]:
    """A line if the currents are far from those that the bars' cross-sections make likely.

    A current density is a current over width x thickness.  What is likely is that of the built-in card's bars, of
    tantalum 5 nm thick, at the same width, and up to twenty times less or more.
    """
    nm = THICKNESS if math.isnan(log.thickness) else log.thickness
    model = HallBar(cards.default())
    width = np.array([device.width for device in devices])
    current = np.array([device.middle for device in devices])
    expected = model.i_bias(width) * nm / THICKNESS
    ratio = current / expected
    typical = float(np.median(ratio))
    if 1 / LIKELY <= typical <= LIKELY or typical == 0:
        return
    density = current / (width * 1e-6 * nm * 1e-9)
    likely = expected / (width * 1e-6 * nm * 1e-9)
    thick = f"{nm:g} nm{' (assumed; --constant thickness says it)' if math.isnan(log.thickness) else ''}"
    unit = next((u for factor, u in UNITS.items() if 1 / LIKELY <= typical * factor <= LIKELY), "")
    column = log.columns.get("i_write", "...")
    said = f'--columns \'i_write={{column="{column}", unit="{unit}"}}\''
    remedy = f"; are they in {unit}? Then say {said}" if unit else ""
    yield (
        f"half of the pulses switch at {current.min() * 1e3:.4g} to {current.max() * 1e3:.4g} mA, which is "
        f"{density.min():.2g} to {density.max():.2g} A/m2 through {thick}. Likely is {likely.min() / LIKELY:.2g} to "
        f"{likely.max() * LIKELY:.2g} A/m2, by the built-in device card within a factor of {LIKELY:g}{remedy}"
    )
