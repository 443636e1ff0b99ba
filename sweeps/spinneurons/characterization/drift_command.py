"""``spinsweep drift``: how much the same devices changed between two characterizations, one by one and on average."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from spinneurons.characterization.store import characterization, require_free
from spinsweep.cli.console import console
from spinsweep.cli.options import Store
from spinsweep.cube import Cube
from spinsweep.disk import write_whole
from spinsweep.errors import SpecError
from spinsweep.figure_files import content, settings
from spinsweep.figure_options import FigureOptions
from spinsweep.printable import say

if TYPE_CHECKING:
    import xarray as xr

    from spinneurons.persistence.analysis import MeanDrift

PURPOSE = "drift is that of characterizations"
PICTURES = (".png", ".svg", ".pdf")


def drift(
    store: Store,
    later: Annotated[
        str | None,
        typer.Argument(
            metavar="LATER",
            show_default=False,
            help="The cube of the same devices later; without it, the first and the last day of the one cube.",
        ),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all columns to this file.", show_default=False)
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw Fig. S4 to this file: png, svg or pdf.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
) -> int:
    """Show how much the same devices changed between two characterizations: imported, simulated or measured ones.

    For each device: the change of the bias and of the scale current with its 95 % interval, from the errors of both
    fits, and the p-value that neither changed (likelihood ratio). Then the mean over devices, and the scatter between
    them beyond these errors. Devices are the same if width and name are. Those in one cube alone, and those without a
    fit, are named.

    Example:  spinsweep drift results/week0.zarr results/week1.zarr --figure drift.png
              spinsweep drift results/lab.zarr
    """
    if csv is not None:
        require_free(csv, "--csv", "drift.csv", force=force)
    if figure is not None:
        if figure.suffix not in PICTURES:
            raise SpecError(f"--figure {figure}: is no {', '.join(PICTURES)}")
        require_free(figure, "--figure", "drift.png", force=force)
    cubes = [characterization(name, PURPOSE) for name in (store, later) if name is not None]
    pair = _pair(cubes)
    from pandas import DataFrame

    from spinneurons.characterization.drift_table import rows
    from spinneurons.persistence.figures import FIGURES

    table = rows(pair)
    if not any(row["both"] for row in table):
        first, last = (sum(row[end] for row in table) for end in ("in_first", "in_last"))
        which = f"{store} and {later}" if later else f"the first and the last day of {store}"
        raise SpecError(
            f"{which} have no device in common, of {first} and {last}; those of one width and name are the same"
        )
    if csv is not None:
        columns = [name for name in table[0] if name not in ("both", "in_first", "in_last")]
        write_whole(str(csv), DataFrame(table)[columns].to_csv(index=False).encode())
    compared = [row for row in table if not row["reason"]]
    _show(compared)
    for line in _summary(pair, table):
        say(line)
    if figure is not None:
        with settings(FigureOptions()):
            write_whole(str(figure), content(FIGURES["s4_persistence"](pair), figure.suffix.removeprefix(".")))
    for written in (csv, figure):
        if written is not None:
            say(f"written   {written}")
    return 0 if compared else 1


def _pair(cubes: list[Cube]) -> xr.Dataset:
    """Both days of the one cube, or the two cubes."""
    from spinneurons.neurons.cubes import law
    from spinneurons.persistence.analysis import TIMES, time_axis
    from spinneurons.persistence.pairs import of_days, paired

    datasets = [cube.dataset(at_once=True) for cube in cubes]
    names = [cube.storage.name for cube in cubes]
    if len(cubes) == 1:
        axis = time_axis(datasets[0])
        if not axis or datasets[0].sizes[axis] < 2:
            raise SpecError(
                f"{names[0]} has no axis {', '.join(TIMES)} with two values; name the later cube too: spinsweep "
                f"drift {names[0]} LATER.zarr"
            )
        return of_days(datasets[0])
    links = [law(dataset).name for dataset in datasets]
    if links[0] != links[1]:
        raise SpecError(
            f"{names[0]} is fitted by {links[0]} and {names[1]} by {links[1]}, and their scale currents are not the "
            "same quantity; import or run one again with the other --link"
        )
    days = names if names[0] != names[1] else [str(cube.storage) for cube in cubes]
    return paired(datasets[0], datasets[1], days)


def _show(compared: list[dict[str, Any]]) -> None:
    if not compared:
        return
    shown = Table(
        "width\n(µm)", "device", "I_bias\n(mA)", "later\n(mA)", "change of I_bias\n(%), 95 %",
        "change of i0\n(%), 95 %", "p", box=None, header_style="bold", pad_edge=False,
    )  # fmt: skip
    for row in compared:
        shown.add_row(
            f"{row['width_um']:g}", str(row["device"]),
            *(f"{1e3 * row[f'i_bias_{end}_A']:.4g}" for end in ("first", "last")),
            _interval(row, "i_bias", 2), _interval(row, "i0", 1),
            f"{row['p_value']:.2g}" + ("  bad fit" if row["bad_fit"] else ""),
        )  # fmt: skip
    console().print(shown)


def _interval(row: dict[str, Any], name: str, digits: int) -> str:
    value, low, high = (row[f"{name}_change{end}_percent"] for end in ("", "_low", "_high"))
    return f"{value:+.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _summary(pair: xr.Dataset, table: list[dict[str, Any]]) -> Iterator[str]:
    """Means, and what is not in them."""
    from spinneurons.persistence.analysis import change, mean_drift
    from spinneurons.persistence.figures import day_text

    yield f"compared  {day_text(pair['day'][0])} and {day_text(pair['day'][-1])}"
    for name, label in (("i_bias", "I_bias"), ("i0", "i0")):
        yield from _mean(label, mean_drift(change(pair, name)))
    compared = [row for row in table if not row["reason"]]
    if compared:
        moved = sum(row["p_value"] < 0.05 for row in compared)
        expected = f"about {0.05 * len(compared):.2g} are expected by chance"
        yield f"changed   {moved} of {len(compared)} devices, p < 0.05; {expected}"
    if bad := sum(row["bad_fit"] for row in compared):
        yield f"bad fit   {bad} devices, marked: their intervals take a curve to be right that the counts contradict"
    without = [row for row in table if row["reason"]]
    for row in without:
        word = "no fit" if row["both"] else "absent"
        yield f"{word:10}width {row['width_um']:g} um, device {row['device']}: {row['reason']}"
    if without:
        absent = sum(not row["both"] for row in without)
        yield (
            f"left out  {len(without)} of {len(table)} devices: {absent} absent from one cube or day, "
            f"{len(without) - absent} without a fit"
        )


def _mean(label: str, mean: MeanDrift) -> Iterator[str]:
    if not mean.devices:
        return
    if mean.devices == 1:
        yield f"drift     {label} {mean.mean:+.2f} %: one device, and no scatter between devices"
        return
    yield (
        f"drift     {label} {mean.mean:+.2f} % on average ({mean.low:.2f} to {mean.high:.2f}); devices scatter by "
        f"{mean.scatter:.2f} % beyond the errors of their fits ({mean.scatter_low:.2f} to {mean.scatter_high:.2f})"
    )
