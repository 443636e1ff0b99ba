"""The characterization on a bench: the same cube, its readings taken from real devices through a lane."""

from __future__ import annotations

import dataclasses
from itertools import product
from typing import Any

import numpy as np

from spinneurons.characterization.analysis import analyse
from spinneurons.device import recorded
from spinneurons.device.pulse_cycle import CALIBRATION_CYCLES, PulseTrains
from spinneurons.neurons.parameters import with_whole_card
from spinneurons.neurons.registry import family_of
from spinsweep.bench.acquire import current_session
from spinsweep.bench.bench_file import Bench, fingerprint, parse
from spinsweep.evaluate import Cell
from spinsweep.spec import Parameter, Sweep, per_cell


@per_cell
def measure(cell: Cell) -> dict[str, Any]:
    """Cycles of the device at ``cell["width"]`` (um), ``cell["device"]``, decided and fitted.

    The plan of currents is the card's, as for a simulated device.  A cycle that was lost is NaN.  What auxiliary
    instruments recorded has a value for each current, which is a train.  Stream ``bootstrap``.
    """
    p, bench = cell.params, parse(cell.params["bench"])
    family = family_of(p["card"]).with_reset_state(bench.polarity.reset_state)
    width = cell["width"]
    device = bench.device_with(width=width, device=cell["device"])
    i_write = -bench.polarity.reset_pulse * family.write_currents(width, p["currents"])
    i_reset = bench.polarity.reset_pulse * abs(family.reset_current(width))
    i_read = family.read_current
    v_reset, v_write = np.full((2, i_write.size, p["cycles"]), np.nan)
    columns = []
    with PulseTrains(current_session(bench), cell.address) as experiment:
        experiment.calibrate(device.name, -i_reset, i_reset, i_read)
        for number, current in enumerate(i_write.tolist()):
            writes = np.full((p["cycles"], 1), current)
            run = experiment.run(f"current {number}", [device.name], writes, [i_reset], i_read)
            v_reset[number], v_write[number] = run.v_reset[:, 0], run.v_write[:, 0]
            columns.append(recorded.mean_of_train(bench, run.measured))
    i_write = np.abs(i_write)
    readings = family.of_voltages(v_reset, v_write)
    law, decision, mixture = family.law(p["link"]), family.decide(readings), family.level_mixture(readings)
    results = analyse(decision, mixture, i_write, law, cell.rng("bootstrap"), p["resamples"])
    names = (reading.name for reading in family.readings)
    by_current = {name: np.array([column[name] for column in columns]) for name in columns[0]}
    return {"i_write": i_write, **dict(zip(names, readings, strict=True)), **results.values, **by_current}


def cycles(sweep: Sweep) -> dict[str, int]:
    """How many cycles the devices of the cells asked for take, by name of the device."""
    bench = parse(sweep.params["bench"])
    each = CALIBRATION_CYCLES + sweep.params["currents"] * sweep.params["cycles"]
    labels = product(sweep.axis("width").values, sweep.axis("device").values)
    return {bench.device_with(width=width, device=device).name: each for width, device in labels}


def prepare(sweep: Sweep) -> None:
    """``BenchError`` where the bench has no device for a cell asked for: before anything is fired."""
    cycles(sweep)


def on_bench(sweep: Sweep, bench: Bench) -> Sweep:
    """The characterization of the devices of a bench."""
    axes = [
        dataclasses.replace(axis, values=tuple(bench.values(axis.name)), low=None, high=None) for axis in sweep.axes
    ]
    parameters = [
        dataclasses.replace(p, axes=None) if p.name == "card" else p for p in with_whole_card(sweep.parameters)
    ]
    described = Parameter("bench", bench.model_dump(mode="json"), help="the bench file", fingerprint=fingerprint)
    return dataclasses.replace(
        sweep,
        title=f"Switching curves measured on bench {bench.name}",
        axes=tuple(axes),
        parameters=(*parameters, described),
        outputs_of=recorded.by_train(bench, sweep, "current"),
        prepare=prepare,
        function=measure,
        resources=bench.needs,
        measured=True,
        bench_cycles=cycles,
    )
