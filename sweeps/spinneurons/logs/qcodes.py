"""Databases of QCoDeS (SQLite), read by the standard library: one run with a set of parameters of equal length.

Schema: QCoDeS documentation, "The Database"; table ``runs`` names each run's table of results, one row a point, and
``layouts`` describes its parameters.  The databases hold arrays as NumPy's own bytes, which are taken apart.
"""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from spinneurons.logs.frames import reading, table
from spinneurons.logs.table import LogError, LogTable


class Qcodes:
    """``.db`` of QCoDeS."""

    suffixes = (".db",)

    def reads(self, start: bytes) -> bool:
        """Whether it is a SQLite database."""
        return start.startswith(b"SQLite format 3\x00")

    def read(self, path: Path) -> LogTable:
        """The last run that has results; others are named."""
        with reading(path, "a QCoDeS database"), _opened(path) as database:
            tables = {str(row[0]) for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not {"runs", "layouts", "dependencies"} <= tables:
                raise LogError(f"{path}: is a SQLite database, and none of QCoDeS, for it has no table of runs")
            runs = database.execute("SELECT run_id, result_table_name FROM runs ORDER BY run_id").fetchall()
            filled = [
                (int(number), str(name))
                for number, name in runs
                if name in tables and database.execute(f"SELECT EXISTS (SELECT 1 FROM {_quoted(name)})").fetchone()[0]
            ]
            if not filled:
                raise LogError(f"{path}: has no run with results")
            number, name = filled[-1]
            dependents = database.execute(
                "SELECT DISTINCT parameter FROM layouts JOIN dependencies ON dependent = layout_id WHERE run_id = ?",
                (number,),
            ).fetchall()
            try:
                columns = _columns(database, name, [str(row[0]) for row in dependents])
            except LogError as error:
                raise LogError(f"{path}: run {number}: {error}") from None
            units = dict(
                database.execute("SELECT parameter, unit FROM layouts WHERE run_id = ? AND unit != ''", (number,))
            )
        result = table(path, columns, f"QCoDeS, run {number}", units)
        if len(filled) == 1:
            return result
        others = ", ".join(str(other) for other, _ in filled[:-1])
        left_out = (f"runs {others}: the last one is read; export others with QCoDeS",)
        return LogTable(path, result.columns, result.line_of, units, result.constants, result.notes, left_out,
                        result.overloads)  # fmt: skip


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as database:
        yield database


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _columns(database: sqlite3.Connection, name: str, dependents: Sequence[str]) -> dict[str, Any]:
    """Values of each parameter, in the order of the points; arrays one behind the other.

    QCoDeS may write a row for each dependent parameter of a point, in which the others are empty.

    Raises
    ------
    LogError
        The dependent parameters were not measured at the same points.
    """
    cursor = database.execute(f"SELECT * FROM {_quoted(name)} ORDER BY id")
    names = [str(part[0]) for part in cursor.description]
    rows = cursor.fetchall()
    columns = {column: [row[i] for row in rows] for i, column in enumerate(names) if column != "id"}
    measured = [column for column in dependents if column in columns]
    if len(measured) > 1 and any(None in columns[column] for column in measured):
        columns = _joined(columns, measured)
    return {column: _array(values) for column, values in columns.items()}


def _joined(columns: Mapping[str, list[Any]], dependents: Sequence[str]) -> dict[str, list[Any]]:
    """One row a point, of rows that have one dependent parameter each."""
    rows = {d: [i for i, value in enumerate(columns[d]) if value is not None] for d in dependents}
    others = [column for column in columns if column not in dependents]
    points = {d: [tuple(columns[column][i] for column in others) for i in chosen] for d, chosen in rows.items()}
    first = points[dependents[0]]
    if different := [d for d in dependents if points[d] != first]:
        raise LogError(f"parameters {dependents[0]} and {different[0]} were not measured at the same points")
    joined = {column: [point[i] for point in first] for i, column in enumerate(others)}
    return joined | {d: [columns[d][i] for i in chosen] for d, chosen in rows.items()}


def _array(values: list[Any]) -> Any:
    if any(isinstance(value, bytes) for value in values):
        parts = [np.load(io.BytesIO(v), allow_pickle=False).ravel() for v in values if isinstance(v, bytes)]
        return np.concatenate(parts)
    if all(value is None or isinstance(value, int | float) for value in values):
        return np.array([np.nan if value is None else value for value in values], np.float64)
    return np.array(["" if value is None else str(value) for value in values], object)
