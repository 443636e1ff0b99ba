"""A grid plane at once: all widths and all variations of one chip seed, on shared numbers.

It equals :mod:`spinneurons.codesign.reference` cell by cell and spike by spike, but for float rounding at a
threshold.
What makes it fast:

* Input spikes, the products x W1 and x D1 and the thresholds L of the neurons do not depend on the cell, which is
  left with a comparison and the layers after the first.
* With s = eta x r, r = I_bias/i0 of the width, and x W1(eta) = a + eta b,

      a + eta b - s > L   <=>   (a - L)/(eta x) + b/x > r      for x > 0,   < r for x < 0:

  one number on the right for all neurons, with which the comparison is two to three times as fast.  After a
  calibration it is r - s^/(eta x), one for each neuron, and repeated for all images of a tile, because a comparison
  is fast along long rows.
* A spread of i0 multiplies L, once for all cells.  Where i0 is estimated, too, cells differ in all that they add, and
  each is computed from x W1(eta).
* Only active pixels (not dark) are drawn and multiplied, image by image: 151 of MNIST's 784 on average.
* Each further layer is a product of bytes: spikes are 0 or 1, weights are three digits to the base 256, 24 bits in
  all.  A neuron with x < 0 enters as 1 - spike and with its weights negated.
* Of many images, a plane of one hidden layer without calibration is computed in compiled loops, image by image
  (``fused``): there the nine products of a variation, one for each width, become one addition for each neuron.
* Arrays are reused and small, so that they stay in the processor's cache; a thread has 16 images at a time.

Sums are exact (whole numbers here, :func:`spinneurons.codesign.chip.on_grid` in the first layer), so that no result
depends on the tile, the threads, or which cells are computed together.

``tables`` has what all images share, ``kernels`` the work on a tile of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import torch

from spinneurons.codesign.chip import Chip
from spinneurons.codesign.draws import Batch, Draws
from spinneurons.codesign.kernels import SHARES, TILE, CpuKernel, Observer, Spikes, TorchKernel
from spinneurons.codesign.tables import CellGrid, Floats, PlaneTables, Totals
from spinneurons.torch_determinism import exact_torch

if TYPE_CHECKING:
    from spinneurons.codesign.fused import FusedKernel

FROM_IMAGES = 1000
"""For which it pays to load compiled loops: about a second in each process, and three more once on a machine."""

__all__ = ["SHARES", "CellGrid", "Plane", "Spikes", "plane"]


@dataclass(frozen=True)
class Plane:
    """Results of all cells, (etas, ratios, steps); element t - 1 is after t steps, all are means of the images."""

    accuracy: Floats
    """Part that is classified right."""
    spikes_hidden: Floats
    """Spikes of the hidden layers in steps 1..t."""
    spikes_output: Floats
    weight_read: Floats
    """Sum of |w| over the synapses that spikes read in steps 1..t."""


def plane(
    chip: Chip,
    batch: Batch,
    draws: Draws,
    grid: CellGrid,
    *,
    threads: int = 0,
    device: str = "",
    observe: Observer | None = None,
) -> Plane:
    """All cells of a grid for one chip.

    Parameters
    ----------
    threads : 0: as many as torch has
    device : torch's name of it; "": a CUDA device where there is one
    observe : is shown all spikes, for tests
    """
    tables = PlaneTables(chip, grid)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    tiles = (batch[i : i + TILE] for i in range(0, len(batch), TILE))
    lock = Lock()
    start: Callable[[PlaneTables, Draws, str, Observer | None], CpuKernel | FusedKernel]
    start = CpuKernel if device == "cpu" else TorchKernel
    if device == "cpu" and len(batch) >= FROM_IMAGES:
        from spinneurons.codesign.fused import FusedKernel, fits  # late: what it compiles takes a second to load

        start = FusedKernel if fits(tables) else start

    def next_tiles() -> Iterator[Batch]:  # threads take tiles as they get ready; the totals do not depend on who does
        while True:
            with lock:
                tile = next(tiles, None)
            if tile is None:
                return
            yield tile

    def work(_: int) -> Totals:
        torch.set_num_threads(1)  # torch keeps this number for each thread
        kernel = start(tables, Draws(draws.key), device, observe)
        for tile in next_tiles():
            kernel.add(tile)
        return kernel.totals

    n = 1 if device != "cpu" else min(threads or torch.get_num_threads(), -(-len(batch) // TILE))
    with exact_torch():
        if n == 1:
            return _means([work(0)], tables, len(batch))
        with ThreadPoolExecutor(n) as pool:
            return _means(list(pool.map(work, range(n))), tables, len(batch))


def _means(parts: list[Totals], tables: PlaneTables, n: int) -> Plane:
    shares, hidden, output, read_later, read_first = (
        np.sum([getattr(part, field.name) for part in parts], axis=0) for field in fields(Totals)
    )
    units = np.concatenate(
        [np.tile([[layer.step[-1]] for layer in one.layers], one.widths) for one in tables.variations], axis=1
    )
    later = (read_later * units[:, :, None]).sum(axis=0)
    read = later.cumsum(axis=1)[tables.columns] + read_first.cumsum(axis=0).T[:, None]
    return Plane(
        shares[tables.columns] / (SHARES * n),
        hidden.cumsum(axis=1)[tables.columns] / n,
        output[tables.columns] / n,
        read / n,
    )
