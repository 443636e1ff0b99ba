"""``spinsweep cluster``: cluster files to begin with, and what other programs need for them."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated

import typer

from spinsweep.cli.options import Insecure, Tls
from spinsweep.errors import SpecError
from spinsweep.printable import say

TEMPLATES = files("spinsweep.deployment") / "templates"
BATCH_SYSTEMS = ("slurm", "pbs", "sge", "lsf")
KINDS = ("local", *BATCH_SYSTEMS, "ssh", "kubernetes", "gpu", "running")

app = typer.Typer(no_args_is_help=True, help="Write cluster files, which say where workers come from, and try them.")


@app.command()
def init(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help=f"One of {', '.join(KINDS)} (a scheduler that is already running).")
    ],
) -> int:
    """Print a cluster file of a kind, with a comment for each key.

    Edit it, and give it to `spinsweep run NAME --cluster FILE`.

    Example:  spinsweep cluster init slurm > slurm.toml
    """
    if kind not in KINDS:
        from spinsweep.axis import closest

        raise SpecError(f"there is no kind of cluster {kind!r}{closest(kind, KINDS)}; give one of {', '.join(KINDS)}")
    batch = kind in BATCH_SYSTEMS
    text = (TEMPLATES / f"{'slurm' if batch else kind}.toml").read_text("utf-8")
    from spinsweep.deployment.cluster_file import UNTRIED

    if kind in UNTRIED:
        say(f"# Not tried yet on a real one: {UNTRIED[kind]}. Begin with `spinsweep cluster check`.")
    say((text.replace('kind = "slurm"', f'kind = "{kind}"') if batch else text).rstrip("\n"))
    return 0


@app.command()
def check(
    file: Annotated[str, typer.Argument(metavar="FILE|ADDRESS", help="As --cluster of `spinsweep run` takes it.")],
    store: Annotated[
        Path, typer.Option(metavar="FOLDER", help="The folder where cubes are to lie, which all have to see.")
    ] = Path("results"),
    wait: Annotated[float, typer.Option(metavar="SECONDS", help="How long workers may take to come.", min=0)] = 300.0,
    tls: Tls = None,
    insecure: Insecure = False,
) -> int:
    """Start the workers of a cluster file and show what they are like: versions, memory, shared folder, clock.

    The exit status is 0 if all have come, have the versions of this machine, and share the folder.

    Example:  spinsweep cluster check slurm.toml --store results
    """
    from spinsweep.cli.cluster_check import show_workers
    from spinsweep.deployment.check import Access
    from spinsweep.deployment.clients import deployment

    return show_workers(deployment(file), Access(tls, insecure, dashboard=False), store, wait)


@app.command("files")
def copy_files(folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make.")]) -> int:
    """Make a folder with every cluster file, Kubernetes manifest, batch script and systemd unit.

    Example:  spinsweep cluster files cluster
    """
    if folder.exists():
        raise SpecError(f"{folder} exists and is left as it is; give the name of a new folder")
    with as_file(TEMPLATES) as source:
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        say(path)
    return 0
