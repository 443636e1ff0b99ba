"""Endurance as a sweep: 10,000 cycles of each device at its own current of switching probability 1/2.

The device model has no wear, so that a simulated run shows what 10,000 honest coin flips look like: the null
hypothesis that a measured run is held against (5,061 of 10,000 in the paper, z = 1.22).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spinneurons.neurons.parameters import DEVICE, LINK, READOUT, WIDTH, card_of, readings
from spinneurons.neurons.registry import family_of
from spinsweep.outputs import Dim, Output
from spinsweep.parameters import Parameter
from spinsweep.spec import Sweep, per_cell
from spinsweep.views import View


@per_cell
def endure(cell: Any) -> dict[str, Any]:
    """Readings, decisions and switching probability of one device at its bias current; stream
    ``readings``."""
    family = family_of(cell.params["card"])
    i_write, i0 = family.individual(cell["width"], cell["device"])
    law, rng = family.law(cell.params["link"]), cell.rng("readings")
    recorded = tuple(r[0] for r in family.measure(i_write, i0, [i_write], cell.params["cycles"], rng, law))
    decision = family.decide(recorded)
    n = int(decision.valid.sum())
    p = decision.switched.sum() / n if n else np.nan
    return {
        "i_write": i_write,
        **{reading.name: values for reading, values in zip(family.readings, recorded, strict=True)},
        "switched": decision.switched,
        "valid": decision.valid,
        "p": p,
        "p_stderr": np.sqrt(p * (1 - p) / n) if n else np.nan,
    }


def outputs(params: Mapping[str, Any]) -> tuple[Output, ...]:
    """Readings of the card's family, what they decide, and the share of the cycles that switched."""
    return (
        Output("i_write", unit="A", long_name="write current"),
        *readings(params, ("cycle",)),
        Output("switched", ("cycle",), "bool", long_name="write pulse switched"),
        Output("valid", ("cycle",), "bool", long_name="readings are valid"),
        Output("p", long_name="switching probability"),
        Output("p_stderr", long_name="switching probability, standard error"),
    )


SWEEP = Sweep(
    name="endurance",
    title="10,000 cycles of each Hall bar at its bias current",
    axes=(WIDTH, DEVICE),
    dims=(Dim("cycle", "cycles", long_name="cycle"),),
    outputs=(),
    outputs_of=outputs,
    parameters=(
        Parameter("cycles", 10_000, help="cycles of each device", low=1, high=10_000_000),
        LINK,
        # at its bias current a device switches with probability 1/2, whatever its i0 and its law
        card_of("i_bias", "devices.seed", *READOUT, individuals=("i_bias",)),
    ),
    function=endure,
    views=(
        View("p", x="width", over=("device",)),
        View("switched", x="cycle", lines="width", over=("device",)),
    ),
    figures="spinneurons.endurance.figures:FIGURES",
    source="Islam et al. 2024, Fig. S5",
)
