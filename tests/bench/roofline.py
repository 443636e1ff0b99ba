"""Where the time of a plane goes: each part of the compiled loops by itself, beside what the processor can do.

    python -m tests.bench.roofline --images 400

Processor time of one thread, medians of the rounds.  A product is compared with the peak rate of a large product of
the same type, a copy with that of a copy in the same cache, additions of rows with one row of 64 bytes that is found
by its bit, read and added each cycle.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tests.bench.codesign import STEPS, real_plane

from spinneurons.codesign import fused, model
from spinneurons.codesign.draws import Batch, Draws, input_limits
from spinneurons.codesign.tables import PlaneTables


@dataclass(frozen=True)
class Part:
    """One part of the work on an image."""

    name: str
    seconds: float
    """Of one image."""
    amount: float
    unit: str
    peak: float = 0.0
    """Amount a second; 0: not known."""

    def line(self, total: float) -> str:
        rate = self.amount / self.seconds
        of_peak = f"{100 * rate / self.peak:5.0f} %" if self.peak else "      -"
        return (
            f"{self.name:<34}{1e6 * self.seconds:9.1f}{100 * self.seconds / total:7.0f} %"
            f"{rate / 1e9:11.1f} {self.unit:<9}{of_peak}"
        )


def seconds(work: Callable[[], object], calls: int, rounds: int) -> float:
    """Processor time of one call: the median of the rounds."""
    work()
    times = []
    for _ in range(rounds):
        began = time.thread_time()
        for _ in range(calls):
            work()
        times.append((time.thread_time() - began) / calls)
    return statistics.median(times)


class Kernel(fused.FusedKernel):
    """The kernel with its work on one image in parts."""

    def parts(self, batch: Batch, index: int, rounds: int) -> list[Part]:
        """The parts in order."""
        self.add(batch[index : index + 1])
        tables, image = self.tables, batch.images[index]
        active, number = np.flatnonzero(image), int(batch.numbers[index])
        n, columns = len(active), tables.first_layer.shape[1]
        each = n + tables.neurons + 1
        u = self.draws.draw_chunk(number, 0, STEPS, each)
        x, weights, z = self.x[: STEPS * n].reshape(STEPS, n), self.active_weights[:n], self.z
        gain, factors, starts, shifted, for_a, for_b, shares = self.shared
        limits, rows, constants, steps, shifts = self.each
        plain, a, b, later, fired, output, counts, scratch = self.state
        d = np.zeros((len(for_a), STEPS, a.shape[1]), np.float32)
        every, some = np.zeros((2, len(for_a), STEPS, a.shape[1] // fused.LANES), np.uint16)
        row, sums, total = scratch[0], *scratch[-2:]

        def timed(work: Callable[[], object]) -> float:
            return seconds(work, 20, rounds)

        def variations() -> None:
            for v in range(len(for_a)):
                cells = slice(starts[v], starts[v + 1])
                drive = a if shifted[v] else plain
                fused._variation(
                    drive, b if for_b[v] != 0 else drive, v, for_a[v], for_b[v], limits[v], rows[v], constants[v],
                    steps, later, shifts[v], fired[v], output[:, cells], self.read[:, cells], scratch, tables.classes,
                )  # fmt: skip

        def comparisons() -> None:
            for v in range(len(for_a)):
                drive = a if shifted[v] else plain
                moved, widths = b if for_b[v] != 0 else drive, tables.variations[v].widths
                _comparisons(row, every[v], some[v], d[v], drive, for_a[v], moved, for_b[v], limits[v], widths)

        def additions() -> None:
            for v in range(len(for_a)):
                words = every[v].view(np.uint64), some[v].view(np.uint64)
                _additions(d[v], *words, limits[v], rows[v], sums, total)

        weight_bytes = n * columns * 4
        spikes = STEPS * tables.cells * tables.hidden
        drawn = timed(lambda: self.draws.draw_chunk(number, 0, STEPS, each))
        many = 1 << 20
        philox = many / seconds(lambda: self.draws._generator.random_raw(many // 4), 1, rounds)
        copied = np.empty_like(weights)
        copies = weight_bytes / timed(lambda: np.copyto(copied, weights))
        product = timed(lambda: torch.mm(torch.from_numpy(x), torch.from_numpy(weights), out=torch.from_numpy(z)))
        whole = timed(variations)
        compared, added = timed(comparisons), timed(additions)
        row_updates = int(np.bitwise_count(every).sum() + np.bitwise_count(some).sum())
        u_tie, sizes = u[:, -1], (tables.hidden, tables.classes)
        return [
            Part("random numbers", drawn, STEPS * each, "G numbers", philox),
            Part(
                "input spikes", timed(lambda: np.copyto(x, u[:, :n] <= input_limits()[image[active]])), STEPS * n, "G"
            ),
            Part(
                "rows of W1 and D1 of lit pixels",
                timed(lambda: np.take(tables.first_layer, active, axis=0, out=weights, mode="clip")),
                weight_bytes,
                "GB",
                copies,
            ),
            Part("x W1 and x D1", product, 2.0 * STEPS * n * columns, "GFLOP", 1e9 * float32_peak()),
            Part(
                "thresholds, a and b",
                timed(
                    lambda: fused._drives(z, u[:, n:], tables.thresholds, gain, factors, plain, a, b, later, *sizes)
                ),
                STEPS * tables.neurons,
                "G",
            ),
            Part("comparisons with the widths", compared, spikes, "G"),
            Part("additions of rows of W2", added, row_updates, "G rows", clock()),
            Part("output spikes", max(whole - compared - added, 0.0), tables.cells * STEPS * tables.classes, "G"),
            Part(
                "classes",
                timed(lambda: fused._classify(output, counts, 0, u_tie, False, shares, self.shares, self.spikes)),
                tables.cells * STEPS * tables.classes,
                "G",
            ),
        ]


@fused.compiled
def _comparisons(row, every, some, d, a, for_a, b, for_b, limits, widths):  # type: ignore[no-untyped-def]
    for t in range(len(a)):
        fused._compare(row, every[t], some[t], a[t], for_a, b[t], for_b, limits, widths)
        for h in range(len(row)):  # to be added by itself
            d[t, h] = row[h]


@fused.compiled
def _additions(d, every, some, limits, weights, sums, total):  # type: ignore[no-untyped-def]
    for t in range(len(d)):
        fused._add_weights(d[t], every[t], some[t], limits, weights, sums, total)


def float32_peak(n: int = 1536) -> float:
    """GFLOP/s of a large product on one thread."""
    a = torch.ones(n, n)
    return 2 * n**3 / seconds(lambda: a @ a, 1, 3) / 1e9


def clock() -> float:
    """Cycles a second: dependent additions take one each."""
    n = 100_000_000
    return n / seconds(lambda: _chain(n), 1, 3)


@fused.compiled
def _chain(n):  # type: ignore[no-untyped-def]
    x = np.uint64(n)
    for _ in range(n // 4):  # a shift and an exclusive or, twice: nothing that a compiler would fold
        x ^= x >> np.uint64(7)
        x ^= x << np.uint64(9)
    return n if x != np.uint64(0) else n + 1


def main(arguments: Sequence[str] | None = None) -> list[Part]:
    """Print the table of one image, the mean of some."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.roofline")
    parser.add_argument("--images", type=int, default=20, help="of which the mean is taken")
    parser.add_argument("--rounds", type=int, default=5, help="of which the median is taken")
    parser.add_argument("--epochs", type=int, default=40, help="of the network's training")
    options = parser.parse_args(arguments)
    most = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        chip, batch, etas, ratios = real_plane(max(options.images, 1), options.epochs)
        grid = model.CellGrid(etas, ratios, STEPS)
        kernel = Kernel(PlaneTables(chip, grid), Draws((1, 2)), "cpu", None)
        every: list[list[Part]] = [kernel.parts(batch, index, options.rounds) for index in range(len(batch))]
        loop: Any = seconds(lambda: kernel.add(batch), 1, options.rounds) / len(batch)
    finally:
        torch.set_num_threads(most)
    parts = [
        Part(p.name, *(statistics.fmean(getattr(q, f) for q in of) for f in ("seconds", "amount")), p.unit, p.peak)  # type: ignore[arg-type]
        for of in zip(*every, strict=True)
        for p in of[:1]
    ]
    print(
        f"an image in a plane of {len(etas)} variations and {len(ratios)} widths, {STEPS} steps: {1e6 * loop:.0f} us"
    )
    print(f"{'part':<34}{'us':>9}{'share':>9}{'rate a second':>21}{'of peak':>9}")
    for part in parts:
        print(part.line(loop))
    print(f"{'all parts':<34}{1e6 * sum(part.seconds for part in parts):9.1f}")
    return parts


if __name__ == "__main__":
    main()
