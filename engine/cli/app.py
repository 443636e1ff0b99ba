"""The command line: one file a verb, known errors as one line and status 2.

Verbs of the experiments (reading a lab's log, say) come in by the entry points ``spinsweep.commands``, so that the
engine imports none of them.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, version
from typing import Annotated, Any

import typer

from engine.cli.console import console
from engine.errors import SpinsweepError
from engine.find import COMMANDS, installed

# typer carries its own copy of click, or uses the installed one, by version; this finds the right class in both
UsageMistake: type[Any] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
INTERRUPTED = 130
VERBS = {
    "list": "listing:list_sweeps",
    "plan": "plan:plan",
    "run": "run:run",
    "status": "status:status",
    "cell": "cell:cell",
    "figures": "figures:figures",
    "scheduler": "scheduler:scheduler",
    "worker": "worker:worker",
    "certs": "certs:certs",
    "bench": "bench:app",
}
EPILOG = "Example:  spinsweep run characterization --store results/characterization.zarr"


def app(asked: str = "") -> typer.Typer:
    """The command line with the verbs of all installed packages.

    Where one of them is asked for, it alone is there: what the others import takes seconds.
    """
    root = typer.Typer(
        name="spinsweep",
        no_args_is_help=True,
        add_completion=True,
        rich_markup_mode="rich",
        epilog=EPILOG,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Experiment sweeps on Dask: described once, resumed anywhere, kept as xarray cubes.",
    )
    root.callback()(_root)
    verbs = {name: EntryPoint(name, f"engine.cli.{place}", COMMANDS) for name, place in VERBS.items()}
    verbs |= installed(COMMANDS)
    for name, point in verbs.items() if asked not in verbs else [(asked, verbs[asked])]:
        try:
            verb = point.load()
        except Exception as error:  # a broken package must not take the other verbs with it
            _complain(f"the verb {name!r} of {point.value} cannot be loaded: {type(error).__name__}: {error}")
            continue
        if isinstance(verb, typer.Typer):
            root.add_typer(verb, name=name)
        else:
            root.command(name)(verb)
    return root


def _tell_version(asked: bool) -> None:
    if asked:
        print(f"spinsweep {version('spinsweep')}, Python {platform.python_version()}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the versions of spinsweep and Python.", is_eager=True, callback=_tell_version
        ),
    ] = False,
) -> None:
    """Experiment sweeps on Dask: described once, resumed anywhere, kept as xarray cubes."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0 done, 1 not all done, 2 a mistake in what was asked."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    root = app(words[0] if words else "")
    try:
        status_code = root(args=words or ["--help"], prog_name="spinsweep", standalone_mode=False)
    except UsageMistake as error:
        verbs = {v.name for v in root.registered_commands} | {v.name for v in root.registered_groups}
        asked = " ".join(["spinsweep", *(word for word in words[:1] if word in verbs), "--help"])
        return _complain(" ".join(error.format_message().split()) + f" ({asked} shows what it takes)")
    except SpinsweepError as error:
        return _complain(str(error))
    except OSError as error:  # a disk that is full or may not be written
        if isinstance(error, BrokenPipeError):
            sys.stderr.close()
            return 141
        return _complain(f"{error.filename or 'a file'}: {error.strerror or error}; what is done is kept")
    except (typer.Abort, KeyboardInterrupt):
        status_code = INTERRUPTED
    if status_code == INTERRUPTED:  # typer turns Ctrl-C into this
        _complain("interrupted; the same command goes on")
    return int(status_code or 0) if words else 2


def _complain(message: str) -> int:
    console(stderr=True).print("spinsweep: " + message, markup=False, soft_wrap=True)
    return 2
