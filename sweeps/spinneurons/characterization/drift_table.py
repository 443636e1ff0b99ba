"""The drift of two characterizations as a table: one row a device, with what is said of those without a number."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from spinneurons.characterization.fit_table import status_text
from spinneurons.characterization.goodness import goodness
from spinneurons.neurons.checked_fit import STATUSES
from spinneurons.neurons.cubes import law
from spinneurons.neurons.family import Law
from spinneurons.persistence.analysis import change, joint_p_value
from spinneurons.persistence.figures import day_text

CURRENTS = ("i_bias", "i0")


def rows(pair: xr.Dataset) -> list[dict[str, Any]]:
    """One row for each device that is on either day.

    Parameters
    ----------
    pair : as :func:`spinneurons.persistence.pairs.paired` gives it

    Returns
    -------
    Dicts with ``width_um`` and ``device``; of ``i_bias`` and ``i0`` their values ``_first_A`` and ``_last_A``, and
    the ``_change_percent`` with its 95 % interval ``_change_low_percent`` to ``_change_high_percent``; ``p_value`` of
    no change of either; ``bad_fit``, whether the counts of a day contradict their curve; ``in_first``, ``in_last``
    and ``both``, whether the device was characterized on the days; and ``reason``, why there are no numbers, "" if
    there are
    """
    changes = {name: change(pair, name) for name in CURRENTS}
    p_value, curve = joint_p_value(pair), law(pair)
    present = pair["measured"].any("day").transpose("width", "device").values
    table = []
    for w, d in np.argwhere(present).tolist():
        index = {"width": w, "device": d}
        device = pair.isel(index)
        table.append({
            "width_um": float(device["width"]),
            "device": _name(device),
            **{f"{n}_{end}_A": float(device[n][i]) for n in CURRENTS for i, end in ((0, "first"), (-1, "last"))},
            **{
                f"{n}_change{end}_percent": float(changes[n][key].isel(index))
                for n in CURRENTS
                for key, end in (("change", ""), ("low", "_low"), ("high", "_high"))
            },
            "p_value": float(p_value.isel(index)),
            "bad_fit": any(_is_bad(device.isel(day=day), curve) for day in (0, -1)),
            "in_first": bool(device["measured"][0]),
            "in_last": bool(device["measured"][-1]),
            "both": bool(device["measured"].all()),
            "reason": _reason(device),
        })  # fmt: skip
    return table


def _name(device: xr.Dataset) -> Any:
    name = str(device["name"].item())
    return int(name) if name.isdecimal() else name


def _is_bad(day: xr.Dataset, curve: Law) -> bool:
    """Whether the counts of a device contradict its curve of that day."""
    i_bias, i0 = float(day["i_bias"]), float(day["i0"])
    if not np.isfinite(i_bias * i0):
        return False
    return goodness(day["switches"].values, day["trials"].values, day["i_write"].values, i_bias, i0, curve).is_bad


def _reason(device: xr.Dataset) -> str:
    """Why a device has no drift, in words; "" if it has."""
    days = [day_text(device["day"][index]) for index in (0, -1)]
    measured = device["measured"].values
    if not measured.all():
        return f"not in {days[1 if measured[0] else 0]}"
    cycles = device["trials"].sum("current").values
    without = [
        f"{status_text(STATUSES[status], n)} in {day}"
        for status, n, day in zip(device["fit_status"].values, cycles, days, strict=True)
        if STATUSES[status] != "fitted"
    ]
    return ", ".join(without)
