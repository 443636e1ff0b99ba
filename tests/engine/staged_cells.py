"""A sweep with a stage. Workers import no more than they need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spinsweep import Axis, Output, Parameter, Stage, Sweep, per_cell

LOG = Parameter("log", "", help="file that gets a line whenever the stage is computed", fingerprint=lambda value: "")


def train(cell: Any) -> dict[str, Any]:
    if cell.params["log"]:
        with Path(cell.params["log"]).open("a") as log:
            log.write(f"{cell['seed']}\n")
    return {"weights": cell.rng("weights").normal(size=4), "seed": cell["seed"], "scale": cell.params["scale"]}


@per_cell
def infer(cell: Any) -> dict[str, float]:
    network = cell.stage("network")
    return {"y": float(network["weights"].sum() * network["scale"]) + cell["noise"]}


SWEEP = Sweep(
    name="nets", title="Nets", axes=(Axis("noise", (0.0, 1.0, 2.0)), Axis("seed", (0, 1, 2))),
    outputs=(Output("y"),), function=infer, stages=(Stage("network", train, axes=("seed",)),),
    parameters=(LOG, Parameter("scale", 2.0)),
)  # fmt: skip
