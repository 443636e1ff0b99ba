"""A mapping drafted from a file: what is recognised is written down, and what is not is asked in comments."""

from __future__ import annotations

from pathlib import Path

from spinneurons.logs.mapping import ORDER
from spinneurons.logs.quantities import COUNTS, QUANTITIES, recognised, split
from spinneurons.logs.table import LogTable

NEEDED = ("width", "i_write", "r_write")
"""Quantities without which nothing is imported; densities, voltages and counts stand in for some of them."""
INSTEAD = {"i_write": "j_write", "r_write": "v_write", "r_reset": "v_reset"}
SHOWN = 3


def draft(table: LogTable) -> str:
    """The text of a mapping in TOML, which ``spinsweep import --mapping`` takes as it is."""
    columns: dict[str, tuple[str, str]] = {}
    doubts: list[str] = []
    further: list[str] = []
    names = [str(name) for name in table.columns]
    for position, name in enumerate(names):
        meant = recognised(name)
        if not table.named and len(names) == len(ORDER):
            meant = ORDER[position], ""
        if meant is None:
            further.append(name)
        elif meant[0] in columns:
            doubts.append(f"# {meant[0]} = {_text(name)}  # or is it this one? {_values(table, name)}")
        else:
            columns[meant[0]] = name, meant[1] or table.units.get(name, "")
    if "r_write" in columns or "v_write" in columns:
        further += [columns.pop(q)[0] for q in COUNTS if q in columns]
    lines = [f"# A mapping of {Path(table.path).name}. Correct it, and give it to spinsweep import --mapping.", ""]
    lines += ["[columns]"]
    for quantity, (name, unit) in columns.items():
        lines.append(f"{quantity} = {_column(quantity, name, unit)}  # {_values(table, name)}")
    lines += doubts
    lines += [f"# Is {_text(name)} a quantity? {_values(table, name)}; else it is kept as it is" for name in further]
    constants = {q: text for q, text in _constants(table).items() if q not in columns}
    known = {*columns, *constants}
    if {"n_switched", "p"} & known:
        known |= {"r_write", "r_reset", "cycle"}
        missing = [] if "n" in known else ["n"]
    else:
        missing = [q for q in ("r_reset", "device", "cycle") if q not in known and INSTEAD.get(q) not in known]
    missing = [q for q in NEEDED if q not in known and INSTEAD.get(q) not in known] + missing
    lines += [f"# {q} = {{column = ?}}  # which column is the {QUANTITIES[q].help}?{_else(q)}" for q in missing]
    lines += ["", "[constants]", *(f"{q} = {_text(text)}  # from the header" for q, text in constants.items())]
    if "width" not in known:
        lines.append('# width = "2 um"  # or is it the same for all rows?')
    if "i_read" not in known:
        reason = "are the voltages?" if {"v_reset", "v_write"} & known else "was it read? A device card takes it over"
        lines.append(f'# i_read = "50 uA"  # at which read current {reason}')
    if "pulse_width" not in known:
        lines.append('# pulse_width = "100 us"  # how long are the write pulses? A device card takes it over')
    if "j_write" in known and "thickness" not in known:
        lines.append('# thickness = "5 nm"  # through which thickness does the current flow?')
    lines += ["", "# [file_name]", '# pattern = "w{width_um}_d{device}.csv"  # if files are named by their device']
    return "\n".join(lines) + "\n"


def _column(quantity: str, name: str, unit: str) -> str:
    unit = unit or QUANTITIES[quantity].unit
    return f"{{column = {_text(name)}, unit = {_text(unit)}}}" if QUANTITIES[quantity].unit else _text(name)


def _constants(table: LogTable) -> dict[str, str]:
    constants: dict[str, str] = {}
    for key, text in table.constants.items():
        if (meant := recognised(key)) and meant[0] not in COUNTS:
            constants.setdefault(meant[0], f"{text} {split(key)[1]}".strip())
    return constants


def _values(table: LogTable, name: str) -> str:
    """The first values of a column that differ, for a comment."""
    column = table.columns[name]
    shown = [f"{v:g}" if isinstance(v, float) else str(v) for v in column.drop_duplicates().head(SHOWN)]
    return " ".join(", ".join(shown).split())[:60] + (", ..." if column.nunique() > SHOWN else "")


def _else(quantity: str) -> str:
    return {
        "device": " Without one, all rows are of one device",
        "cycle": " Without one, cycles are numbered in the order of the rows",
        "r_reset": " Without one, every reset is taken to have succeeded",
    }.get(quantity, "")


def _text(text: str) -> str:
    """A basic string of TOML."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + '"'
