"""Tables of whole files that other libraries read: one rule for what their columns are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spinneurons.logs.table import LogError, LogTable
from spinsweep.printable import said

OVERLOAD_VALUE = 9.9e36
"""Readings from here up are SCPI's mark of an overload, 9.9e37 (SCPI-99, volume 1, section 7.2.1)."""


def tidy(frame: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Numbers as float64, all else as text; and how many readings were overloads."""
    overloads = 0
    columns: dict[str, pd.Series[Any]] = {}
    for name in frame.columns:
        column = frame[name]
        if column.dtype.kind in "iubf":
            column = column.astype(np.float64)
            if column.abs().max() >= OVERLOAD_VALUE:
                marked = (column.abs() >= OVERLOAD_VALUE) & np.isfinite(column)
                overloads += int(marked.sum())
                column = column.mask(marked)
        elif column.dtype.kind == "M":
            column = column.dt.strftime("%Y-%m-%dT%H:%M:%S.%f").fillna("")
        else:
            column = column.astype(object).where(column.notna(), "").map(_text)
        columns[str(name)] = column
    return pd.DataFrame(columns, copy=False), overloads


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def table(
    path: Path,
    columns: Mapping[str, Any],
    note: str,
    units: Mapping[str, str] | None = None,
    constants: Mapping[str, str] | None = None,
) -> LogTable:
    """The table of arrays by name: those of one entry, and texts, are constants.

    Raises
    ------
    LogError
        There are no columns, or they have different lengths.
    """
    arrays = {name: np.atleast_1d(np.squeeze(np.asarray(values))) for name, values in columns.items()}
    rows = max((a.size for a in arrays.values() if a.ndim == 1), default=0)
    long = {n: a for n, a in arrays.items() if a.ndim == 1 and a.size == rows and rows > 1}
    if not long:
        raise LogError(f"{path}: has no columns; a log has one array of numbers for each quantity, one entry a cycle")
    for name, array in arrays.items():
        if array.ndim > 1 or (name not in long and array.size > 1):
            raise LogError(
                f"{path}: {name!r} has shape {array.shape}, where other columns have {rows} entries; a log has one "
                "entry a cycle in each"
            )
    single = {n: str(_text(a[0])) for n, a in arrays.items() if n not in long and a.size == 1}
    frame, overloads = tidy(pd.DataFrame(long))
    return LogTable(
        path,
        frame,
        lambda row: f"{path}, row {row + 1}",
        units or {},
        {**single, **(constants or {})},
        (note,),
        overloads=overloads,
    )


@contextmanager
def reading(path: Path, kind: str, extra: str = "") -> Iterator[None]:
    """Whatever a library says of a file in one line; ``extra``: of pip, where the library may be missing."""
    try:
        yield
    except LogError:
        raise
    except ImportError as error:
        raise LogError(f"{path}: {kind} needs the package {error.name}: pip install 'spinsweep[{extra}]'") from None
    except OSError as error:
        raise LogError(f"{path}: cannot be read ({error.strerror or said(error)})") from None
    except Exception as error:  # the file is the user's, and the libraries raise anything
        raise LogError(f"{path}: is not {kind} that can be read ({said(error)})") from None
