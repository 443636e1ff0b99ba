"""``spinsweep merge``: one cube of several."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.progress import Progress

from spinsweep.cli.console import console
from spinsweep.errors import SpecError


def merge(
    stores: Annotated[list[str], typer.Argument(metavar="STORE STORE...", help="The cubes: folders or URLs.")],
    into: Annotated[str, typer.Option(metavar="FOLDER|URL", help="The new cube.")],
) -> int:
    """Put cubes of one sweep together, such as two halves that two machines computed. They stay as they are.

    Definitions must be the same. A cell that several cubes hold must have the same numbers in them. States, errors,
    runs and what computed each cell come along. The new cube appears whole or not at all.

    Example:  spinsweep merge monday.zarr tuesday.zarr --into both.zarr
    """
    from spinsweep.cube.merging import merge as merge_cubes

    if len(stores) < 2:
        raise SpecError(f"merge {stores[0]}: name two cubes at least")
    out = console()
    with Progress(console=console(stderr=True), transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("blocks", total=None)
        merged = merge_cubes(stores, into, lambda number, of: bar.update(task, completed=number, total=of))
    counts = merged.counts
    others = "".join(f", {n} {what}" for what, n in counts.as_dict().items() if n and what != "done")
    shares = ", ".join(f"{n} from {store}" for n, store in zip(merged.taken, stores, strict=True))
    out.print(f"{into}: {counts.done} of {counts.total} cells done{others}; {shares}", soft_wrap=True)
    for note in merged.notes:
        out.print(note, soft_wrap=True)
    return 0
