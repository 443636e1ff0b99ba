"""The command line: one file a verb, known errors as one line and status 2.

Verbs of the experiments (reading a lab's log, say) come in by the entry points ``spinsweep.commands``, so that the
engine imports none of them.
"""

from __future__ import annotations

import os
import platform
import select
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import EntryPoint, version
from typing import Annotated, Any, TextIO

import typer

from spinsweep.errors import SpinsweepError
from spinsweep.interrupts import Interrupts, quiet_ends
from spinsweep.plugins import COMMANDS, installed, summary_of
from spinsweep.printable import one_line, said, say
from spinsweep.reaper import INTERRUPTED

# typer carries its own copy of click, or uses the installed one, by version; this finds the right class in both
UsageMistake: type[Any] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
CLOSED = 141
"""Whoever read the output is gone, as `| head -1` is; as a shell says of a program that SIGPIPE ended."""
NAMED_ALIKE = (
    "plan",
    "run",
    "status",
    "watch",
    "verify",
    "cell",
    "figures",
    "table",
    "compare",
    "page",
    "sensitivity",
    "crossings",
    "scheduler",
    "worker",
    "certs",
    "docs",
)
"""Verbs whose module and function have their name."""
CUBE_FILES = ("export", "merge", "migrate")
"""The same, of those that make other files of cubes."""
VERBS = {
    "list": "listing:list_sweeps",
    **{name: f"{name}:{name}" for name in (*NAMED_ALIKE, *CUBE_FILES)},
    "cluster": "cluster:app",
}
EPILOG = "Example:  spinsweep run characterization --store results/characterization.zarr"


def app(requested: str = "") -> typer.Typer:
    """The command line.

    Parameters
    ----------
    requested : the first word that was typed; only the command of this name is loaded
    """
    root = typer.Typer(
        name="spinsweep",
        no_args_is_help=True,
        rich_markup_mode="rich",
        epilog=EPILOG,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Experiment sweeps on Dask: described once, resumed anywhere, kept as xarray cubes.",
    )
    root.callback()(_root)
    for name, point in _verbs(requested).items():
        if name != requested and (summary := summary_of(point)):
            root.command(name, help=summary)(lambda: None)
            continue
        try:
            verb = point.load()
        except (Exception, SystemExit) as error:  # a broken package must not take the other verbs with it
            _complain(f"the command {name!r} of {point.value} cannot be loaded: {said(error)}")
            continue
        if isinstance(verb, typer.Typer):
            root.add_typer(verb, name=name)
        else:
            root.command(name)(verb)
    return root


def _verbs(requested: str) -> dict[str, EntryPoint]:
    """The verbs to load; to look through what is installed takes longer than to start."""
    verbs = {name: EntryPoint(name, f"spinsweep.cli.{function}", COMMANDS) for name, function in VERBS.items()}
    if requested in verbs:
        return {requested: verbs[requested]}
    if requested == "--version":
        return {}
    verbs |= {name: point for name, point in installed(COMMANDS).items() if name not in verbs}
    return verbs if not requested or requested.startswith("-") else {n: v for n, v in verbs.items() if n == requested}


def _tell_version(requested: bool) -> None:  # noqa: FBT001
    if requested:
        say(f"spinsweep {version('spinsweep')}, Python {platform.python_version()}")
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


def main(arguments: Sequence[str] | None = None, *, until_exit: bool = False) -> int:
    """Run the command line; returns the exit status: 0 done, 1 not all done, 2 a mistake in what was asked."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _ended(words, until_exit)
    except (BrokenPipeError, SystemExit):  # typer turns the first into the second
        if _nobody_reads():
            return CLOSED
        raise


def _ended(words: list[str], until_exit: bool) -> int:  # noqa: FBT001
    root = app(words[0] if words else "")
    try:
        with quiet_ends(), Interrupts(until_exit=until_exit):
            status_code = root(args=words or ["--help"], prog_name="spinsweep", standalone_mode=False)
        sys.stdout.flush()
    except UsageMistake as error:
        verbs = {v.name for v in root.registered_commands} | {v.name for v in root.registered_groups}
        requested = " ".join(["spinsweep", *(word for word in words[:1] if word in verbs), "--help"])
        return _complain(" ".join(error.format_message().split()) + f" ({requested} shows what it takes)")
    except SpinsweepError as error:
        return _complain(str(error))
    except OSError as error:  # a disk that is full or may not be written
        if _nobody_reads():
            return CLOSED
        return _complain(f"{error.filename or 'a file'}: {error.strerror or error}; what is done is kept")
    except MemoryError as error:
        return _complain(f"there is not enough memory ({error or 'for this'}); what is done is kept")
    except (typer.Abort, KeyboardInterrupt):
        status_code = INTERRUPTED
    if status_code == INTERRUPTED:  # typer turns Ctrl-C into this
        _complain("interrupted; run the same command again to continue")
    return int(status_code or 0) if words else 2


def _complain(message: str) -> int:
    say("spinsweep: " + one_line(message), error=True)
    return 2


def _nobody_reads() -> bool:
    """Whether output goes into a pipe that is closed; what is left in its buffer is dropped then."""
    if not hasattr(select, "poll"):  # Windows
        return False
    unread = False
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a stream of a test has no number
            number = stream.fileno()
            poll = select.poll()
            poll.register(number, select.POLLOUT)
            closed = any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
            if closed or not _flushed(stream):
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            unread |= closed
    return unread


def _flushed(stream: TextIO) -> bool:
    """Whether a stream takes what it was given; a file on a full disk does not."""
    try:
        stream.flush()
    except OSError:
        return False
    return True
