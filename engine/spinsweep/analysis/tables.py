"""Means and half widths as a table for a paper: Markdown, LaTeX, CSV."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from spinsweep.analysis.design import MOST_SERIES, Design, text_of
from spinsweep.analysis.estimates import WANTED, estimate, numbers
from spinsweep.axis import closest
from spinsweep.errors import SpecError
from spinsweep.si import PREFIXED, PREFIXES, power_of

NOTHING = "–"
INCOMPLETE = "*"
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "−": "$-$", "–": "--", "µ": r"$\mu$",
    "Ω": r"$\Omega$", "×": r"$\times$", "<": r"$<$", "∞": r"$\infty$", ">": r"$>$", "|": r"$|$",
}  # fmt: skip


@dataclass(frozen=True)
class PrintedTable:
    """A table as it is printed; ``frame`` has its numbers."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    row_names: int
    """Number of the first columns that name the row."""
    note: str
    """What the numbers are, and what is missing."""
    frame: pd.DataFrame
    """One row for each row of the table, or for each mean, with unrounded numbers."""

    def to_markdown(self) -> str:
        """A table of pipes, and the note below it."""
        cells = [[_markdown(text) for text in row] for row in (self.header, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        ruled = [
            "-" * width if place < self.row_names else "-" * (width - 1) + ":" for place, width in enumerate(widths)
        ]
        lines = ["| " + " | ".join(t.ljust(w) for t, w in zip(row, widths, strict=True)) + " |" for row in cells]
        return "\n".join([lines[0], "| " + " | ".join(ruled) + " |", *lines[1:], "", self.note])

    def to_latex(self) -> str:
        """A ``tabular`` with the rules of the package booktabs, and the note below it."""
        columns = len(self.header)
        body = [" & ".join(map(_latex, row)) + r" \\" for row in self.rows]
        lines = [
            rf"\begin{{tabular}}{{{'l' * self.row_names}{'r' * (columns - self.row_names)}}}",
            r"\toprule",
            " & ".join(map(_latex, self.header)) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            "",
            rf"\smallskip\footnotesize {_latex(self.note)}",
        ]
        return "\n".join(lines)

    def to_csv(self) -> str:
        """The numbers of ``frame``, unrounded."""
        return str(self.frame.to_csv(index=False, lineterminator="\n"))

    def text(self, form: Literal["markdown", "latex", "csv"]) -> str:
        """In one of these forms, without a last line end."""
        return {"markdown": self.to_markdown, "latex": self.to_latex, "csv": self.to_csv}[form]().rstrip("\n")

    def __str__(self) -> str:
        return self.to_markdown()

    def _repr_markdown_(self) -> str:
        return self.to_markdown()


def table(
    dataset: xr.Dataset,
    output: str,
    over: Sequence[str] | str | None = None,
    columns: str | None = None,
    level: float = 0.95,
) -> PrintedTable:
    """The means of an output over its replicates.

    Parameters
    ----------
    dataset : a cube, or a selection from one
    over : axes that are replicates; None: those with names such as ``seed`` (``spinsweep.axis.REPLICATES``)
    columns : the axis whose values are columns; None: of several axes, the last one that has at most six values; ""
        for none
    level : confidence of the intervals: Student's t, or Wilson's for an output of booleans; see
        :func:`spinsweep.analysis.estimates.estimate`

    Raises
    ------
    SpecError
        There is no such output or axis, the output holds no numbers, or the level is not between 0 and 1.

    Returns
    -------
    A table whose ``frame`` has one row for each mean: the axes' values, then ``mean``, ``half`` (half the width of
    the interval), ``low``, ``high``, ``count`` and ``missing`` (replicates with and without a number); in the
    output's unit
    """
    values = numbers(dataset, output)
    design = Design.of(values, over)
    values = values.isel({d: 0 for d in values.dims if values.sizes[d] == 1})
    dims = [str(d) for d in values.dims if d not in design.replicates]
    across = _columns(values, dims, columns)
    estimates = estimate(values, design.replicates, level)
    unit, factor = _unit(values)
    shown = _texts(estimates, factor, is_share=bool(values.attrs["is_share"]))
    name = f"|{output}|" if values.attrs["is_magnitude"] else output
    heading = f"{name} ({unit})" if unit else name
    rows_over = [d for d in dims if d != across]
    titles = [titled(values, d) for d in rows_over]
    shown = shown.transpose(*rows_over, *([across] if across else []))
    numbers_over = [f"{across} = {text_of(v)}" for v in values[across].values] if across else [heading]
    rows = []
    for place in itertools.product(*(range(values.sizes[d]) for d in rows_over)):
        names = [text_of(values[d].values[i]) for d, i in zip(rows_over, place, strict=True)]
        rows.append((*names, *np.atleast_1d(shown.values[place]).tolist()))
    note = _note(values, estimates, design, level, f"{heading}: " if across else "")
    return PrintedTable((*titles, *numbers_over), tuple(rows), len(titles), note, _frame(estimates, dims))


def _columns(values: xr.DataArray, dims: Sequence[str], columns: str | None) -> str:
    if columns and columns not in dims:
        known = ", ".join(dims) or "none"
        raise SpecError(f"there is no axis {columns!r} for the columns{closest(columns, dims)}; there are {known}")
    if columns is not None or len(dims) < 2:
        return columns or ""
    return next((d for d in reversed(dims) if values.sizes[d] <= MOST_SERIES), "")


def _unit(values: xr.DataArray) -> tuple[str, float]:
    """The unit with the prefix that suits the largest number, and by what numbers are divided."""
    unit = str(values.attrs.get("units", "1"))
    if unit in ("1", ""):
        return "", 1.0
    largest = float(np.nanmax(np.abs(values.values), initial=0.0))
    power = power_of(largest, unit) if unit in PREFIXED and math.isfinite(largest) else 0
    return f"{PREFIXES[power]}{unit}", 10.0**power


def titled(values: xr.DataArray | xr.Dataset, dim: str) -> str:
    """The name of a dim with its unit."""
    unit = str(values[dim].attrs.get("units", "1"))
    return dim if unit in ("1", "") else f"{dim} ({unit})"


def _texts(estimates: xr.Dataset, factor: float, *, is_share: bool) -> xr.DataArray:
    """Each mean with its interval as it is printed."""
    text = np.vectorize(lambda *n: _text(*n, is_share=is_share), otypes=[object])
    parts = [estimates[n].values / factor for n in ("mean", "low", "high")]
    written = text(*parts, estimates["missing"].values)
    return estimates["mean"].copy(data=written)


def _text(mean: float, low: float, high: float, missing: int, *, is_share: bool) -> str:
    if not math.isfinite(mean):
        return NOTHING
    mark = INCOMPLETE if missing else ""
    half = (high - low) / 2
    if not math.isfinite(half):
        return f"{mean:.4g}{mark}".replace("-", "−")
    digits = decimals(half) if half else decimals(mean / 1000 or 1.0)
    if is_share:
        return f"{mean:.{digits}f} ({low:.{digits}f}–{high:.{digits}f}){mark}"
    return f"{mean:.{digits}f} ± {half:.{digits}f}{mark}".replace("-", "−")


def with_bounds(value: float, low: float, high: float) -> str:
    """A number and its interval, with two digits of half its width; a bound may be infinite or NaN."""
    if not math.isfinite(value):
        return NOTHING
    widths = [abs(bound - value) for bound in (low, high) if math.isfinite(bound) and bound != value]
    if math.isnan(low) or math.isnan(high) or not widths:
        return f"{value:.4g}".replace("-", "−")
    digits = decimals(min(widths))
    parts = [f"{number:.{digits}f}".replace("inf", "∞").replace("-", "−") for number in (value, low, high)]
    return f"{parts[0]} ({parts[1]} to {parts[2]})"


def decimals(half: float) -> int:
    """Decimals that give a half width two digits, and at least none."""
    return min(15, max(0, 1 - math.floor(math.log10(abs(half)))))


def _note(values: xr.DataArray, estimates: xr.Dataset, design: Design, level: float, what: str) -> str:
    parts = []
    if design.replicates:
        first, *others = design.replicates
        sizes = " × ".join(f"{d} ({values.sizes[d]})" for d in design.replicates)
        counts = (estimates["count"] + estimates["missing"]).values
        if not others and (some := counts[counts > 0]).size and some.min() < some.max():
            sizes = f"{first} ({some.min()} to {some.max()})"
        is_wilson = values.attrs["is_share"] and not others
        over = f" over {first} alone" if others else ""
        how = f" ± half width of Student's t interval ({100 * level:g} %){over}"
        if is_wilson:
            how = f" with Wilson's interval ({100 * level:g} %)"
        parts.append(f"{what}Mean over {sizes}{how}.")
    elif what:
        parts.append(f"{what[:-2]}.")
    if fixed := [f"{d} = {text_of(c.values)}" for d, c in values.coords.items() if c.ndim == 0 and d != WANTED]:
        parts.append(f"Everywhere {', '.join(fixed)}.")
    nothing = int((estimates["count"] == 0).sum())
    partly = int(((estimates["missing"] > 0) & (estimates["count"] > 0)).sum())
    if partly:
        parts.append(f"{INCOMPLETE}: some replicates are missing ({partly} of {estimates['mean'].size}).")
    if nothing:
        parts.append(f"{NOTHING}: no number ({nothing} of {estimates['mean'].size}).")
    return " ".join(parts)


def _frame(estimates: xr.Dataset, dims: Sequence[str]) -> pd.DataFrame:
    whole = estimates.assign(half=(estimates["high"] - estimates["low"]) / 2)
    names = ["mean", "half", "low", "high", "count", "missing"]
    if not dims:
        return pd.DataFrame({n: [whole[n].item()] for n in names})
    frame = whole[names].to_dataframe(dim_order=list(dims)).reset_index()
    return frame[[*dims, *names]]


def _markdown(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def _latex(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in text.replace("\n", " "))
