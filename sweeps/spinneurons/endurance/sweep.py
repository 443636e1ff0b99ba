"""Endurance as a sweep: 10,000 cycles of each Hall bar at its own current of switching probability 1/2.

The device model has no wear, so that a simulated run shows what 10,000 honest coin flips look like: the null
hypothesis that a measured run is held against (5,061 of 10,000 in the paper, z = 1.22).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spinneurons.device import card as cards
from spinneurons.device import model
from spinneurons.device.parameters import CARD, DEVICE, LINK, WIDTH
from spinneurons.device.protocol import decide, measure
from spinsweep.spec import Dim, Output, Parameter, Sweep, per_cell


@per_cell
def endure(cell: Any) -> dict[str, Any]:
    """Readings, decisions and switching probability of one device at its bias current; stream
    ``readings``."""
    card = cell.params["card"]
    link = cards.link(card, cell.params["link"])
    i_write, i0 = model.device_parameters(card, cell["width"], cell["device"])
    cycles = cell.params["cycles"]
    r_reset, r_write = (r[0] for r in measure(card, i_write, i0, [i_write], cycles, cell.rng("readings"), link))
    found = decide(r_reset, r_write, cards.value(card, "hall.reset_state"))
    n = int(found.valid.sum())
    p = found.switched.sum() / n if n else np.nan
    return {
        "i_write": i_write,
        "r_reset": r_reset,
        "r_write": r_write,
        "switched": found.switched,
        "valid": found.valid,
        "p": p,
        "p_stderr": np.sqrt(p * (1 - p) / n) if n else np.nan,
    }


SWEEP = Sweep(
    name="endurance",
    title="10,000 cycles of each Hall bar at its bias current",
    axes=(
        WIDTH,
        DEVICE,
    ),
    dims=(Dim("cycle", "cycles", long_name="cycle"),),
    outputs=(
        Output("i_write", unit="A", long_name="write current"),
        Output("r_reset", ("cycle",), "float32", "ohm", "Hall resistance after reset"),
        Output("r_write", ("cycle",), "float32", "ohm", "Hall resistance after write"),
        Output("switched", ("cycle",), "bool", long_name="write pulse switched"),
        Output("valid", ("cycle",), "bool", long_name="readings are valid"),
        Output("p", long_name="switching probability"),
        Output("p_stderr", long_name="switching probability, standard error"),
    ),
    parameters=(
        Parameter("cycles", 10_000, help="cycles of each device", low=1, high=10_000_000),
        LINK,
        CARD,
    ),
    function=endure,
    figures="spinneurons.endurance.figures:FIGURES",
    source="Islam et al. 2024, Fig. S5",
)
