"""``spinsweep docs``: the documentation of the installed version, which needs no network."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from spinsweep.errors import SpinsweepError
from spinsweep.printable import say

PACKAGE = Path(__file__).parents[1]
IN_PACKAGE = PACKAGE / "documentation"
"""Where the pages lie in a wheel that ``make wheel`` made."""


def docs(
    words: Annotated[list[str] | None, typer.Argument(help="Search the pages for these words.")] = None,
    path: Annotated[bool, typer.Option("--path", help="Print the address of the pages, and open nothing.")] = False,
) -> int:
    """Open the documentation of this version in a browser, or search it. It needs no network.

    Example:  spinsweep docs half width
    """
    page = pages() / ("search.html" if words else "index.html")
    address = page.as_uri() + (f"?q={quote(' '.join(words))}" if words else "")
    if path:
        say(address)
        return 0

    import webbrowser

    if webbrowser.open(address):
        say(f"opened {address}")
    else:
        say(f"there is no browser here; the documentation is at {address}")
    return 0


def pages() -> Path:
    """The folder of the built pages: in the package, else where ``make docs`` puts them in a checkout.

    Raises
    ------
    SpinsweepError
        There are none.
    """
    root = PACKAGE.parents[1]
    in_checkout = root / "build/docs" / version("spinsweep")
    for folder in (IN_PACKAGE, in_checkout):
        if (folder / "index.html").exists():
            return folder
    if (root / "engine/docs").exists():
        raise SpinsweepError(f"the pages are not built yet; run `make docs` in {root}")
    raise SpinsweepError(
        f"this installation has no pages ({IN_PACKAGE} is not there): its wheel was not made by `make wheel`; "
        "`make docs` in a checkout builds them"
    )
