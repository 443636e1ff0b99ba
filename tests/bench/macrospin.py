"""How fast the kernel is: ``python -m tests.bench.macrospin``.

All is measured in one process, one thread and in turns, by the seconds that the processor gave to it; on a shared
machine quote ratios.  cmtj (https://github.com/LemurPwned/cmtj) is measured as well where it is installed.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from spinneurons.macrospin import noise, reference
from spinneurons.macrospin.material import Magnet
from spinneurons.macrospin.model import Ensemble

LEAST, GOAL = 33.0, 100.0
"""Million macrospin steps a second on one core: what a numba loop with NumPy's normals reached, and the aim."""
DT = 1e-12
FIELD, SPIN, TORQUE = (1e3, 0.0, 0.0), (0.0, 1.0, 0.0), 500.0
"""In-plane field (A/m), spins and HDL (A/m) of the case: thermal field, torque and anisotropy act as well."""


def kernel(trajectories: int, steps: int) -> Callable[[], object]:
    """The fast kernel on that many trajectories."""
    m, seeds = start(trajectories)
    ensemble, pulse = Ensemble(Magnet(), DT, m, seeds, FIELD, SPIN), np.ones(steps, np.float32)
    return lambda: ensemble.advance(TORQUE, pulse)


def plain(trajectories: int, steps: int) -> Callable[[], object]:
    """The reference with NumPy's normals, drawn for the run."""
    m, _ = start(trajectories)
    rng, torque = np.random.default_rng(0), np.full(trajectories, TORQUE)

    def run() -> object:
        normals = (rng.standard_normal((3, trajectories)) for _ in range(steps))
        return reference.heun(m, Magnet(), DT, normals, torque, np.ones(steps), FIELD, SPIN)

    return run


def cmtj(steps: int) -> Callable[[], object] | None:
    """One trajectory of the same magnet by cmtj's Heun solver, logged each ns; None without cmtj."""
    try:
        ready = junction()
    except ImportError:
        return None
    return lambda: simulate(ready, steps)


def simulate(junction: Any, steps: int, every: float = 1e-9) -> None:
    """Heun's scheme; the log has an entry each ``every`` seconds."""
    heun = importlib.import_module("cmtj").SolverMode.Heun
    junction.runSimulation(steps * DT, DT, every, solverMode=heun)


def junction() -> Any:
    """cmtj's, of the same magnet, which points up."""
    c = importlib.import_module("cmtj")
    magnet = Magnet()
    flat = [c.CVector(0, 0, 0)] * 3
    up, easy = c.CVector(0, 0, 1), c.CVector(0, 0, 1)
    tesla = 4e-7 * np.pi
    layer = c.Layer.createSOTLayer(
        "free",
        up,
        easy,
        tesla * magnet.saturation,
        magnet.thickness,
        magnet.length * magnet.width,
        flat,
        damping=magnet.damping,
        dampingLikeTorque=TORQUE,
    )
    layer.setAnisotropyDriver(
        c.ScalarDriver.getConstantDriver(tesla * magnet.saturation * magnet.anisotropy_field / 2)
    )
    layer.setReferenceLayer(c.CVector(*SPIN))
    junction = c.Junction([layer])
    junction.setLayerTemperatureDriver("all", c.ScalarDriver.getConstantDriver(magnet.temperature))
    junction.setLayerCurrentDriver("all", c.ScalarDriver.getConstantDriver(1.0))
    junction.setLayerExternalFieldDriver("all", c.AxialDriver(*(c.ScalarDriver.getConstantDriver(h) for h in FIELD)))
    return junction


def rate(work: Callable[[], object], macrospin_steps: int) -> float:
    """Million macrospin steps a second of one call."""
    began = time.process_time()
    work()
    return macrospin_steps / (time.process_time() - began) / 1e6


def main(arguments: Sequence[str] | None = None) -> dict[str, list[float]]:
    """Print and return the rates of each way in every turn, million macrospin steps a second."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.macrospin")
    parser.add_argument("--rounds", type=int, default=7, help="turns that are counted")
    parser.add_argument("--steps", type=int, default=2000, help="of the kernel; the reference does a twentieth")
    options = parser.parse_args(arguments)
    few = max(1, options.steps // 20)
    ways: dict[str, tuple[Callable[[], object] | None, int]] = {
        "kernel, 8,192 trajectories": (kernel(8192, options.steps), 8192 * options.steps),
        "kernel, 512 trajectories": (kernel(512, options.steps), 512 * options.steps),
        "reference, 10,000 trajectories": (plain(10_000, few), 10_000 * few),
        "cmtj, Heun": (cmtj(100 * options.steps), 100 * options.steps),
    }
    running = {name: (work, count) for name, (work, count) in ways.items() if work is not None}
    turns = [{name: rate(*way) for name, way in running.items()} for _ in range(options.rounds + 1)][1:]
    found = {name: [turn[name] for turn in turns] for name in running}
    base = statistics.median(found["reference, 10,000 trajectories"])
    print(f"million macrospin steps a second of one core, {options.rounds} turns, load {os.getloadavg()[0]:.1f}")
    for name, rates in found.items():
        middle = statistics.median(rates)
        spread = f"{min(rates):.1f} to {max(rates):.1f}"
        print(f"  {name:<32}{middle:8.1f} ({spread}), {middle / base:.1f} times the reference")
    if "cmtj, Heun" not in found:
        print("  cmtj is not installed")
    print(f"at least {LEAST:g}, aim {GOAL:g}")
    return found


def start(trajectories: int) -> tuple[npt.NDArray[np.float64], noise.Words]:
    """(3, n) unit vectors that point up, and the seeds of the kernel's random streams."""
    m = np.zeros((3, trajectories))
    m[2] = 1
    return m, noise.draw_seeds(np.random.default_rng(0), trajectories)


if __name__ == "__main__":
    main()
