"""How often the intervals of the lines hold what is true: many simulated characterizations of the card's devices.

The devices are drawn from the card, their counts at the currents of the sweep from their curves, and all curves of a
width are fitted at once.  Readings are not simulated: the Hall resistances of the two states are 180 standard
deviations of a reading apart, so reading them would give the same counts.

    python -m spinneurons.characterization.coverage 2000
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr

from spinneurons.analysis.fits import fit_line
from spinneurons.characterization.energy import relative_energy
from spinneurons.neurons import card as cards
from spinneurons.neurons.cubes import standard_error
from spinneurons.neurons.fit import fit_many, standard_errors
from spinneurons.neurons.hall_bar import HallBar
from spinsweep.analysis.intervals import wilson
from spinsweep.printable import brief, say

Floats = npt.NDArray[np.float64]

CURRENTS, CYCLES = 28, 100
"""Of each device, as in the sweep."""
BLOCK = 500
"""Characterizations at a time; part of the address of their random numbers, so it is never changed."""


class Coverage(NamedTuple):
    """One quantity over many characterizations."""

    true: float
    estimates: Floats
    low: Floats
    high: Floats
    """(draws,) each, in the unit of the quantity; NaN where there is no estimate or no interval."""

    @property
    def held(self) -> int:
        """Characterizations whose interval holds the true value; one without an interval does not."""
        return int(((self.low <= self.true) & (self.true <= self.high)).sum())

    @property
    def share(self) -> float:
        """Of all characterizations."""
        return self.held / self.estimates.size

    @property
    def middle(self) -> Floats:
        """(2,) between which 90 % of the estimates are."""
        return np.nanpercentile(self.estimates, [5, 95])


def characterizations(family: HallBar, draws: int, seed: int = 0) -> Iterator[xr.Dataset]:
    """Fitted devices of ``draws`` characterizations, in blocks: (draw, width, device) as the sweep's cube has them.

    Parameters
    ----------
    family : bound to a card; as many devices of each width as it says
    seed : of all random numbers; the first draws are the same whatever ``draws``
    """
    widths, count = np.array(family.labels()["width"]), len(family.labels()["device"])
    law = family.law()
    for start in range(0, draws, BLOCK):
        rng = np.random.default_rng([seed, start])
        fitted = np.empty((4, BLOCK, widths.size, count))
        for index, width in enumerate(widths):
            x = rng.uniform(-1, 1, (2, BLOCK * count))
            i_bias, i0 = (
                family.i_bias(width) * (1 + family.spread[0] * x[0]),
                family.i0(width) * (1 + family.spread[1] * x[1]),
            )
            i_write = family.write_currents(width, CURRENTS)
            switched = rng.binomial(CYCLES, family.probability(i_write, i_bias[:, None], i0[:, None], law))
            trials = np.full(CURRENTS, CYCLES)
            curves = fit_many(switched, trials, i_write, law)
            errors = standard_errors(curves, trials, i_write, law)
            numbers = (curves.i_bias, errors[0], curves.i0, errors[1])
            fitted[:, :, index] = np.stack(numbers).reshape(4, BLOCK, count)
        dims = ("draw", "width", "device")
        names = ("i_bias", "i_bias_stderr", "i0", "i0_stderr")
        cube = xr.Dataset({n: (dims, v) for n, v in zip(names, fitted, strict=True)}, {"width": widths})
        yield cube.assign(window=law.window * cube["i0"]).isel(draw=slice(0, draws - start))


def coverage(family: HallBar, draws: int, seed: int = 0) -> dict[str, Coverage]:
    """The quantities that claims of the paper are judged by, over simulated characterizations."""
    wide, narrow = max(family.labels()["width"]), min(family.labels()["width"])
    window = family.law().window
    true = {
        "slope of the bias current": float(family.i_bias(1) - family.i_bias(0)),
        "slope of the window": window * float(family.i0(1) - family.i0(0)),
        "bend of the bias current": 0.0,
        "bend of the window": 0.0,
        "energy ratio": float(family.i0(wide) / family.i0(narrow)) ** 2,
    }
    collected: dict[str, list[Floats]] = {name: [] for name in true}
    for cube in characterizations(family, draws, seed):
        for name, text in (("i_bias", "bias current"), ("window", "window")):
            error = standard_error(cube, name)
            line = fit_line(cube[name], "width", "device", error=error, proportional=True)
            for kind in ("slope", "bend"):
                ends = (line[kind + end].values for end in ("", "_low", "_high"))
                collected[f"{kind} of the {text}"].append(np.stack(list(ends)))
        energies = [
            relative_energy(cube["width"].values, one["i0"].values, one["i0_stderr"].values)
            for _, one in cube.groupby("draw", squeeze=False)
        ]
        collected["energy ratio"].append(1 / np.array([[e.relative[0], e.high[0], e.low[0]] for e in energies]).T)
    return {name: Coverage(true[name], *np.concatenate(parts, axis=1)) for name, parts in collected.items()}


def table(quantities: dict[str, Coverage]) -> str:
    """As Markdown: how often the interval holds the true value, and how far the estimates scatter."""
    lines = ["| quantity | true | 90 % of the estimates | the 95 % interval holds it |", "|---|---|---|---|"]
    for name, one in quantities.items():
        factor, unit = (
            (1e6, " µA/µm") if name.startswith("slope") else (1e2, " %") if name.startswith("bend") else (1, "")
        )
        low, high = (f"{factor * v:.3g}" for v in one.middle)
        share, least, most = (100 * float(v) for v in wilson(one.held, one.estimates.size))
        text = f"{share:.1f} % ({least:.1f} to {most:.1f})"
        lines.append(f"| {name} | {factor * one.true:.3g}{unit} | {low} to {high}{unit} | {text} |".replace("-", "−"))
    return "\n".join(lines)


def main(words: list[str] | None = None) -> None:
    """Print the table for the built-in card."""
    parser = argparse.ArgumentParser(prog="python -m spinneurons.characterization.coverage", description=main.__doc__)
    parser.add_argument("draws", type=_draws, help="simulated characterizations")
    options = parser.parse_args(words)
    say(table(coverage(HallBar(cards.default()), options.draws)))


def _draws(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{brief(text)} is not a whole number from 1 up, such as 2000")
    return int(text)


if __name__ == "__main__":
    main()
