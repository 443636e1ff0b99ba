"""The spikes of a plane of one hidden layer, image by image, in compiled loops whose data stay in the first cache.

It computes what :class:`spinneurons.codesign.kernels.CpuKernel` computes, number by number, for planes whose neurons
are all compared with the same limits: no calibration, one hidden layer, classes by output spikes.

Limits rise from width to width.  So the widths at which a neuron fires are the first L of them, and L says all.  The
weights of a neuron go into one sum, number L; the sum that an output neuron gets at a width is that of all larger
L.  Nine products become one addition for each neuron.  All sums are of whole numbers, so that they are exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit

from spinneurons.codesign.draws import CHUNK, LEVELS, Batch, Draws, input_limits
from spinneurons.codesign.tables import PlaneTables, Totals
from spinneurons.codesign.vectors import LANES, add_row, zero_rows

SETS = 4
"""Of sums, to which neurons are added in turns."""
SHARES = 2520
"""Least common multiple of 1..10: one of k tied classes gets SHARES/k, a whole number."""
f32, i32 = np.float32, np.int32


def fits(tables: PlaneTables) -> bool:
    """Whether this kernel computes such a plane."""
    return (
        len(tables.sizes) == 2
        and tables.classes <= LANES - 2
        and not tables.rescaled
        and not tables.by_membrane
        and all(variation.limits.shape[1] == 1 for variation in tables.variations)
    )


def compiled(function: Any) -> Any:
    """Compile without checks, which would keep LLVM from using vectors; once on a machine, if it can be kept.

    numba keeps it beside this file, or among the user's caches.  Else each process compiles.
    """
    options: Any = {"nogil": True, "error_model": "numpy"}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # neither can be written
        return njit(**options)(function)


@compiled
def _drives(z, u, table, gain, factors, plain, a, b, later):  # type: ignore[no-untyped-def]
    """What is the same in all cells: x W1 - L, a = (x W1 - L) f and b = x D1 f of the first layer, L of the last.

    z (steps, columns) x W1, x D1; u (steps, neurons) random numbers; table (65536,) thresholds; gain (neurons,);
    factors (hidden,) f; plain, a, b (steps, hidden), of no columns where they are not needed; later (steps, classes).
    """
    hidden = plain.shape[1]
    for t in range(len(z)):
        for h in range(hidden):
            plain[t, h] = z[t, h] - table[u[t, h]] * gain[h]
        for h in range(a.shape[1]):
            a[t, h] = plain[t, h] * factors[h]
        for h in range(b.shape[1]):
            b[t, h] = z[t, hidden + h] * factors[h]
        for k in range(later.shape[1]):
            later[t, k] = table[u[t, hidden + k]] * gain[hidden + k]


@compiled
def _count(d, limits, below):  # type: ignore[no-untyped-def]
    """below (hidden,): how many of the limits (n,) are below d (hidden,); three in a pass, which reads less."""
    for h in range(len(below)):
        below[h] = 0
    for j in range(0, len(limits), 3):
        x, y, z = limits[j], limits[j + 1], limits[j + 2]
        for h in range(len(below)):
            one = d[h]
            below[h] += (
                (i32(1) if one > x else i32(0)) + (i32(1) if one > y else i32(0)) + (i32(1) if one > z else i32(0))
            )


@compiled
def _add_weights(below, weights, sums):  # type: ignore[no-untyped-def]
    """sums[SETS c + s] (n, LANES): of the weights (hidden, LANES) of the neurons whose count is c.

    The SETS of sums take turns: an addition need not wait for the one before to the same sum.
    """
    for h in range(len(below)):
        add_row(sums, SETS * below[h] + h % SETS, weights, h)


@compiled
def _fire(sums, total, steps, later, shifts, output, read):  # type: ignore[no-untyped-def]
    """Output spikes of the widths of one variation, the largest first, and what the hidden spikes read.

    sums from ``_add_weights``; total (1, LANES) what is added to all; steps (classes,); later (classes,) L; shifts
    (classes, widths); output (widths, classes); read (widths, 2) sum of |w|, and hidden spikes: added to.
    """
    classes = len(later)
    for j in range(len(output) - 1, -1, -1):
        for k in range(SETS):
            add_row(total, 0, sums, SETS * (j + 1) + k)
        for k in range(classes):
            output[j, k] = f32(total[0, k]) * steps[k] > later[k] + shifts[k, j]
        read[j, 0] += total[0, classes]
        read[j, 1] += total[0, classes + 1]


@compiled
def _variation(  # type: ignore[no-untyped-def]
    a, b, for_a, for_b, limits, weights, constants, steps, later, shifts, fired, output, read, sums, total
):
    """All widths of one variation in some steps: its weights stay in the first-level cache.

    A neuron fires where for_a a + for_b b is above a limit; limits (n,) in rising order, as many as there are widths
    and then infinite ones.
    """
    d = np.empty(a.shape[1], np.float32)
    below = np.empty(a.shape[1], np.int32)
    for t in range(len(a)):
        for h in range(len(d)):
            d[h] = a[t, h] * for_a
        for h in range(b.shape[1]):
            d[h] += b[t, h] * for_b
        for i in range(len(sums)):
            for lane in range(LANES):
                sums[i, lane] = 0
        _count(d, limits, below)
        _add_weights(below, weights, sums)
        for h in range(fired.shape[1]):
            fired[t, h] = below[h]
        for lane in range(LANES):
            total[0, lane] = constants[0, lane]
        _fire(sums, total, steps, later[t], shifts, output[t], read[t])


@compiled
def _classify(output, counts, label, u_tie, by_lot, shares, spikes):  # type: ignore[no-untyped-def]
    """Add what is classified right after each step, and the output spikes up to it.

    output (steps, cells, classes); counts (cells, classes) of the steps before, which go on; u_tie (steps,); by_lot:
    one of the tied classes is drawn; shares, spikes (cells, steps) sums over images.
    """
    steps, cells, classes = output.shape
    for cell in range(cells):
        total = 0
        for k in range(classes):
            total += counts[cell, k]
        for t in range(steps):
            most, tied = i32(-1), 0
            for k in range(classes):
                counts[cell, k] += output[t, cell, k]
                total += output[t, cell, k]
                most = max(most, counts[cell, k])
            for k in range(classes):
                tied += counts[cell, k] == most
            if counts[cell, label] == most:
                if not by_lot:
                    shares[cell, t] += SHARES // tied
                elif np.int64(u_tie[t]) * tied < LEVELS:  # with probability 1/k
                    shares[cell, t] += SHARES
            spikes[cell, t] += total


@compiled
def _image(z, u, first, table, shared, each, state, totals, label, by_lot):  # type: ignore[no-untyped-def]
    """One image in some steps, from step ``first`` on.

    z and u as in ``_drives``, u with the number that decides ties behind them.  The tuples are those of
    :class:`FusedKernel`.
    """
    gain, factors, starts, shifted, for_a, for_b = shared
    limits, weights, constants, steps, shifts = each
    plain, a, b, later, fired, output, counts, sums, total = state
    read, shares, spikes = totals
    last = first + len(z)
    rows = slice(0, len(z))
    plain, a, b, later = plain[rows], a[rows], b[rows], later[rows]
    _drives(z, u, table, gain, factors, plain, a, b, later)
    for v in range(len(for_a)):
        cells = slice(starts[v], starts[v + 1])
        drive, moved = a if shifted[v] else plain, b if for_b[v] != 0 else b[:, :0]
        _variation(
            drive,
            moved,
            for_a[v],
            for_b[v],
            limits[v],
            weights[v],
            constants[v],
            steps[v],
            later,
            shifts[v],
            fired[v],
            output[:, cells],
            read[first:last, cells],
            sums,
            total,
        )
    u_tie = u[:, u.shape[1] - 1]
    _classify(output[rows], counts, label, u_tie, by_lot, shares[:, first:last], spikes[:, first:last])


class FusedKernel:
    """One thread's work on a CPU, where :func:`fits`; see :class:`spinneurons.codesign.kernels.CpuKernel`."""

    def __init__(self, tables: PlaneTables, draws: Draws, device: str, observe: Any) -> None:
        self.tables, self.draws, self.observe = tables, draws, observe
        self.totals = Totals.zeros(tables)
        variations, classes, hidden = tables.variations, tables.classes, tables.hidden
        shape, width = (len(variations), -(-tables.widest // 3) * 3), classes + 2
        limits = np.full(shape, np.inf, np.float32)
        weights, constants = zero_rows(len(variations), hidden), zero_rows(len(variations), 1)
        unit = np.zeros((len(variations), classes), np.float32)
        shifts = np.zeros((len(variations), classes, tables.widest), np.float32)
        # of a neuron that is not divided by x, D1 counts eta times; where there is no eta, not at all
        factors = np.array([(1 / one.eta, 1.0) if one.shifted else (1.0, one.eta) for one in variations], np.float64)
        for v, one in enumerate(variations):
            layer = one.layers[0]
            high, middle, low, ones = np.split(layer.digits.astype(np.int32), [width - 1, 2 * width - 2, -1])
            limits[v, : one.widths] = one.limits[:, 0]
            weights[v, :, :width] = np.concatenate([high * 256**2 + middle * 256 + low, ones]).T
            constants[v, 0, :width] = layer.constant
            unit[v] = layer.step[:-1]
            shifts[v, :, : one.widths] = layer.shift
        steps, (inputs, columns) = min(tables.steps, CHUNK), tables.first_layer.shape
        self.shared = (
            np.ones(tables.neurons, np.float32) if tables.gain is None else tables.gain,
            tables.inverse if tables.shifted else np.ones(hidden, np.float32),
            np.array([*tables.starts, tables.cells]),
            np.array([one.shifted for one in variations]),
            *np.ascontiguousarray(factors.T, np.float32),
        )
        self.each = limits, weights, constants, unit, shifts
        self.fired = np.zeros((len(variations), steps, 0 if observe is None else hidden), np.uint8)
        self.output = np.zeros((steps, tables.cells, classes), np.bool_)
        self.counts = np.zeros((tables.cells, classes), np.int32)
        self.state = (
            np.empty((steps, hidden), np.float32),
            np.empty((steps, hidden if tables.shifted else 0), np.float32),
            np.empty((steps, hidden if tables.varied else 0), np.float32),
            np.empty((steps, classes), np.float32),
            self.fired,
            self.output,
            self.counts,
            zero_rows(SETS * (limits.shape[1] + 1)),
            zero_rows(1),
        )
        self.read = np.zeros((tables.steps, tables.cells, 2), np.int64)
        self.shares, self.spikes = np.zeros((2, tables.cells, tables.steps), np.int64)
        self.active_weights = np.empty((inputs, columns), np.float32)
        self.x = np.empty(steps * inputs, np.float32)
        self.z = np.empty((steps, columns), np.float32)

    def add(self, tile: Batch) -> None:
        """Add some images to the totals."""
        for index in range(len(tile)):
            self.counts[...] = 0
            for first in range(0, self.tables.steps, CHUNK):
                self._chunk(tile, index, first)
        self.totals.shares[...] = self.shares
        self.totals.output[...] = self.spikes
        self.totals.read_later[0], self.totals.hidden[...] = self.read.transpose(2, 1, 0)

    def _chunk(self, tile: Batch, index: int, first: int) -> None:
        tables, steps = self.tables, min(CHUNK, self.tables.steps - first)
        image = tile.images[index]
        active = np.flatnonzero(image)
        n = len(active)
        u = self.draws.draw_chunk(int(tile.numbers[index]), first // CHUNK, steps, n + tables.neurons + 1)
        x, weights, z = self.x[: steps * n].reshape(steps, n), self.active_weights[:n], self.z[:steps]
        np.copyto(x, u[:, :n] <= input_limits()[image[active]])
        np.take(tables.first_layer, active, axis=0, out=weights, mode="clip")
        torch.mm(torch.from_numpy(x), torch.from_numpy(weights), out=torch.from_numpy(z))
        self.totals.read_first[first : first + steps] += z[:, tables.reads]
        totals, by_lot = (self.read, self.shares, self.spikes), tables.ties == "random"
        label = int(tile.labels[index])
        _image(z, u[:, n:], first, tables.thresholds, self.shared, self.each, self.state, totals, label, by_lot)
        if self.observe is not None:
            self._show(tile, index, first, self.fired[:, :steps], self.output[:steps])

    def _show(self, tile: Batch, index: int, first: int, fired: Any, output: Any) -> None:
        """Tell the observer of one image's spikes."""
        from spinneurons.codesign.kernels import Spikes

        for v, one in enumerate(self.tables.variations):
            folded = (self.tables.x < 0) & one.shifted
            for j in range(one.widths):
                hidden = (fired[v] > j) ^ folded
                ratios = np.flatnonzero(one.column == j).tolist()
                number = tile.numbers[index : index + 1]
                spikes = output[:, self.tables.starts[v] + j].copy()
                self.observe(Spikes(v, ratios, number, first, hidden[None], spikes[None]))
