"""The spikes of a plane of one hidden layer, image by image, in compiled loops whose data stay in the first cache.

It computes what :class:`spinneurons.codesign.kernels.CpuKernel` computes, number by number, for planes whose neurons
are all compared with the same limits: no calibration, one hidden layer, classes by output spikes.

Limits rise from width to width.  So the widths at which a neuron fires are the first L of them, and L says all.  The
weights of a neuron go into one sum, number L; the sum that an output neuron gets at a width is that of all larger
L.  Nine products become one addition for each neuron.  About half of the neurons fire at no width and are not added,
and most of the others fire at all of them: only for the rest is L counted.  All sums are of whole numbers, so that
they are exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit

from spinneurons.codesign.draws import CHUNK, LEVELS, Batch, Draws, input_limits
from spinneurons.codesign.tables import PlaneTables, Totals
from spinneurons.codesign.vectors import (
    LANES,
    SETS,
    WORD,
    add_bits,
    add_row,
    add_rows,
    add_sets,
    compare,
    count_below,
    fires,
    lowest,
    ones,
    zero_rows,
)

SHARES = 2520
"""Least common multiple of 1..10: one of k tied classes gets SHARES/k, a whole number."""


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
def _drives(z, u, table, gain, factors, plain, a, b, later, hidden, classes):  # type: ignore[no-untyped-def]
    """What is the same in all cells: x W1 - L, a = (x W1 - L) f and b = x D1 f of the first layer, L of the last.

    z (steps, columns) x W1, x D1; u (steps, neurons) random numbers; table (65536,) thresholds; gain (neurons,);
    factors (hidden,) f; plain, a, b (steps, hidden and more), of no columns where they are not needed; later (steps,
    LANES).
    """
    for t in range(len(z)):
        for h in range(hidden):
            plain[t, h] = z[t, h] - table[u[t, h]] * gain[h]
        if a.shape[1] > 0:
            for h in range(hidden):
                a[t, h] = plain[t, h] * factors[h]
        if b.shape[1] > 0:
            for h in range(hidden):
                b[t, h] = z[t, hidden + h] * factors[h]
        for k in range(classes):
            later[t, k] = table[u[t, hidden + k]] * gain[hidden + k]


@compiled
def _compare(d, every, some, a, for_a, b, for_b, limits, widths):  # type: ignore[no-untyped-def]
    """d (neurons,) = for_a a + for_b b, and bits that say which fire at every width, and which at some of them."""
    for i in range(len(d) // LANES):
        compare(d, every, some, i, a, for_a, b, for_b, limits[0], limits[widths - 1])


@compiled
def _count(d, limits):  # type: ignore[no-untyped-def]
    """How many of the limits are below d."""
    count = 0
    for i in range(len(limits) // LANES):
        count += count_below(limits, i, d)
    return count


@compiled
def _add_weights(d, every, some, limits, weights, sums, total):  # type: ignore[no-untyped-def]
    """Add the weights (hidden, LANES) of neurons that fire: at every width to total, else to sums[SETS L + s].

    every, some: the bits of ``_compare`` as words of 64.
    """
    add_rows(total, weights, every, len(every))
    for i in range(len(sums)):
        for lane in range(LANES):
            sums[i, lane] = 0
    turn = 0
    for w in range(len(some)):
        bits = some[w]
        while bits != 0:
            h = WORD * w + lowest(bits)
            bits &= bits - np.uint64(1)
            add_row(sums, SETS * _count(d[h], limits) + turn, weights, h)
            turn = (turn + 1) % SETS


@compiled
def _fire(sums, total, steps, v, later, t, shifts, output, read, classes):  # type: ignore[no-untyped-def]
    """Output spikes of the widths of one variation, the largest first, and what the hidden spikes read.

    sums and total (1, LANES) from ``_add_weights``; steps (variations, LANES); later (steps, LANES)
    L; shifts (widths, LANES); output (widths,) a bit for each class; read (widths, 2) sum of |w|, and hidden spikes:
    added to.
    """
    for j in range(len(output) - 1, -1, -1):
        add_sets(total, sums, j + 1)
        output[j] = fires(total, steps, v, later, t, shifts, j)
        read[j, 0] += total[0, classes]
        read[j, 1] += total[0, classes + 1]


@compiled
def _variation(  # type: ignore[no-untyped-def]
    a, b, v, for_a, for_b, limits, weights, constants, steps, later, shifts, fired, output, read, scratch, classes
):
    """All widths of variation v in some steps: its weights stay in the first-level cache.

    A neuron fires where for_a a + for_b b is above a limit; limits (n,) in rising order, as many as there are widths
    and then infinite ones, to whole rows of LANES.
    """
    d, every, some, every_word, some_word, sums, total = scratch
    for t in range(len(a)):
        _compare(d, every, some, a[t], for_a, b[t], for_b, limits, output.shape[1])
        for h in range(fired.shape[1]):
            fired[t, h] = _count(d[h], limits)
        for lane in range(LANES):
            total[0, lane] = constants[0, lane]
        _add_weights(d, every_word, some_word, limits, weights, sums, total)
        _fire(sums, total, steps, v, later, t, shifts, output[t], read[t], classes)


@compiled
def _classify(output, counts, label, u_tie, by_lot, parts, shares, spikes):  # type: ignore[no-untyped-def]
    """Add what is classified right after each step, and the output spikes up to it.

    output (steps, cells) a bit for each class; counts (cells, LANES) of the steps before, which go on; u_tie
    (steps,); by_lot: one of the tied classes is drawn; parts (classes + 1,) the share of one of k tied classes;
    shares, spikes (cells, steps) sums over images.
    """
    steps, cells = output.shape
    among = np.uint16((1 << (len(parts) - 1)) - 1)
    right = np.uint16(1 << label)
    for cell in range(cells):
        total = 0
        for k in range(LANES):
            total += counts[cell, k]
        for t in range(steps):
            most = add_bits(counts, cell, output[t, cell], among)
            total += ones(output[t, cell])
            if most & right:
                tied = ones(most)
                if not by_lot:
                    shares[cell, t] += parts[tied]
                elif np.int64(u_tie[t]) * tied < LEVELS:  # with probability 1/k
                    shares[cell, t] += SHARES
            spikes[cell, t] += total


@compiled
def _image(z, u, first, table, shared, each, state, totals, label, by_lot):  # type: ignore[no-untyped-def]
    """One image in some steps, from step ``first`` on.

    z and u as in ``_drives``, u with the number that decides ties behind them.  The tuples are those of
    :class:`FusedKernel`.
    """
    gain, factors, starts, shifted, for_a, for_b, parts = shared
    limits, weights, constants, steps, shifts = each
    plain, a, b, later, fired, output, counts, scratch = state
    read, shares, spikes = totals
    hidden, classes = len(factors), len(parts) - 1
    last = first + len(z)
    rows = slice(0, len(z))
    plain, a, b, later = plain[rows], a[rows], b[rows], later[rows]
    _drives(z, u, table, gain, factors, plain, a, b, later, hidden, classes)
    for v in range(len(for_a)):
        cells = slice(starts[v], starts[v + 1])
        drive = a if shifted[v] else plain
        _variation(
            drive,
            b if for_b[v] != 0 else drive,
            v,
            for_a[v],
            for_b[v],
            limits[v],
            weights[v],
            constants[v],
            steps,
            later,
            shifts[v],
            fired[v],
            output[:, cells],
            read[first:last, cells],
            scratch,
            classes,
        )
    u_tie = u[:, u.shape[1] - 1]
    _classify(output[rows], counts, label, u_tie, by_lot, parts, shares[:, first:last], spikes[:, first:last])


class FusedKernel:
    """One thread's work on a CPU, where :func:`fits`; see :class:`spinneurons.codesign.kernels.CpuKernel`."""

    def __init__(self, tables: PlaneTables, draws: Draws, device: str, observe: Any) -> None:
        self.tables, self.draws, self.observe = tables, draws, observe
        self.totals = Totals.zeros(tables)
        variations, classes, hidden = tables.variations, tables.classes, tables.hidden
        shape, width = (len(variations), -(-tables.widest // LANES) * LANES), classes + 2
        limits = np.full(shape, np.inf, np.float32)
        weights, constants = zero_rows(len(variations), hidden), zero_rows(len(variations), 1)
        unit = np.zeros((len(variations), LANES), np.float32)
        shifts = np.zeros((len(variations), tables.widest, LANES), np.float32)
        # of a neuron that is not divided by x, D1 counts eta times; where there is no eta or no D1, not at all
        factors = np.array([(1 / one.eta, 1.0) if one.shifted else (1.0, one.eta) for one in variations], np.float64)
        if not tables.varied:
            factors[:, 1] = 0.0
        for v, one in enumerate(variations):
            layer = one.layers[0]
            high, middle, low, ones = np.split(layer.digits.astype(np.int32), [width - 1, 2 * width - 2, -1])
            limits[v, : one.widths] = one.limits[:, 0]
            weights[v, :, :width] = np.concatenate([high * 256**2 + middle * 256 + low, ones]).T
            constants[v, 0, :width] = layer.constant
            unit[v, :classes] = layer.step[:-1]
            shifts[v, : one.widths, :classes] = layer.shift.T
        steps, (inputs, columns) = min(tables.steps, CHUNK), tables.first_layer.shape
        self.shared = (
            np.ones(tables.neurons, np.float32) if tables.gain is None else tables.gain,
            tables.inverse if tables.shifted else np.ones(hidden, np.float32),
            np.array([*tables.starts, tables.cells]),
            np.array([one.shifted for one in variations]),
            *np.ascontiguousarray(factors.T, np.float32),
            np.array([0, *(SHARES // k for k in range(1, classes + 1))]),
        )
        self.each = limits, weights, constants, unit, shifts
        self.fired = np.zeros((len(variations), steps, 0 if observe is None else hidden), np.uint8)
        self.output = np.zeros((steps, tables.cells), np.uint16)
        self.counts = zero_rows(tables.cells)
        neurons = -(-hidden // WORD) * WORD  # those beyond never fire
        every, some = np.zeros((2, neurons // LANES), np.uint16)

        self.state = (
            np.full((steps, neurons), -np.inf, np.float32),
            np.full((steps, neurons if tables.shifted else 0), -np.inf, np.float32),
            np.zeros((steps, neurons if tables.varied else 0), np.float32),
            np.full((steps, LANES), np.inf, np.float32),  # what is no class never fires
            self.fired,
            self.output,
            self.counts,
            (
                np.empty(neurons, np.float32),
                *(every, some, every.view(np.uint64), some.view(np.uint64)),
                zero_rows(SETS * (tables.widest + 1)),
                zero_rows(1),
            ),
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
                bits = output[:, self.tables.starts[v] + j, None] >> np.arange(self.tables.classes, dtype=np.uint16)
                spikes = (bits & 1).astype(np.bool_)
                self.observe(Spikes(v, ratios, number, first, hidden[None], spikes[None]))
