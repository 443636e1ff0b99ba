"""What the columns of a table mean: as the user says, else as their names say; units are converted, and all is told.

A mapping is TOML::

    [columns]
    i_write = "Current (mA)"                      # its unit stands in the name
    r_write = {column = "Rxy", unit = "mohm"}
    [constants]
    width = "2 um"
    [file_name]
    pattern = "w{width_um}_d{device}.csv"
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spinneurons.logs.quantities import COUNTS, QUANTITIES, factor, recognised, split
from spinneurons.logs.table import LogError, LogTable
from spinsweep.axis import closest


@dataclass(frozen=True)
class Column:
    """Where one quantity is found."""

    name: str
    unit: str = ""
    """Empty: as the file says, or the quantity's own."""
    factor: float = 1.0


@dataclass(frozen=True)
class LogMapping:
    """What the user says of a file."""

    columns: Mapping[str, Column] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    pattern: str = ""
    """Of the file's name, with quantities in braces."""


@dataclass(frozen=True)
class Mapped:
    """The quantities of one file, in the units of :data:`~spinneurons.logs.quantities.QUANTITIES`."""

    table: LogTable
    values: Mapping[str, pd.Series]
    """(rows,) by quantity: float64, for ``device`` also text."""
    columns: Mapping[str, str]
    """The column, or what else it comes from, by quantity."""
    notes: Sequence[str]
    """What was recognised, in words."""
    further: Sequence[str]
    """Columns that mean no quantity."""
    axis_value: float | None = None
    """Of all rows along the further axis, where the file's name or the user says it, and no column."""


def parse(texts: Sequence[str], constants: Sequence[str], pattern: str = "") -> LogMapping:
    """A mapping from options of the command line: ``i_write="Current (A)"`` and ``width="2 um"``.

    Raises
    ------
    LogError
        One of them is not of that form, or names no quantity.
    """
    import tomllib

    columns: dict[str, Any] = {}
    fixed: dict[str, Any] = {}
    for option, entries, into in (("--columns", texts, columns), ("--constant", constants, fixed)):
        for text in entries:
            name, equals, value = text.partition("=")
            if not equals:
                raise LogError(f"{option} {text}: is not QUANTITY=..., such as {_EXAMPLE[option]}")
            try:
                into[name.strip()] = tomllib.loads(f"value = {value}")["value"]
            except tomllib.TOMLDecodeError:
                into[name.strip()] = value.strip()  # a name without quotes
    return of({"columns": columns, "constants": fixed, "file_name": {"pattern": pattern}}, "")


SAID = "what you say"
"""Where a constant comes from that the user gives."""
_EXAMPLE = {"--columns": "'i_write=\"Current (A)\"'", "--constant": "'width=2 um'"}


def load(path: Path) -> LogMapping:
    """A mapping from a TOML file.

    Raises
    ------
    LogError
        It cannot be read, or is no mapping.
    """
    import tomllib

    from spinsweep.files import Unreadable, text_of

    try:
        raw = tomllib.loads(text_of(path))
    except (Unreadable, tomllib.TOMLDecodeError) as error:
        raise LogError(f"{path}: {error}") from None
    return of(raw, f"{path}: ")


def of(raw: Mapping[str, Any], where: str) -> LogMapping:
    """A mapping from what TOML holds; ``where`` begins each message."""
    for key in raw:
        if key not in ("columns", "constants", "file_name"):
            raise LogError(
                f"{where}{key!r} is no part of a mapping{closest(key, ['columns', 'constants', 'file_name'])}"
            )
    columns: dict[str, Column] = {}
    for quantity, value in dict(raw.get("columns", {})).items():
        _require_quantity(quantity, where)
        entry = {"column": value} if isinstance(value, str) else value
        if not isinstance(entry, Mapping) or not set(entry) <= {"column", "unit", "factor"} or "column" not in entry:
            raise LogError(
                f'{where}{quantity}: {value!r} is no column; write {quantity} = {{column = "Rxy", unit = "mohm"}}'
            )
        unit, kept = str(entry.get("unit", "")), QUANTITIES[quantity].unit or "no unit"
        if unit and factor(unit, QUANTITIES[quantity].unit) is None:
            raise LogError(f"{where}{quantity}: {unit!r} is not a unit of it; give {kept} or a multiple of it")
        try:
            columns[quantity] = Column(str(entry["column"]), unit, float(entry.get("factor", 1.0)))
        except (TypeError, ValueError):
            raise LogError(f"{where}{quantity}: factor {entry['factor']!r} is not a number") from None
    constants = {q: str(v) for q, v in dict(raw.get("constants", {})).items()}
    for quantity in constants:
        _require_quantity(quantity, where)
    return LogMapping(columns, constants, str(dict(raw.get("file_name", {})).get("pattern", "")))


def _require_quantity(name: str, where: str) -> None:
    if name not in QUANTITIES:
        known = list(QUANTITIES)
        raise LogError(f"{where}{name!r} is no quantity of a log{closest(name, known)}; they are {', '.join(known)}")


