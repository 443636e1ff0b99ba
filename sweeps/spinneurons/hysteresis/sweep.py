"""Hysteresis loops as a sweep: Hall resistance of each bar against perpendicular field, and after write pulses.

The current loop uses the device's own switching curve, so that its width follows from the characterization. The field
loop is that of a nucleus with one barrier; its barrier and fields are assumed, for the paper gives no numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spinneurons.hysteresis import model
from spinneurons.neurons.hall_bar import HallBar
from spinneurons.neurons.parameters import CURVES, DEVICE, HALL_BAR_CARD, HALL_BAR_LINK, WIDTH, card_of
from spinsweep.outputs import Dim, Output
from spinsweep.parameters import Parameter
from spinsweep.spec import Sweep, per_cell
from spinsweep.views import View

LEVELS = ("hall.amplitude", "hall.offset", "hall.tilt")
"""Entries of the card; the state before a loop is that of the first field or current, not that after reset."""
BRANCHES = (1, -1)
"""Rising, falling."""


@per_cell
def loops(cell: Any) -> dict[str, Any]:
    """Both kinds of loop of one device.  Streams: ``field`` and ``current``, states first, then read noise."""
    p, bars, width = cell.params, HallBar(cell.params["card"]), cell["width"]
    field = model.triangle(p["field_limit"], p["steps"])
    barrier = (p["stability"], p["switching_field"], p["dwell"], p["attempt"])
    rng = cell.rng("field")
    up, down = (model.field_probability(sign * field, *barrier) for sign in (1, -1))
    by_field = model.states(up, down, p["cycles"], rng)
    r_field = bars.resistance(by_field, rng.standard_normal(by_field.shape))
    i_bias, i0 = bars.individual(width, cell["device"])
    law = bars.law(p["link"])
    current = model.triangle(model.current_limit(bars, width), p["steps"])
    up, down = (bars.probability(sign * p["in_plane"] * current, i_bias, i0, law) for sign in (1, -1))
    rng = cell.rng("current")
    start = -p["in_plane"]
    by_current = model.states(up, down, p["cycles"], rng, start)
    r_current = bars.resistance(by_current, rng.standard_normal(by_current.shape))
    return {
        "h_z": field,
        "r_field": r_field.astype(np.float32),
        "h_switch": model.reversal(field, by_field),
        "i_write": current,
        "r_current": r_current.astype(np.float32),
        "i_switch": model.reversal(current, by_current, start),
    }


SWEEP = Sweep(
    name="hysteresis",
    title="Hysteresis loops of each Hall bar against perpendicular field and write current",
    axes=(WIDTH, DEVICE),
    dims=(
        Dim("branch", values=BRANCHES, long_name="1 rising, -1 falling"),
        Dim("step", "steps", long_name="step of a branch"),
        Dim("cycle", "cycles", long_name="loop"),
    ),
    outputs=(
        Output("h_z", ("branch", "step"), unit="A/m", long_name="perpendicular field"),
        Output("r_field", ("branch", "step", "cycle"), "float32", "ohm", "Hall resistance in the field"),
        Output("h_switch", ("branch", "cycle"), unit="A/m", long_name="field of reversal"),
        Output("i_write", ("branch", "step"), unit="A", long_name="write current"),
        Output("r_current", ("branch", "step", "cycle"), "float32", "ohm", "Hall resistance after the write pulse"),
        Output("i_switch", ("branch", "cycle"), unit="A", long_name="write current of reversal"),
    ),
    parameters=(
        Parameter("steps", 121, help="steps of a branch", low=2, high=100_000),
        Parameter("cycles", 50, help="loops of each kind", low=1, high=1_000_000),
        Parameter("in_plane", 1, help="sign of the in-plane field: 1, positive currents write up", choices=(-1, 1)),
        Parameter("field_limit", 2.0e4, "A/m", "largest perpendicular field; assumed", low=1, high=1e7),
        Parameter("switching_field", 2.0e4, "A/m", "field without barrier; assumed", low=1, high=1e7),
        Parameter("stability", 60.0, help="barrier without field, in kB T; assumed", low=1, high=1e6),
        Parameter("dwell", 0.1, "s", "time at each field; assumed", low=1e-9, high=1e6),
        Parameter("attempt", 1e9, "1/s", "attempt frequency; assumed", low=1e6, high=1e13),
        HALL_BAR_LINK,
        card_of(*CURVES, *LEVELS, "read", "switching.link", individuals=("i_bias", "i0"), of=HALL_BAR_CARD),
    ),
    function=loops,
    views=(
        View("h_switch", x="width", lines="branch", over=("device", "cycle")),
        View("i_switch", x="width", lines="branch", over=("device", "cycle")),
    ),
    figures="spinneurons.hysteresis.figures:FIGURES",
    source="Islam et al. 2024, Fig. 1(d), 2(b)",
)
