"""``spinsweep list``: the sweeps that are installed."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.table import Table

from spinsweep.axis import key
from spinsweep.cli.console import console, styled
from spinsweep.discovery import find
from spinsweep.plugins import installed
from spinsweep.printable import printable, say


def list_sweeps(
    name: Annotated[str | None, typer.Argument(help="Show one sweep: axes, parameters and outputs.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """List the sweeps that can be run, and what each reproduces.

    Example:  spinsweep list characterization
    """
    names = list(installed()) if name is None else [name]
    sweeps = {n: find(n) for n in names}
    if as_json:
        described = [{"name": n, "title": s.title, "source": s.source, **s.identity()} for n, s in sweeps.items()]
        say(json.dumps(described, indent=1))
        return 0
    out = console()
    if name is None:
        table = Table("sweep", "what it does", "reproduces", "cells", box=None, header_style="bold", pad_edge=False)
        for n, sweep in sweeps.items():
            table.add_row(n, sweep.title, sweep.source, "×".join(str(len(a.values)) for a in sweep.axes))
        out.print(table)
        out.print(
            styled("\nspinsweep list NAME shows one of them; spinsweep plan NAME shows what a run would cost", "dim")
        )
        return 0
    sweep = sweeps[name]
    out.print(styled(sweep.name, "bold") + f": {printable(sweep.title)}. {printable(sweep.source)}\n")
    table = Table("--set", "unit", "default", "allowed", "meaning", box=None, header_style="bold", pad_edge=False)
    for axis in sweep.every_axis:
        more = f", ... ({len(axis.values)})" if len(axis.values) > 10 else ""
        values = ", ".join(key(v) for v in axis.values[:10]) + more
        table.add_row(axis.name, axis.unit, values, axis.allowed, axis.long_name)
    for parameter in sweep.parameters:
        default = parameter.default if not isinstance(parameter.default, dict | list) else "built in"
        table.add_row(parameter.name, parameter.unit, str(default), parameter.allowed, parameter.help)
    out.print(table)
    table = Table("output", "dims", "type", "unit", "meaning", box=None, header_style="bold", pad_edge=False)
    for output in sweep.outputs:
        dims = ", ".join([*sweep.axis_names, *output.dims])
        table.add_row(output.name, dims, output.dtype, output.unit, output.long_name)
    out.print()
    out.print(table)
    return 0