def mapped(table: LogTable, mapping: LogMapping, axis: str = "") -> Mapped:
    """The quantities of a table: the user's word first, then columns, file name and header.

    Parameters
    ----------
    axis : name of the further axis, which the file's name may hold

    Raises
    ------
    LogError
        A column that the user names is not there, two columns mean one quantity, or a constant is no value of it.
    """
    values: dict[str, pd.Series] = {}
    origin: dict[str, str] = {}
    notes: list[str] = []
    used: set[str] = set()
    table = _a_row_each_cycle(table, mapping)
    for quantity, column in _columns(table, mapping).items():
        if quantity != "pulse_width":  # which may differ from row to row: its column is kept as well
            used.add(column.name)
        values[quantity], unit = _converted(table, quantity, column)
        origin[quantity] = column.name
        if column.name != quantity:
            notes.append(f"{quantity} is column {column.name!r}" + (f" in {unit}" if unit else ""))
    rows = len(table.columns)
    parts = _of_name(table.path, mapping.pattern, axis)
    axis_value = _axis_value(table.path, axis, parts.pop(axis)) if axis in parts else None
    for quantity, (text, source) in _constants(table, mapping, parts).items():
        if quantity not in values and not (quantity in COUNTS and _has_readings(values)):
            values[quantity] = pd.Series([_constant(table, quantity, text, source)] * rows)
            origin[quantity] = source
            notes.append(f"{quantity} is {text}, from {source}")
    unused = [str(name) for name in table.columns if name not in used]
    further = [name for name in unused if _is_filled(table.columns[name])]
    return Mapped(table, values, origin, notes, further, axis_value)


def _a_row_each_cycle(table: LogTable, mapping: LogMapping) -> LogTable:
    """Of a file with a column for each cycle, which the user names by a pattern such as ``R*``: a row for each."""
    names = [str(name) for name in table.columns]
    patterns = {q: c.name for q, c in mapping.columns.items() if "*" in c.name and c.name not in names}
    spread = {pattern: fnmatch.filter(names, pattern) for pattern in patterns.values()}
    for quantity, pattern in patterns.items():
        if not spread[pattern]:
            raise LogError(f"{table.path}: no column is like {pattern!r} for {quantity}; it has {', '.join(names)}")
    if not spread:
        return table
    counts = {len(columns) for columns in spread.values()}
    if len(counts) > 1:
        said = ", ".join(f"{len(columns)} like {pattern!r}" for pattern, columns in spread.items())
        raise LogError(f"{table.path}: columns of cycles are in pairs, and there are {said}")
    cycles = counts.pop()
    rest = table.columns.drop(columns=[name for columns in spread.values() for name in columns])
    frame = rest.loc[rest.index.repeat(cycles)].reset_index(drop=True)
    units = dict(table.units)
    for pattern, columns in spread.items():
        frame[pattern] = table.columns[columns].to_numpy().ravel()
        units.setdefault(pattern, table.units.get(columns[0], split(columns[0])[1]))
    return replace(
        table,
        columns=frame,
        line_of=lambda row: f"{table.line_of(row // cycles)}, cycle {row % cycles}",
        units=units,
        notes=[*table.notes, f"{cycles} columns of cycles, a row for each"],
    )


STATES = {word: float(state) for state, words in enumerate(("no false off", "yes true on")) for word in words.split()}
"""Words for what switched and what did not."""


def _is_filled(column: pd.Series) -> bool:
    return bool((column.notna() & (column != "")).any())


def _columns(table: LogTable, mapping: LogMapping) -> dict[str, Column]:
    names = [str(name) for name in table.columns]
    for quantity, column in mapping.columns.items():
        if column.name not in names:
            raise LogError(
                f"{table.path}: there is no column {column.name!r} for {quantity}{closest(column.name, names)}; "
                f"it has {', '.join(names)}"
            )
    if not table.named and not mapping.columns:
        return _by_position(table)
    chosen = dict(mapping.columns)
    taken = {column.name for column in chosen.values()}
    for name in names:
        if name in taken or (meant := recognised(name)) is None or meant[0] in mapping.columns:
            continue
        quantity, unit = meant
        if quantity == "pulse_width" and (quantity in chosen or not _is_in(table, name, unit, "s")):
            continue
        if quantity in chosen:
            raise LogError(
                f"{table.path}: columns {chosen[quantity].name!r} and {name!r} could both be {quantity}; say which "
                f"one: --columns '{quantity}=\"{name}\"'"
            )
        chosen[quantity] = Column(name, unit or table.units.get(name, ""))
    if _has_readings(chosen):
        return {q: column for q, column in chosen.items() if q not in COUNTS or q in mapping.columns}
    return chosen


def _is_in(table: LogTable, name: str, unit: str, of: str) -> bool:
    """Whether a column holds numbers in a unit of that kind, or without one."""
    unit = unit or table.units.get(name, "")
    return table.columns[name].dtype.kind == "f" and (not unit or factor(unit, of) is not None)


def _has_readings(quantities: Container[str]) -> bool:
    """Whether there is a reading after write, from which what switched is decided."""
    return "r_write" in quantities or "v_write" in quantities


