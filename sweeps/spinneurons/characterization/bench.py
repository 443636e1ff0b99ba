"""The characterization on a bench: the same cube, its readings taken from real devices through a lane."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from spinneurons.characterization.analysis import analyse
from spinneurons.characterization.live import SwitchingCurve, train_name
from spinneurons.device import recorded
from spinneurons.device.pulse_cycle import CALIBRATION_CYCLES, PulseTrains
from spinneurons.neurons.parameters import with_whole_card
from spinneurons.neurons.registry import family_of
from spinsweep.bench.acquire import current_session
from spinsweep.bench.bench_file import Bench, fingerprint, parse
from spinsweep.evaluate import Cell
from spinsweep.parameters import Parameter
from spinsweep.spec import Sweep, per_cell


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
        experiment.expected = sum(number * sum(each.values()) for number, each in _trains_of(device.name, p))
        experiment.curves = SwitchingCurve(experiment, device.name, np.abs(i_write), family.law(p["link"]))
        experiment.calibrate(device.name, -i_reset, i_reset, i_read)
        for number, current in enumerate(i_write.tolist()):
            writes = np.full((p["cycles"], 1), current)
            run = experiment.run(train_name(number), [device.name], writes, [i_reset], i_read)
            v_reset[number], v_write[number] = run.v_reset[:, 0], run.v_write[:, 0]
            columns.append(recorded.mean_of_train(bench, run.measured))
    i_write = np.abs(i_write)
    readings = family.of_voltages(v_reset, v_write)
    law, decision, mixture = family.law(p["link"]), family.decide(readings), family.level_mixture(readings)
    results = analyse(decision, mixture, i_write, law, cell.rng("bootstrap"), p["resamples"])
    names = (reading.name for reading in family.readings)
    by_current = {name: np.array([column[name] for column in columns]) for name in columns[0]}
    return {"i_write": i_write, **dict(zip(names, readings, strict=True)), **results.values, **by_current}


def trains(sweep: Sweep) -> list[tuple[int, dict[str, int]]]:
    """The trains of the cells asked for: their number, and the cycles of the device in one, by name."""
    bench = parse(sweep.params["bench"])
    names = [bench.device_with(width=c["width"], device=c["device"]).name for c in sweep.wanted_cells()]
    return [train for name in names for train in _trains_of(name, sweep.params)]


def _trains_of(device: str, p: Mapping[str, Any]) -> list[tuple[int, dict[str, int]]]:
    """Those of one cell: its levels, and one train for each current."""
    return [(1, {device: CALIBRATION_CYCLES}), (p["currents"], {device: p["cycles"]})]


def cycles(sweep: Sweep) -> dict[str, int]:
    """How many cycles the devices of the cells asked for take, by name of the device."""
    return dict(sum((Counter({n: number * k for n, k in each.items()}) for number, each in trains(sweep)), Counter()))


def currents(sweep: Sweep) -> dict[str, float]:
    """The largest current of a pulse of the cells asked for, by name of the device, A."""
    p, bench = sweep.params, parse(sweep.params["bench"])
    family, largest = family_of(p["card"]), dict[str, float]()
    for cell in sweep.wanted_cells():
        bar = float(cell["width"])
        writes, reset = family.write_currents(bar, p["currents"]), abs(family.reset_current(bar))
        name = bench.device_with(width=cell["width"], device=cell["device"]).name
        largest[name] = max(float(np.abs(writes).max()), reset)
    return largest


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
        bench_currents=currents,
        bench_trains=trains,
    )
