"""A sweep of noise of several widths. Workers import no more than they need."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from spinsweep import Axis, Cell, Dim, Output, Sweep, per_cell


@per_cell
def cell(cell: Cell) -> dict[str, Any]:
    y = cell.rng().normal(1.0, cell["spread"])
    if "FAILS" in os.environ and cell["seed"] in (3, 15) and cell["kind"] == "b":
        raise ValueError("not this one")
    return {"y": y, "hit": cell.rng("hit").random() < 0.5, "n": cell["seed"], "loss": y + np.arange(3.0) * y}


SWEEP = Sweep(
    "noisy",
    "Noise of several widths",
    (Axis("kind", ("a", "b")), Axis("seed", tuple(range(10))), Axis("spread", (0.1, 0.6, 1.2))),
    (
        Output("y", unit="V"),
        Output("hit", dtype="bool"),
        Output("n", dtype="int64"),
        Output("loss", ("epoch",)),
    ),
    cell,
    dims=(Dim("epoch", size=3),),
)
