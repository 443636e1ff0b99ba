"""``spinsweep figures``: the pictures of a cube."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.options import Store, sweep_name
from engine.cube import Cube
from engine.errors import SpecError
from engine.find import figures as builders
from engine.find import find


def figures(
    store: Store,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the pictures.", show_default="STORE without .zarr, -figures"),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Draw this figure only; may be repeated.", show_default=False),
    ] = None,
) -> int:
    """Draw every figure of a cube as PNG and SVG; cells that are not done are left out.

    Example:  spinsweep figures results/characterization.zarr --only fig2_switching
    """
    cube = Cube(store)
    known = builders(find(sweep_name(cube)))
    if not known:
        raise SpecError(f"the sweep {cube.attrs['sweep']} has no figures")
    if unknown := [name for name in only or () if name not in known]:
        raise SpecError(f"there is no figure {unknown[0]!r}; {cube.attrs['sweep']} has {', '.join(known)}")
    beside = Path("results") if "://" in store else Path(store).parent
    folder = out or beside / f"{Path(cube.path.name).stem}-figures"
    folder.mkdir(parents=True, exist_ok=True)
    dataset = cube.dataset()
    for name, build in known.items():
        if only and name not in only:
            continue
        figure = build(dataset)
        for suffix in ("png", "svg"):
            figure.savefig(folder / f"{name}.{suffix}", dpi=300)
        print(folder / f"{name}.png")
    return 0
