"""Persistence as a sweep: the switching curve of each device on several days.

The bias current of a device walks from day to day on one path, whichever days are asked for (see
``drift`` of its family): a day added to the axis later lies on the path of the days that are there.
"""

from __future__ import annotations

from typing import Any

from spinneurons.neurons.checked_fit import checked_fit
from spinneurons.neurons.outputs import fitted
from spinneurons.neurons.parameters import CURVES, DEVICE, LINK, READOUT, WIDTH, card_of
from spinneurons.neurons.registry import family_of
from spinsweep.axis import Axis
from spinsweep.outputs import Dim, Output
from spinsweep.parameters import Parameter
from spinsweep.spec import Sweep, per_cell
from spinsweep.views import View

NUMBERS = ("i_bias", "i_bias_stderr", "i0", "i0_stderr", "deviance")
"""Of the fitted curve of each day."""


@per_cell
def persist(cell: Any) -> dict[str, Any]:
    """Counts and fitted curve of one device on one day.

    Streams: ``readings`` of the cycles, of this day; ``drift`` of the daily steps, shared by the days of a
    device.
    """
    p, family, day = cell.params, family_of(cell.params["card"]), cell["day"]
    law = family.law(p["link"])
    i_bias, i0 = family.individual(cell["width"], cell["device"])
    steps = cell.rng("drift", axes=("width", "device")).standard_normal(day)
    i_bias *= float(family.drift(day, steps))
    i_write = family.write_currents(cell["width"], p["currents"])
    decision = family.decide(family.measure(i_bias, i0, i_write, p["cycles"], cell.rng("readings"), law))
    k, n = decision.switched.sum(axis=1), decision.valid.sum(axis=1)
    curve = checked_fit(k, n, i_write, law)
    return {"i_write": i_write, "switches": k, "trials": n, **{name: getattr(curve, name) for name in NUMBERS}}


SWEEP = Sweep(
    name="persistence",
    title="Switching curves of 36 Hall bars, and again after seven days",
    axes=(WIDTH, DEVICE, Axis("day", (0, 7), unit="day", long_name="day", low=0, high=3650)),
    dims=(Dim("current", "currents", long_name="write current, index"),),
    outputs=(
        Output("i_write", ("current",), unit="A", long_name="write current"),
        Output("switches", ("current",), "int64", long_name="cycles that switched"),
        Output("trials", ("current",), "int64", long_name="valid cycles"),
        *fitted(NUMBERS),
    ),
    parameters=(
        Parameter("currents", 28, help="write currents of each device", low=2, high=10_000),
        Parameter("cycles", 100, help="cycles at each current", low=1, high=1_000_000),
        LINK,
        card_of(*CURVES, *READOUT, "switching.link", "drift", individuals=("i_bias", "i0")),
    ),
    function=persist,
    views=(View("i_bias", x="width", lines="day", over=("device",)),),
    figures="spinneurons.persistence.figures:FIGURES",
    source="Islam et al. 2024, Fig. S4",
)
