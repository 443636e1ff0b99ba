"""``spinsweep certs``: the certificates of one cluster."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from spinsweep.errors import SpecError
from spinsweep.printable import say


def certs(
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="The folder to make; with --export, an existing one.")
    ] = None,
    days: Annotated[int, typer.Option(help="Days for which the certificates are valid.", min=1, max=3650)] = 365,
    export: Annotated[
        bool,
        typer.Option(
            "--export",
            help="Make no certificates. Print shell settings with which Dask's own `dask worker` and `Client` use "
            "the certificates in DIR or, without DIR, your own for schedulers on this machine.",
        ),
    ] = False,
) -> int:
    """Make a private authority, and a certificate with its key for scheduler, worker and client of one cluster.

    Whoever holds a key can run code on the cluster.  Every machine needs ca.pem.  One that starts runs also needs
    client*.pem; one that computes, worker*.pem; one with a lane, both; the scheduler's, scheduler*.pem.

    Example:  spinsweep certs certificates
              eval "$(spinsweep certs --export)"; dask worker tls://127.0.0.1:8786
    """
    from spinsweep.deployment.certificates import make_certificates, own_certificates
    from spinsweep.deployment.security import ROLES, as_environment, credentials

    if export:
        for name, text in as_environment(credentials(folder or own_certificates(), *ROLES)).items():
            say(f"export {name}={shlex.quote(text)}")
        return 0
    if folder is None:
        raise SpecError("certs: name the folder to make, such as `spinsweep certs certificates`")
    end = make_certificates(folder, days)
    say(f"{folder}: ca.pem, and scheduler, worker, client with their keys; valid until {end:%Y-%m-%d}")
    return 0
