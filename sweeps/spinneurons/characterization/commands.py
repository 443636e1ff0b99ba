"""The verb ``spinsweep import``: a laboratory's log becomes a characterization cube."""

from __future__ import annotations

import math
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spinneurons.characterization.fits_command import notes
from spinsweep.cli.display import Display
from spinsweep.cube import Cube
from spinsweep.errors import SpecError
from spinsweep.printable import say

if TYPE_CHECKING:  # they take a second to load
    from spinneurons.logs.mapping import LogMapping


MEASURED = ("fitted", "never_switched", "always_switched")
"""Statuses of devices of which a log says something; so does one without data for a curve, if it has cycles."""


def import_log(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="The log: one file, or one for each device or day.", show_default=False),
    ] = None,
    store: Annotated[
        str,
        typer.Argument(
            metavar="STORE", show_default=False, help="The cube to make, or to append to: a folder or a URL."
        ),
    ] = "",
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--columns",
            metavar="QUANTITY=COLUMN",
            show_default=False,
            help='What a column means, such as \'i_write="Current (A)"\' or \'r_write={column="Rxy", unit="mohm"}\'.',
        ),
    ] = None,
    constant: Annotated[
        list[str] | None,
        typer.Option(
            "--constant",
            metavar="QUANTITY=VALUE",
            show_default=False,
            help="What is the same for all rows, such as 'width=2 um', 'i_read=50 uA', 'pulse_width=100 us' or n=30.",
        ),
    ] = None,
    name_pattern: Annotated[
        str,
        typer.Option(
            metavar="PATTERN",
            show_default=False,
            help="What the files' names say, such as 'w{width_um}_d{device}.csv'.",
        ),
    ] = "",
    mapping: Annotated[
        Path | None, typer.Option(metavar="MAP.toml", show_default=False, help="All of this in a file.")
    ] = None,
    draft_mapping: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="Print a mapping of what is recognised, and no more."),
    ] = None,
    polarity: Annotated[
        str,
        typer.Option(show_default=False, help="positive or negative: take only the write currents of that sign."),
    ] = "",
    axis: Annotated[
        str,
        typer.Option(
            metavar="COLUMN|NAME=VALUES",
            show_default=False,
            help="Fit a curve at each value of a column, such as a temperature, or at a value of each file: day=0,7.",
        ),
    ] = "",
    time_format: Annotated[
        str,
        typer.Option(metavar="FORMAT", show_default=False, help="Of columns of times, such as '%d/%m/%y %H:%M'."),
    ] = "",
    levels: Annotated[
        str, typer.Option(metavar="LOW,HIGH", show_default=False, help="The two levels of the readings, ohm.")
    ] = "",
    threshold: Annotated[
        float | None, typer.Option(metavar="OHM", show_default=False, help="A reading above it is the high state.")
    ] = None,
    difference: Annotated[
        bool, typer.Option("--difference", help="Tell states by r_write - r_reset, against a drifting offset.")
    ] = False,
    reset_state: Annotated[
        int, typer.Option(help="-1 if the reset level is the low resistance, 1 if it is the high one.")
    ] = -1,
    link: Annotated[str, typer.Option(help="Switching curve to fit: logistic or cloglog.")] = "logistic",
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples for the intervals.")] = 1000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is understood, and make nothing.")] = False,
) -> int:
    """Turn a laboratory's log into a characterization cube, with switching decisions, fits and intervals.

    It reads text (CSV and its kin), LabVIEW, PPMS, Excel, HDF5, netCDF, MATLAB, NumPy, Parquet and QCoDeS files, and
    says how it understood them. Quantities: width, device, i_write, cycle, r_reset and r_write; voltages with a read
    current and current densities will do as well, and so will counts: n_switched of n. Further columns are kept. If a
    row is malformed, the message names file, line and column, and nothing is imported. More files of the same log are
    appended to the store; rows that are in it stay.

    Example:  spinsweep import lab.csv results/lab.zarr
              spinsweep import w*_d*.csv results/lab.zarr --name-pattern 'w{width_um}_d{device}.csv'
              spinsweep import week0.csv week1.csv results/weeks.zarr --axis day=0,7
              spinsweep import --draft-mapping lab.csv > map.toml
    """
    from spinneurons.characterization.decisions import DecisionRule
    from spinneurons.characterization.fit_table import rows
    from spinneurons.characterization.import_report import doubts, remarks, reports, table  # take a second to load
    from spinneurons.characterization.imported import Understanding
    from spinneurons.characterization.importing import carry_out, plan
    from spinneurons.characterization.log_files import understood
    from spinneurons.logs import registry
    from spinneurons.logs.cycles import Selection
    from spinneurons.logs.draft import draft
    from spinneurons.logs.table import LogError

    paths = list(files or [])
    axis_name, axis_values = _axis(axis)
    try:
        if draft_mapping is not None:
            say(draft(registry.read(draft_mapping)).removesuffix("\n"))
            return 0
        if dry_run and store and not paths:
            paths, store = [Path(store)], ""  # which needs none
        elif dry_run and Path(store).is_file():
            paths, store = [*paths, Path(store)], ""
        if not paths or not (store or dry_run):
            raise LogError("import takes one file or more and a store: spinsweep import lab.csv results/lab.zarr")
        if polarity not in ("", "positive", "negative"):
            raise LogError(f"--polarity {polarity}: is positive or negative")
        meaning = _meaning(columns or [], constant or [], name_pattern, mapping)
        rule = DecisionRule(reset_state, _pair(levels), threshold, difference)
        rule.require_one()
        log = understood(paths, meaning, Selection(polarity, axis_name, time_format, axis_values))
    except LogError as error:
        raise SpecError(str(error)) from None
    source = ", ".join(dict.fromkeys(file.name for file in paths))
    planned = plan(log, source, store, Understanding(rule, link, resamples))
    for note in log.notes:
        say(f"read      {note}")
    for note in planned.log.left_out:
        say(f"not used  {note}")
    if planned.cube is not None:
        say(f"append    {planned.added} rows to those of {store}; {planned.known} were there already")
    devices = reports(planned.sweep)
    for line in table(planned.log, devices):
        say(f"holds     {line}")
    if all(device.decision.other_reset_state for device in devices):
        raise SpecError(f"{source}: {devices[0].decision.help}")
    for line in remarks(devices):
        say(f"look      {line}")
    for line in doubts(devices, log):
        say(f"warning   {line}", error=True)
    if dry_run:
        return 0
    if planned.replaces:  # in another folder, which a display would name
        counts = carry_out(planned, store, lambda run: None)
        say(f"cube      {store}, whose arrays are larger now")
    else:
        with Display() as show:
            counts = carry_out(planned, store, show.update)
            show.finish()
    fits = rows(Cube(store).dataset(at_once=True))
    for line in chain.from_iterable(map(notes, fits)):
        say(line)
    absent = counts.total - counts.done - counts.failed
    if absent:
        say(f"absent    {absent} devices have no row in {planned.source}")
    measured = any(row["status"] in MEASURED or (row["status"] == "no_data" and row["cycles"]) for row in fits)
    return 0 if counts.failed == 0 and measured else 1


