"""Verbs that the characterization adds to the command line: ``spinsweep import`` and ``spinsweep card``."""

from __future__ import annotations

from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from spinneurons.characterization.fits_command import notes
from spinneurons.characterization.store import characterization, require_free
from spinneurons.neurons import card as cards
from spinneurons.neurons.family import FittedDevices
from spinneurons.neurons.registry import family_of
from spinsweep.cli.display import Display
from spinsweep.cli.options import Store
from spinsweep.cube import Cube, execute, open_storage
from spinsweep.errors import CubeError, SpecError
from spinsweep.ledger import State
from spinsweep.printable import say
from spinsweep.runs import open_run
from spinsweep.spec import Sweep

if TYPE_CHECKING:  # they take a second to load
    import xarray as xr

    from spinneurons.logs.cycles import Cycles
    from spinneurons.logs.mapping import LogMapping


MEASURED = ("fitted", "never_switched", "always_switched")
"""Statuses of devices of which a log says something."""


def import_log(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="The log: one file, or one for each device or day.", show_default=False),
    ],
    store: Annotated[str, typer.Argument(help="The cube to make: a folder or a URL.", show_default=False)],
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
            help="What is the same for all rows, such as 'width=2 um' or 'i_read=50 uA'.",
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
    polarity: Annotated[
        str,
        typer.Option(
            show_default=False, help="positive or negative: which write currents to take, if there are both."
        ),
    ] = "",
    link: Annotated[str, typer.Option(help="Switching curve to fit: logistic or cloglog.")] = "logistic",
    reset_state: Annotated[
        int, typer.Option(help="-1 if the reset level is the low resistance, 1 if it is the high one.")
    ] = -1,
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples for the intervals.")] = 1000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is understood, and make nothing.")] = False,
) -> int:
    """Turn a laboratory's log into a characterization cube, with switching decisions, fits and intervals.

    It reads text (CSV and its kin), LabVIEW, PPMS, Excel, HDF5, netCDF, MATLAB, NumPy and Parquet files, and says how
    it understood them. Quantities: width, device, i_write, cycle, r_reset and r_write; voltages with a read current
    and current densities will do as well. Further columns are kept. If a row is malformed, the message names file,
    line and column, and nothing is imported. A store that holds another log is refused.

    Example:  spinsweep import lab.csv results/lab.zarr
              spinsweep import w*_d*.csv results/lab.zarr --name-pattern 'w{width_um}_d{device}.csv'
    """
    from spinneurons.characterization.fit_table import rows
    from spinneurons.characterization.imported import ImportedLog, is_recorded, recorded  # takes a second to load
    from spinneurons.characterization.log_files import understood
    from spinneurons.logs.table import LogError

    try:
        if polarity not in ("", "positive", "negative"):
            raise LogError(f"--polarity {polarity}: is positive or negative")
        meaning = _meaning(columns or [], constant or [], name_pattern, mapping)
        cycles = understood(files, meaning, polarity)
    except LogError as error:
        raise SpecError(str(error)) from None
    said = {**asdict(meaning), "polarity": polarity} if polarity or meaning != type(meaning)() else {}
    sweep = recorded(cycles, files, said, link, reset_state, resamples)
    assert isinstance(sweep.function, ImportedLog)
    log = sweep.function.log
    if not dry_run:
        _check_same_import(store, sweep, ", ".join(map(str, files)))
    _say_understood(cycles, log)
    if dry_run:
        return 0
    source = ", ".join(file.name for file in files)
    attrs = {"imported_from": source, "sweep_reference": sweep.name}
    with (
        open_run(sweep, store, block=1, attrs=attrs, retry_failed=True) as run,  # failed ones may be damaged ones
        Display() as show,
    ):
        show.update(run)
        run.begin()
        for task in run.tasks():
            width, device = (run.cube.axes[n][i] for n, i in zip(run.cube.axis_names, task.block.start, strict=True))
            if is_recorded(log, width, device):
                run.note(execute(run.job, task))
            show.update(run)
        missing = run.progress.cells - run.progress.cells_ended
        show.finish()
        fits = rows(run.cube.dataset())
        for line in chain.from_iterable(map(notes, fits)):
            say(line)
        if missing:
            say(f"absent    {missing} devices have no row in {source}")
        counts = run.finish()
        return 0 if counts.failed == 0 and any(row["status"] in MEASURED for row in fits) else 1


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


