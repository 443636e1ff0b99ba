"""``spinsweep certs``: the certificates of one cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.printable import say


def certs(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that is not there yet.", show_default=False)
    ],
    days: Annotated[int, typer.Option(help="How long they are valid.", min=1, max=3650)] = 365,
) -> int:
    """Make a private authority and a certificate with key for scheduler, worker and client of one cluster.

    Whoever holds a key can run code on the cluster.  A machine needs ca.pem and: to start runs client*.pem, to
    compute worker*.pem, for a lane both, for the scheduler scheduler*.pem.

    Example:  spinsweep certs certificates
    """
    from engine.runners.certificates import make_certificates

    end = make_certificates(folder, days)
    say(f"{folder}: ca.pem, and scheduler, worker, client with their keys; valid to {end:%Y-%m-%d}")
    return 0