def _pair(text: str) -> tuple[float, float] | None:
    """The numbers of ``LOW,HIGH``."""
    if not text:
        return None
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        raise SpecError(f"--levels {text}: is not LOW,HIGH in ohm, such as --levels=-0.3,0.35") from None
    return low, high


def _axis(text: str) -> tuple[str, tuple[float, ...]]:
    """Name of the further axis and its value in each file, from ``COLUMN`` or ``NAME=VALUES``."""
    name, equals, values = text.partition("=")
    if not equals:
        return name, ()
    try:
        numbers = tuple(map(float, values.split(",")))
    except ValueError:
        numbers = ()
    if not name.strip() or not numbers or not all(map(math.isfinite, numbers)):
        raise SpecError(f"--axis {text}: is not NAME=VALUES, a number for each file, such as --axis day=0,7")
    return name.strip(), numbers


def _meaning(columns: list[str], constants: list[str], name_pattern: str, mapping: Path | None) -> LogMapping:
    """What the user says of the files, on the command line or in a file."""
    from spinneurons.logs.mapping import load, parse
    from spinneurons.logs.table import LogError

    if mapping is None:
        return parse(columns, constants, name_pattern)
    if columns or constants or name_pattern:
        raise LogError(
            f"--mapping {mapping}: says what columns mean; leave out --columns, --constant and --name-pattern"
        )
    return load(mapping)
