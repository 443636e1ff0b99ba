"""``spinsweep fits``: the fits of a characterization as a table, how good they are, and which devices have none."""

from __future__ import annotations

import math
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from rich.table import Table

from spinneurons.characterization.goodness import BOOTSTRAP
from spinneurons.characterization.store import characterization, require_free
from spinsweep.cli.console import console, styled
from spinsweep.cli.options import Store
from spinsweep.disk import write_whole
from spinsweep.ledger import State
from spinsweep.printable import say

COLUMNS = (
    "width\n(µm)", "device", "I_bias (mA)\n95 %", "i0 (µA)\n95 %", "window (mA)\n95 %",
    "deviance\n/dof", "p", "over-\ndispersion", "runs\np", "law by AIC\n(difference)",
)  # fmt: skip


def fits(
    store: Store,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all columns to this file, in A.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> int:
    """Show the fits of a characterization: currents, intervals, goodness of fit, and which devices have no fit.

    The p-value is that of the deviance: by chi-square, or, where expected counts are too small for it, from data sets
    drawn from the fitted curve (marked *). The runs test finds pulses that depend on the pulse before. A law is
    named if its AIC is smaller by 2.

    Example:  spinsweep fits results/lab.zarr --csv fits.csv
    """
    if csv is not None:
        require_free(csv, "--csv", "fits.csv", force=force)
    cube = characterization(store, "fits are those of a characterization").dataset(at_once=True)
    from pandas import DataFrame

    from spinneurons.characterization.fit_table import rows

    missing = int((cube["cell_state"] != State.DONE).sum())
    table = rows(cube)
    if csv is not None:
        write_whole(str(csv), DataFrame(table).to_csv(index=False).encode())
    _show(table)
    fitted, bad = sum(row["status"] == "fitted" for row in table), sum(row["bad_fit"] for row in table)
    say(f"fits      {fitted} of {len(table)} devices have a fit, {bad} of these a bad one")
    if missing:
        say(f"absent    {missing} devices are not done")
    if csv is not None:
        say(f"written   {csv}")
    return 0


def _show(table: list[dict[str, Any]]) -> None:
    out = console()
    fitted = [row for row in table if row["status"] == "fitted"]
    if fitted:
        shown = Table(*COLUMNS, box=None, header_style="bold", pad_edge=False)
        for row in fitted:
            shown.add_row(*_cells(row))
        out.print(shown)
        if any(row["p_method"] == BOOTSTRAP for row in fitted):
            out.print(styled("* expected counts are too small for chi-square: parametric bootstrap", "dim"))
        out.print(styled(_detection(fitted), "dim"))
    for line in chain.from_iterable(map(notes, table)):
        say(line)


def notes(row: dict[str, Any]) -> list[str]:
    """What is said of one device: why it has no fit, with the bounds of its bias current; or that its fit is bad; and
    what a long record at one current says.
    """
    name = f"width {row['width_um']:g} um, device {row['device']}"
    long = [f"endurance {name}: {_endurance(row)}"] if row["long_cycles"] else []
    if row["reason"]:
        return [f"no fit    {name}: {row['reason']}{_bounds(row)}", *long]
    lines = long
    if row["bad_fit"]:
        lines.append(
            f"bad fit   {name}: deviance {row['deviance']:.3g} of {row['dof']} dof, p = {row['p_value']:.1g}"
        )
    if row["cycles_not_used"]:
        total = row["cycles"] + row["cycles_not_used"]
        why = "a reading was lost or is outside the levels, or the reset failed"
        lines.append(f"not used  {name}: {row['cycles_not_used']} of {total} cycles: {why}")
    if row["remark"]:
        lines.append(f"levels    {name}: {row['remark']}")
    return lines


def _endurance(row: dict[str, Any]) -> str:
    """A long record at one current: its share, its drift, and whether pulses depend on each other."""
    share, low, high, change, least, most = (
        100 * row[f"long_{n}"] for n in ("share", "low", "high", "change", "change_low", "change_high")
    )
    return (
        f"{row['long_switched']} of {row['long_cycles']} cycles switched at {1e3 * row['long_current_A']:.4g} mA, "
        f"{share:.1f} % ({low:.1f} to {high:.1f}); drift from start to end {change:+.1f} points ({least:.1f} to "
        f"{most:.1f}), p = {row['long_change_p_value']:.2g}; runs test "
        f"p = {_number(row['long_runs_p_value'], '.2g')}, correlation of neighbours "
        f"{_number(row['long_correlation'], '+.3f')}"
    )


def _bounds(row: dict[str, Any]) -> str:
    above, below = (1e3 * row[f"i_bias_{side}_A"] for side in ("above", "below"))
    ends = [f"{word} {value:.4g}" for word, value in (("above", above), ("below", below)) if math.isfinite(value)]
    return f"; I_bias is {' and '.join(ends)} mA (95 %)" if ends else ""


def _cells(row: dict[str, Any]) -> list[str]:
    star = "*" if row["p_method"] == BOOTSTRAP else ""
    bad = "  bad" if row["bad_fit"] else ""
    return [
        f"{row['width_um']:g}",
        str(row["device"]),
        _interval(row, "i_bias", 1e3),
        _interval(row, "i0", 1e6),
        _interval(row, "window", 1e3),
        f"{row['deviance']:.1f}/{row['dof']}",
        f"{_number(row['p_value'], '.2g')}{star}{bad}",
        _number(row["overdispersion"], ".2f"),
        _number(row["runs_p_value"], ".2g"),
        _law(row),
    ]


def _interval(row: dict[str, Any], name: str, factor: float) -> str:
    value, low, high = (factor * row[f"{name}{end}_A"] for end in ("", "_low", "_high"))
    return f"{value:.4g} ({low:.4g}-{high:.4g})"


def _number(value: float, form: str) -> str:
    return f"{value:{form}}" if math.isfinite(value) else "-"


def _law(row: dict[str, Any]) -> str:
    """The better law and by how much; which laws the data cannot tell apart."""
    aic = sorted((value, name.removeprefix("aic_")) for name, value in row.items() if name.startswith("aic_"))
    known = [entry for entry in aic if math.isfinite(entry[0])]
    if len(known) < 2:
        return "-"
    difference = known[1][0] - known[0][0]
    return f"{row['better_law'] or 'cannot tell'} ({difference:.1f})"


def _detection(fitted: list[dict[str, Any]]) -> str:
    share = median(row["law_detection"] for row in fitted)
    if not math.isfinite(share):
        return "one law alone: nothing to compare"
    return f"of data sets like these, {share:.0%} (median) would tell their own law by a difference of 2 or more"