def _say_understood(cycles: Cycles, log: xr.Dataset) -> None:
    """How the files were read, what was not used of them, and what they hold."""
    for note in cycles.notes:
        say(f"read      {note}")
    for note in cycles.left_out:
        say(f"not used  {note}")
    shape = ", ".join(f"{log.sizes[n]} {n}s" for n in ("width", "device", "current", "cycle"))
    low, high = (1e3 * float(f(log["i_write"])) for f in (np.nanmin, np.nanmax))
    say(f"holds     {len(cycles.frame)} cycles: {shape}, currents from {low:.4g} to {high:.4g} mA")


def _check_same_import(store: str, sweep: Sweep, source: str) -> None:
    """An import goes on with the log and the options that it began with; anything else is a CubeError."""
    if not open_storage(store).exists("zarr.json"):
        return
    cube = Cube(store)
    remedy = f"give another store, or remove {store} first"
    if cube.attributes.imported_from is None:
        raise CubeError(f"{store} holds the sweep {cube.attributes.sweep}, which is no imported log; {remedy}")
    differences = {name.removeprefix("parameters."): (old, new) for name, old, new in cube.differences(sweep)}
    if "recording" in differences:
        raise CubeError(
            f"{store} holds another log than {source}: what {cube.attributes.imported_from} was when it was "
            f"imported; {remedy}"
        )
    for name, (old, new) in differences.items():
        raise CubeError(f"{store} was imported with {name} = {old!r}, and not with {new!r}; {remedy}")


def card(
    store: Store,
    out: Annotated[Path | None, typer.Option(help="File to write.", show_default="standard output")] = None,
    base: Annotated[
        Path | None,
        typer.Option(
            help="Card for what was not measured (read-out, pulses, drift).",
            show_default="the cube's own, else the built-in one",
        ),
    ] = None,
    include_bad_fits: Annotated[
        bool, typer.Option("--include-bad-fits", help="Take devices as well whose counts contradict their curve.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> int:
    """Write a device card from the fits in a characterization cube, with the provenance "measured".

    Sweeps of devices take the card by --set card=FILE. Devices without a fit, and those with a bad one (p < 0.001),
    are named and left out.

    Example:  spinsweep card results/characterization.zarr --out my-card.toml
    """
    if out is not None:
        require_free(out, "--out", "card.toml", force=force)
    cube = characterization(store, "a card is fitted from a characterization")
    parameters = cube.attributes.params
    dataset = cube.dataset()
    kept, left_out = _for_card(dataset, include_bad_fits=include_bad_fits)
    fits = {name: dataset[name].where(kept).values for name in ("i_bias", "i_bias_stderr", "i0", "i0_stderr")}
    try:
        start = cards.load(base) if base else parameters.get("card") or cards.default()
    except cards.CardError as error:
        raise SpecError(str(error)) from None
    source = f"fit of {cube.storage.name}, {int(np.isfinite(fits['i_bias']).sum())} devices"
    try:
        devices = FittedDevices(dataset["width"].values, **fits, device=dataset["device"].values)
        fitted = family_of(start).measured(devices, source)
    except cards.CardError as error:
        raise SpecError("; ".join([f"{store}: {error}", *left_out])) from None
    for line in left_out:
        say(f"left out  {line}", error=out is None)  # standard output is the card's
    text = cards.dumps(fitted)
    if out is None:
        say(text.removesuffix("\n"))
    else:
        out.write_text(text, encoding="utf-8")
        say(out)
    return 0


def _for_card(cube: xr.Dataset, *, include_bad_fits: bool) -> tuple[xr.DataArray, list[str]]:
    """Which devices go into a card, (width, device) bool, and what is said of those that do not."""
    from spinneurons.characterization.fit_table import devices, goodness_of, reason

    kept, left_out = cube["cell_state"] == State.DONE, []
    for device in devices(cube):
        why = reason(cube, device)
        quality = goodness_of(cube, device)
        if quality and quality.is_bad and not include_bad_fits:
            why = f"bad fit, p = {quality.p_value:.1g}; --include-bad-fits takes it"
        if why:
            kept.loc[{"width": device.width, "device": device.label}] = False
            left_out.append(f"width {device.width:g} um, device {device.label}: {why}")
    return kept, left_out
