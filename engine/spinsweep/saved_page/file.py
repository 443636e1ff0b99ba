"""Where a cube's page goes, and what it may replace: a page of the same cube's, and nothing else."""

from __future__ import annotations

import re
from html import escape, unescape
from pathlib import Path

from spinsweep.disk import write_whole
from spinsweep.errors import SpecError
from spinsweep.figure_files import name_of_cube, result_folder

MARK = "spinsweep-page-of"
"""Name of the ``meta`` tag of each page; its content is the name of the cube's folder or object prefix."""
HEAD_BYTES = 4096
"""Of a file, in which the tag is if it is a page."""


def page_path(store: str) -> Path:
    """Beside the cube; of a cube at a URL in ``results``, as its figures are.

    Parameters
    ----------
    store : folder or URL
    """
    return result_folder(store) / f"{Path(name_of_cube(store)).stem}.html"


def mark(store: str) -> str:
    """The tag that says whose page a file is."""
    return f'<meta name="{MARK}" content="{escape(_marked(store))}">'


def page_of(path: Path) -> str | None:
    """The name of the cube whose page a file is; None: it is no page, or not there.

    Raises
    ------
    OSError
        It cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES).decode(errors="replace")
    except FileNotFoundError:
        return None
    match = re.search(rf'<meta name="{MARK}" content="([^"]*)">', head)
    return unescape(match[1]) if match else None


def require_ours(path: Path, store: str) -> None:
    """Refuse a path at which the page would replace something else.

    Raises
    ------
    SpecError
        There is a file of another kind, the page of another cube, or a folder.
    """
    if not path.exists() and not path.is_symlink():
        return
    if not path.is_file():
        raise SpecError(f"{path} is there, and is no file; `spinsweep page` takes another --output")
    if (whose := page_of(path)) is None:
        raise SpecError(
            f"{path} is there, and is no page of a cube: move it away; or `spinsweep page` takes another --output"
        )
    if whose != _marked(store):
        raise SpecError(f"{path} is the page of another cube, {whose}; `spinsweep page` takes another --output")


def write_page(path: Path, store: str, text: str) -> None:
    """Put the page there in one step.

    Raises
    ------
    SpecError
        Something else is there.
    OSError
        It cannot be written; what was there is untouched.
    """
    require_ours(path, store)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(str(path), text.encode(errors="xmlcharrefreplace"))


def _marked(store: str) -> str:
    """The name as UTF-8 has it, which the bytes of a folder's name need not be."""
    return name_of_cube(store).encode(errors="replace").decode()
