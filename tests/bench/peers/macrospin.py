"""(c) The macrospin: the same magnet in the same field under the same torque, by Heun's scheme, on one core.

That the ways compute the same is checked on ensembles: the mean magnetisation after a nanosecond agrees within its
statistical error.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
from tests.bench import macrospin
from tests.bench.macrospin import DT, FIELD, SPIN, TORQUE
from tests.bench.peers.turns import Table, Way

from spinneurons.macrospin import reference
from spinneurons.macrospin.material import Magnet
from spinneurons.macrospin.model import Ensemble

CHECKED = 1000
"""Steps after which the ways are compared."""
Finals = Callable[[], npt.NDArray[np.floating]]
"""(3, n) magnetisation of n trajectories after the steps that are compared."""


def _kernel() -> npt.NDArray[np.floating]:
    start, seeds = macrospin.start(8192)
    ensemble = Ensemble(Magnet(), DT, start, seeds, FIELD, SPIN)
    ensemble.advance(TORQUE, np.ones(CHECKED, np.float32))
    return ensemble.m


def _reference(trajectories: int) -> Finals:
    def finals() -> npt.NDArray[np.floating]:
        start, _ = macrospin.start(trajectories)
        rng = np.random.default_rng(0)
        normals = (rng.standard_normal((3, trajectories)) for _ in range(CHECKED))
        return reference.heun(
            start, Magnet(), DT, normals, np.full(trajectories, TORQUE), np.ones(CHECKED), FIELD, SPIN
        )

    return finals


def _cmtj(trajectories: int) -> Finals:
    def finals() -> npt.NDArray[np.floating]:
        found = []
        for _ in range(trajectories):
            junction = macrospin.junction()
            macrospin.simulate(junction, CHECKED, every=DT)
            log = junction.getLog()
            found.append([log[f"free_m{axis}"][-1] for axis in "xyz"])
        return np.array(found).T

    return finals


def same_mean(found: npt.NDArray[np.floating], wanted: npt.NDArray[np.floating]) -> None:
    """Means of two ensembles agree within five standard errors.

    Parameters
    ----------
    found, wanted : (3, n) unit vectors, of any n

    Raises
    ------
    AssertionError
        They do not.
    """
    error = np.sqrt(sum(m.var(axis=1) / m.shape[1] for m in (found, wanted)))
    difference = np.abs(found.mean(axis=1) - wanted.mean(axis=1))
    assert (difference < 5 * error + 1e-6).all(), f"means differ by {difference}, which may be {5 * error}"


def _way(name: str, work: Callable[[], object], steps: int, finals: Finals | None, note: str, uses: str = "") -> Way:
    prepared: list[Callable[[], object]] = []

    def measure() -> dict[str, float]:
        if not prepared:
            if finals is not None:
                same_mean(finals(), _kernel())
            prepared.append(work() if uses else work)  # type: ignore[arg-type]
            prepared[0]()
        began = time.process_time()
        prepared[0]()
        return {"ns a step": (time.process_time() - began) / steps * 1e9}

    return Way(name, measure, (uses,) if uses else (), note)


@contextmanager
def tables(smallest: bool) -> Iterator[Sequence[Table]]:
    """The macrospin."""
    steps, few, single = (20, 10, 200) if smallest else (1000, 50, 200_000)
    checked = 200 if smallest else 1000
    yield [
        Table(
            "the macrospin",
            [
                _way(
                    "spinsweep, 8,192 trajectories",
                    macrospin.kernel(8192, steps),
                    8192 * steps,
                    None,
                    "float32, normals of its own, drawn in the kernel",
                ),
                _way(
                    "spinsweep, 512 trajectories", macrospin.kernel(512, steps), 512 * steps, None, "one lane's worth"
                ),
                _way(
                    "plain NumPy, 10,000 trajectories",
                    macrospin.plain(10_000, few),
                    10_000 * few,
                    _reference(checked),
                    "float64, NumPy's normals",
                ),
                _way(
                    "cmtj, Heun",
                    lambda: macrospin.cmtj(single),
                    single,
                    _cmtj(checked // 5),
                    "one trajectory, as it computes one at a time; logged each ns",
                    "cmtj",
                ),
            ],
            ("ns a step",),
            f"Processor time of a step of {DT * 1e12:g} ps of one macrospin, one thread. Thermal field, anisotropy, "
            "applied field and a spin-orbit torque act.",
        )
    ]
