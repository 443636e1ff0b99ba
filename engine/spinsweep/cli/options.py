"""Options that several commands share, and how their texts are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from spinsweep import limits
from spinsweep.cli.inputs import default_store, missing_inputs
from spinsweep.cube import Cube, open_storage
from spinsweep.discovery import find
from spinsweep.equipment import Equipment
from spinsweep.errors import CubeError, SpecError
from spinsweep.plugins import installed_as
from spinsweep.printable import brief
from spinsweep.spec import Sweep
from spinsweep.until import Until
from spinsweep.views import View

Name = Annotated[
    str,
    typer.Argument(help="A sweep that `spinsweep list` shows, or your own as FILE.py, FILE.py:NAME or MODULE:NAME."),
]
Store = Annotated[
    str, typer.Argument(help="The cube that a run wrote: a folder such as results/characterization.zarr, or its URL.")
]
Into = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER|URL",
        show_default="results/NAME.zarr",
        help="The cube: a folder, or objects such as s3://BUCKET/NAME.zarr.",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUES",
        help="Values of an axis or a parameter: a,b,c is a list; 0:20 is the whole numbers 0 to 19; "
        "0:0.25:6 is six numbers from 0 to 0.25, 1e-3:1:log:7 seven with one ratio, 2026-01-01:2026-01-30:30 thirty "
        "dates. NAME+=VALUES adds values to those of the cube, or of the sweep. May be repeated.",
    ),
]
Seed = Annotated[
    int | None, typer.Option("--root-seed", help="Root seed of all random streams.", show_default="the sweep's own")
]
WithInputs = Annotated[
    bool,
    typer.Option("--with-inputs", help="First run what is missing of the cubes that the sweep takes as inputs."),
]
Block = Annotated[
    str | None,
    typer.Option(
        metavar="CELLS|AXIS=N,...",
        help="Cells in a block, or its length along axes. Results do not depend on it.",
        show_default="about a second of work",
    ),
]

Timeout = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="End a cell as failed that takes longer, keep its stack, and replace its worker.",
        show_default="as the sweep says, else none",
    ),
]
Retries = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ERROR=TIMES",
        help="Call a cell again, so often at most, that raised this exception, such as OSError=3. May be repeated.",
        show_default="as the sweep says, else never",
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Memory that the process of a cell may use, such as 2GiB: as many are computed at a time as fit, and a "
        "process that uses more is ended.",
        show_default="as the sweep says, else any",
    ),
]
Gpu = Annotated[
    float | None,
    typer.Option(
        metavar="NUMBER",
        help="GPUs that a cell needs and sees, or a part of one.",
        show_default="as the sweep says, else none",
    ),
]
MaxFailures = Annotated[
    float | None,
    typer.Option(
        metavar="CELLS",
        help="Stop when so many cells have failed; inf: never.",
        show_default="when the first 20 cells, or 50 of the first 100, failed with the same error",
    ),
]

UntilOption = Annotated[
    list[str] | None,
    typer.Option(
        "--until",
        metavar="'OUTPUT: half_width < X'",
        help="Compute replicates in rounds, only where the interval (95 %) of the output's mean is too wide: "
        "half_width < 0.005, or < 5 % of the mean. The values of the replicates' axis are the first round. "
        "May be repeated: all must hold.",
    ),
]
Max = Annotated[
    str | None,
    typer.Option(
        "--max",
        metavar="[AXIS=]N",
        help="How many replicates --until computes at most for each combination of the other axes, such as seed=200.",
    ),
]


def until_option(conditions: Sequence[str] | None, most: str | None) -> Until | None:
    """``--until`` and ``--max``; None where neither is given."""
    if most is None or not conditions:
        if most is None and not conditions:
            return None
        missing = "--max needs --until" if most else "--until needs --max"
        raise SpecError(f"{missing}, as in --until 'accuracy: half_width < 0.005' --max seed=200")
    name, _, text = most.rpartition("=")
    try:
        number = int(text)
    except ValueError:
        raise SpecError(f"--max {most}: not AXIS=N such as seed=200") from None
    return Until("; ".join(conditions), {name: number} if name else number)


def pairs(
    texts: Sequence[str] | None, option: str = "--set", form: str = "NAME=VALUES, such as seed=0:20"
) -> dict[str, str]:
    """``NAME=TEXT`` items as a mapping; each name once."""
    texts_by_name: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise SpecError(f"{option} {text}: not {form}")
        if name in texts_by_name:
            raise SpecError(f"{option} {name} is given twice; give all values in one list, such as {name}=1,2,3")
        texts_by_name[name] = value
    return texts_by_name


NamedSweep = Annotated[
    str | None,
    typer.Option("--sweep", metavar="FILE.py:NAME", help="The sweep that made the cube, if it is not installed."),
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust", help="Run the file or module that the cube names. Whoever made the cube wrote that code."
    ),
]
Over = Annotated[
    list[str] | None,
    typer.Option(
        metavar="AXIS",
        help="The axis whose values are replicates. May be repeated.",
        show_default="seed, device, repeat, ...",
    ),
]
TableForm = Annotated[
    Literal["markdown", "latex", "csv"], typer.Option("--format", help="csv has the unrounded numbers.")
]
Level = Annotated[float, typer.Option(help="Confidence of the intervals.")]
On = Annotated[
    Path | None,
    typer.Option(
        metavar="BENCH.toml",
        help="Measure on this bench instead of computing. The bench's lane, a worker of its own, does it.",
    ),
]

Tls = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder that `spinsweep certs` made. On loopback you can leave it out: your own certificates are used.",
    ),
]
Insecure = Annotated[
    bool,
    typer.Option(
        "--insecure",
        help="Use no certificates. Then anyone who can reach the address can run code as you, and so can every user "
        "of this machine.",
    ),
]


DashboardToken = Annotated[
    bool,
    typer.Option(
        "--dashboard-token",
        help="Make the address of the dashboard secret. Otherwise every user of this machine can open it.",
    ),
]
DashboardHost = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Another host name under which browsers may open the dashboard, such as that of a reverse proxy. "
        "May be repeated.",
    ),
]


def requested(
    name: str,
    settings: Sequence[str] | None,
    seed: int | None,
    equipment: Equipment | None = None,
    store: str | None = None,
) -> Sweep:
    """The sweep with the command line's settings, measured with equipment if some is given.

    Parameters
    ----------
    store : the cube that ``NAME+=VALUES`` adds to, if there is one; None: the default one
    """
    sweep = find(name)
    if equipment is not None:
        sweep = equipment.measured(sweep)
    texts, existing = pairs(settings), {}
    if any(setting.endswith("+") for setting in texts):
        path = store or default_store(sweep, equipment.name if equipment else "")
        existing = Cube(path).axes if open_storage(path).exists("zarr.json") else {}
    return sweep.with_text({**texts, **missing_inputs(sweep, texts)}, seed, existing)


def block_option(text: str | None) -> int | dict[str, int] | None:
    """``100`` or ``seed=20,width=1``."""
    if text is None:
        return None
    try:
        if "=" not in text:
            return int(text)
        return {n: int(v) for n, v in pairs(text.split(","), "--block").items()}
    except ValueError as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(
            f"--block {text}: not a number of cells such as 100, or AXIS=LENGTH such as seed=20,width=1"
        ) from None


def retries_option(texts: Sequence[str] | None) -> dict[str, int] | None:
    """``OSError=3`` items as numbers by name; None where there are none."""
    if not texts:
        return None
    times = {}
    for name, text in pairs(texts, "--retries", "ERROR=TIMES, such as OSError=3").items():
        try:
            times[name] = int(text)
        except ValueError:
            raise SpecError(f"--retries {name}={text}: not a number of times, such as {name}=3") from None
    return limits.retries("--retries", times)


def code_of(cube: Cube, named: str | None, *, trust: bool) -> str:
    """The name by which the sweep of a cube is found: an installed one, or what the user says.

    A cube is data, of whoever made it: the file or module that it names is imported only if the user trusts it.

    Raises
    ------
    CubeError
        The cube names a sweep that is not installed, and the user neither names one nor trusts the cube.
    """
    if named is not None and trust:
        raise SpecError(f"--sweep {named} and --trust: give one of them; --trust runs the sweep that the cube names")
    its_own = cube.attributes.sweep_reference or cube.attributes.sweep
    name = named or installed_as(its_own) or (its_own if trust else None)
    if name is None:
        raise CubeError(
            f"{cube.storage} was made by the sweep {brief(its_own)}, which is not installed; name your copy with "
            "--sweep FILE.py:NAME, or give --trust to run the code that the cube names, if you trust who made it"
        )
    return name


def declared_views(cube: Cube) -> tuple[View, ...]:
    """The views that the installed sweep of a cube declares; a cube does not hold them."""
    made = cube.attributes
    name = installed_as(made.sweep_reference or made.sweep)
    try:
        sweep = find(name) if name else None
    except SpecError:  # what does not need the code goes on without it
        return ()
    return sweep.views if sweep is not None and sweep.name == made.sweep else ()


def sweep_of(cube: Cube, name: str) -> Sweep:
    """The sweep called ``name``, with the parameters and the root seed of the cube that it made.

    Raises
    ------
    CubeError
        The sweep cannot be found, or is not the one that made the cube any more.
    """
    attributes = cube.attributes
    if log := attributes.imported_from:
        raise CubeError(f"{cube.storage} was imported from {log}: its cells cannot be computed again")
    if bench := attributes.measured_on:
        raise CubeError(f"{cube.storage} was measured on bench {bench}: its cells cannot be computed again")
    try:
        sweep = find(name).as_in_cube(attributes.root_seed, attributes.params, cube.axes)
    except SpecError as error:
        raise CubeError(f"{cube.storage} was made by the sweep {name}, which cannot be used: {error}") from None
    for what, old, new in cube.differences(sweep):
        raise CubeError(f"{cube.storage} was made with {what} = {old!r}, the sweep {name} now has {new!r}")
    return sweep