ORDER = ("width", "device", "i_write", "cycle", "r_reset", "r_write")
"""Of the columns of a log without a line of names."""


def _by_position(table: LogTable) -> dict[str, Column]:
    if len(table.columns.columns) != len(ORDER):
        raise LogError(
            f"{table.path}: has {len(table.columns.columns)} columns and no line of names; name them, such as "
            "--columns 'i_write=\"column 1\"'"
        )
    return {quantity: Column(str(name)) for quantity, name in zip(ORDER, table.columns, strict=True)}


def _converted(table: LogTable, quantity: str, column: Column) -> tuple[pd.Series, str]:
    """A column in the quantity's own unit, and the unit that it had."""
    series = table.columns[column.name]
    if quantity == "device":
        return series, ""
    if quantity == "n_switched" and series.dtype.kind != "f":
        words = series.str.strip().str.lower()
        series = words.map(STATES) if words.isin(STATES).all() else series
    if series.dtype.kind != "f":
        numbers = pd.to_numeric(series.replace("", np.nan), errors="coerce")
        row = int(np.argmax((numbers.isna() & (series != "")).to_numpy()))
        raise LogError(
            f"{table.line_of(row)}: column {column.name!r} holds {series.iloc[row]!r}, where {quantity} is a number"
        )
    unit = column.unit or _stated_unit(table, quantity, column)
    scale = factor(unit, QUANTITIES[quantity].unit) if unit and QUANTITIES[quantity].unit else 1.0
    if scale is None:
        raise LogError(
            f"{table.path}: column {column.name!r} is in {unit!r}, which is no unit of {quantity}; give it: "
            f'--columns \'{quantity}={{column="{column.name}", unit="{QUANTITIES[quantity].unit}"}}\''
        )
    multiplied = column.factor * scale
    return (series if multiplied == 1.0 else _times(series, multiplied)), unit or QUANTITIES[quantity].unit


def _stated_unit(table: LogTable, quantity: str, column: Column) -> str:
    """The unit that the file states of a column, in its label or beside it; "" where the user gives a factor."""
    stated = (split(column.name)[1], table.units.get(column.name, ""))
    kept = QUANTITIES[quantity].unit
    return next((u for u in stated if column.factor == 1.0 and u and factor(u, kept) is not None), "")


def _times(series: pd.Series, by: float) -> pd.Series:
    """The product as if the decimals of the file had been written in the other unit: 0.3795 mA is 3.795e-4 A."""
    divisor = 1 / by
    exact = series / round(divisor) if abs(divisor - round(divisor)) < 1e-6 * divisor and divisor > 1 else series * by
    return exact


def _constants(table: LogTable, mapping: LogMapping, parts: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Text and source of each constant: the user's, the file name's ``parts``, the header's."""
    known = {q: (text, SAID) for q, text in mapping.constants.items()}
    for label, text in parts.items():
        quantity, unit = recognised(label) or (label, "")
        known.setdefault(quantity, (f"{text} {unit}".strip(), "the file's name"))
    for key, text in table.constants.items():
        if (meant := recognised(key)) and (
            meant[0] == "device" or _value(meant[0], f"{text} {meant[1]}".strip()) is not None
        ):
            known.setdefault(meant[0], (f"{text} {meant[1]}".strip(), f"the header, {key!r}"))
    return known


def _of_name(path: Path, pattern: str, axis: str) -> dict[str, str]:
    """What a file's name holds at the braces of a pattern."""
    if not pattern:
        return {}
    parts = re.split(r"\{(\w+)\}", pattern)
    for label in parts[1::2]:
        if recognised(label) is None and label != axis:
            raise LogError(
                f"--name-pattern {pattern}: {{{label}}} is no quantity, such as {{width_um}} or {{device}}; if "
                f"files differ in it, add --axis {label}"
            )
    expression = "".join(re.escape(p) if i % 2 == 0 else f"(?P<{p}>.+?)" for i, p in enumerate(parts))
    match = re.fullmatch(expression, path.name)
    if match is None:
        raise LogError(f"{path}: its name is not of the form {pattern}")
    return match.groupdict()


def _axis_value(path: Path, axis: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise LogError(f"{path}: its name says {axis} is {text!r}, and --axis needs a number") from None


def _value(quantity: str, text: str) -> float | None:
    match = re.fullmatch(r"\s*([+-]?[\d.]+(?:[eE][+-]?\d+)?)\s*(.*?)\s*", text)
    if match is None:
        return None
    unit = QUANTITIES[quantity].unit
    scale = factor(match[2], unit) if match[2] and unit else (1.0 if not match[2] else None)
    try:
        return None if scale is None else float(_times(pd.Series([float(match[1])]), scale).iloc[0])
    except ValueError:
        return None


def _constant(table: LogTable, quantity: str, text: str, source: str) -> float | str:
    if quantity == "device":
        return text
    value = _value(quantity, text)
    if value is None:
        example = f"such as 2 {QUANTITIES[quantity].unit}"
        raise LogError(f"{table.path}: {quantity} is {text!r} by {source}, which is no value of it, {example}")
    return value
