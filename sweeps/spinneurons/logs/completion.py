"""The quantities of files made complete: currents of densities, resistances of voltages, counts of probabilities.

What cannot be is refused, with the row and the column; what was done is told.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from spinneurons.logs.cycles import (
    FURTHER,
    Condition,
    Cycles,
    PlausibleRange,
    Selection,
    condition,
    merged,
    settled,
)
from spinneurons.logs.mapping import SAID, Mapped
from spinneurons.logs.quantities import QUANTITIES, recognised
from spinneurons.logs.table import LogError
from spinsweep.axis import closest


def cycles(files: Sequence[Mapped], limits: PlausibleRange, selection: Selection | None = None) -> Cycles:
    """The cycles of files, each quantity in its unit and complete.

    Raises
    ------
    LogError
        A quantity is missing, or a value of it cannot be.
    """
    chosen = selection or Selection()
    parts = [_Completion(file, limits, chosen).cycles() for file in files]
    if len({part.counted for part in parts}) > 1:
        raise LogError(f"{files[0].table.path}: some files hold cycles and others counts; import them apart")
    starts = np.cumsum([0, *(len(p.frame) for p in parts)])

    def line_of(row: int) -> str:
        part = int(np.searchsorted(starts, row, side="right")) - 1
        return parts[part].line_of(row - int(starts[part]))

    signs = {part.signs for part in parts}
    frame = parts[0].frame if len(parts) == 1 else pd.concat([p.frame for p in parts], ignore_index=True)
    log = Cycles(
        frame,
        line_of,
        tuple(dict.fromkeys(note for p in parts for note in p.notes)),
        tuple(text for p in parts for text in p.left_out),
        sum(part.rows for part in parts),
        signs.pop() if len(signs) == 1 else "both",
        chosen.axis,
        {name: unit for part in parts for name, unit in part.units.items()},
        parts[0].thickness,
        parts[0].columns,
        merged(part.conditions for part in parts),
    )
    return settled(log, chosen.time_format)


class _Completion:
    """The quantities of one file on the way."""

    def __init__(self, file: Mapped, limits: PlausibleRange, selection: Selection) -> None:
        self.file, self.limits, self.selection = file, limits, selection
        self.table, self.values = file.table, dict(file.values)
        self.notes = [*file.table.notes, *file.notes]
        name = self.table.path.name
        self.left_out = [f"{name}: {text}" for text in self.table.left_out]
        if self.table.overloads:
            self.left_out.append(f"{name}: {self.table.overloads} readings were beyond the meter's range")

    def cycles(self) -> Cycles:
        """All of it."""
        rows = len(self.table.columns)
        self._width()
        polarity, keep, signs = self._current()
        self._states()
        counted = not {"r_write", "v_write"} & self.values.keys() and bool({"n_switched", "p"} & self.values.keys())
        columns = self._counts() if counted else self._readings()
        if "device" not in self.values:
            self.values["device"] = pd.Series(np.zeros(rows))
            self.notes.append("no column of devices: one device, 0")
        if self.values["device"].dtype.kind == "f":
            self.check("device", _whole(self.values["device"]), "it takes a whole number from 0 up, or a name")
        taken = {q: self.values[q] for q in ("width", "device", "i_write")}
        taken |= {"polarity": pd.Series(polarity), "at": self._axis()} | {q: self.values[q] for q in columns}
        further = [column for column in self.file.further if column != self.selection.axis]
        taken |= {FURTHER + column: self.table.columns[column] for column in further}
        frame = pd.DataFrame(taken, copy=False)  # columns that nothing changes stay those of the file
        conditions = self._conditions(keep)
        chosen: Any = range(rows)
        if not keep.all():
            chosen, frame = np.flatnonzero(keep), frame[keep].reset_index(drop=True)
        thickness = float(self.values["thickness"].iloc[0]) if "thickness" in self.values else math.nan
        line_of = self.table.line_of  # alone: the file's own columns are not needed any more
        units = {(n if n == self.selection.axis else FURTHER + n): u for n, u in self.table.units.items()}
        return Cycles(
            frame, lambda row: line_of(int(chosen[row])), tuple(self.notes), tuple(self.left_out), rows,
            signs, self.selection.axis, units, thickness, self.file.columns, conditions,
        )  # fmt: skip

    def _states(self) -> None:
        """A column of what switched that has 0 or 1 in each row, of nobody knows how many, has states of cycles."""
        values = self.values
        if "n_switched" not in values or {"n", "p", "r_write", "v_write"} & values.keys():
            return
        if values["n_switched"].isin((0, 1)).all():
            values["r_write"] = values.pop("n_switched")
            self.notes.append(f"{self.file.columns['n_switched']!r} is the state after each write pulse, 0 or 1")

    def require(self, quantity: str, help: str) -> Any:
        """The values of a quantity."""
        if quantity not in self.values:
            columns = ", ".join(map(str, self.table.columns))
            raise LogError(f"{self.table.path}: nothing says {help}; its columns are {columns}")
        return self.values[quantity]

    def check(self, quantity: str, good: Any, requirement: str) -> None:
        """Refuse the first row whose value is not good."""
        if not np.all(good):
            row = int(np.argmin(np.asarray(good)))
            name = self.file.columns.get(quantity, quantity)
            columns = self.table.columns
            held = columns[name].iloc[row] if name in columns else self.values[quantity].iloc[row]
            shown = str(held) if not isinstance(held, float) else "" if math.isnan(held) else f"{held:g}"
            raise LogError(f"{self.table.line_of(row)}: column {name!r} holds {shown!r}; {requirement}")

    def _unit(self, quantity: str, unit: str, column: str = "") -> str:
        """The option that says the unit of a quantity's column."""
        name = self.file.columns.get(column or quantity, "...")
        return f'--columns \'{quantity}={{column="{name}", unit="{unit}"}}\''

    def _width(self) -> None:
        width = self.require("width", "how wide the bars are: name the column, or --constant 'width=2 um'")
        self.check("width", (width > 0) & np.isfinite(width), "it takes a width in um above 0")
        low, high = self.limits.width
        within = (low <= width) & (width <= high)
        help = f"a bar is {low:g} to {high:g} um wide; is the column in um, not in nm? {self._unit('width', 'nm')}"
        self.check("width", within, help)

    def _current(self) -> tuple[Any, Any, str]:
        """Polarity of each row, which rows are taken, and the signs that there are; ``i_write`` is a magnitude."""
        values = self.values
        if "i_write" not in values and "j_write" in values:
            help = "how thick the layer is that the density is of: --constant 'thickness=5 nm'"
            thickness = self.require("thickness", help)
            values["i_write"] = values["j_write"] * (thickness * 1e-9) * (values["width"] * 1e-6)
            self.notes.append("i_write is j_write x thickness x width")
        i_write = self.require(
            "i_write", "what the write current was: name the column, such as --columns 'i_write=\"Current (A)\"'"
        )
        self.check("i_write", np.isfinite(i_write), "it takes a current in A")
        sign = np.sign(i_write.to_numpy())
        signs = {s for s in np.unique(sign) if s}
        polarity = np.where(sign < 0, -1, 1).astype(np.int8)
        keep = np.ones(len(i_write), bool)
        if signs == {-1.0, 1.0}:
            if zero := int((sign == 0).sum()):
                self.notes.append(f"{zero} rows at zero current count as positive")
            if self.selection.polarity:
                keep = polarity == (1 if self.selection.polarity == "positive" else -1)
                self.left_out.append(f"{self.table.path.name}: {int((~keep).sum())} rows of the other polarity")
                signs = {float(polarity[keep][0])}
        if signs == {-1.0}:
            polarity = np.full(len(i_write), -1, np.int8)
            self.notes.append("write currents are negative; their magnitude is kept")
        values["i_write"] = i_write.abs()
        most = self.limits.current
        help = (
            f"no Hall bar takes more than {most:g} A; is the column in A, not in mA, uA or A/m^2? "
            f"{self._unit('i_write', 'mA')}, or {self._unit('j_write', 'A/m^2', 'i_write')}"
        )
        self.check("i_write", values["i_write"] <= most, help)
        return polarity, keep, "both" if len(signs) > 1 else "negative" if signs == {-1.0} else "positive"

    def _readings(self) -> list[str]:
        """Columns of cycles: resistances after write, and after reset if there are any."""
        values = self.values
        readings = ["r_write"]
        if "r_reset" in values or "v_reset" in values:
            readings.insert(0, "r_reset")
        else:
            self.notes.append(
                "no readings after reset: every reset is taken to have succeeded, and states come from the levels of "
                "the readings after write alone"
            )
        for name in readings:
            voltage = name.replace("r_", "v_")
            if name not in values and voltage in values:
                help = "what the read current was: --constant 'i_read=50 uA'"
                values[name] = values[voltage] / self.require("i_read", help)
                self.notes.append(f"{name} is {voltage} over the read current")
            help = f"what was read after {name[2:]}: name the column of {name} or {voltage}, or of counts, n_switched"
            read = self.require(name, help)
            self.check(name, ~np.isinf(read), "it takes a resistance in ohm, or nothing if lost")
        if "cycle" in values:
            self.check("cycle", _whole(values["cycle"]), "it takes a whole number from 0 up")
        else:
            values["cycle"] = pd.Series(np.full(len(values["width"]), np.nan))
        return ["cycle", *readings]

    def _counts(self) -> list[str]:
        """Columns of counts: what switched, of how many."""
        values = self.values
        n = self.require("n", "of how many pulses the counts are: name the column, or --constant n=30")
        self.check("n", _whole(n) & (n > 0), "it takes a whole number of pulses from 1 up")
        if "n_switched" not in values:
            p = values["p"]
            self.check("p", (p >= 0) & (p <= 1), "it takes a probability from 0 to 1")
            counts = np.round(p * n)
            digits = next((d for d in range(2, 13) if np.allclose(p, np.round(p, d), rtol=0, atol=1e-13)), 13)
            near = np.abs(p * n - counts) <= np.maximum(0.5 * 10.0**-digits * n, 1e-6 * n) + 1e-9
            self.check("p", near, f"this is no whole number of {n.iloc[0]:g} pulses; is n right?")
            values["n_switched"] = counts
            self.notes.append("n_switched is p x n")
        k = values["n_switched"]
        self.check("n_switched", _whole(k), "it takes a whole number of pulses from 0 up")
        self.check("n_switched", k <= n, "more pulses switched than there were; are n_switched and n exchanged?")
        for name in ("n_switched", "n"):
            values[name] = values[name].astype(np.int64)
        self.notes.append("counts, not cycles: there are no readings to look at")
        return ["n_switched", "n"]

    def _conditions(self, keep: Any) -> dict[str, Condition]:
        """How it was measured, of the rows that are taken; what varies along the further axis is none of it."""
        conditions = {}
        for name, most in (("i_read", self.limits.current), ("pulse_width", self.limits.pulse)):
            origin = self.file.columns.get(name)
            if origin is None or origin == self.selection.axis:
                continue
            values = self.values[name].abs().to_numpy(np.float64)[keep]
            values = values[np.isfinite(values)]
            good = (values > 0) & (values <= most)
            if not good.all():
                unit, wrong = QUANTITIES[name].unit, values[~good][0]
                problem = f"{name} is {wrong:g} {unit} by {origin}; it is above 0 and up to {most:g} {unit}"
                if origin == SAID:
                    raise LogError(f"{self.table.path}: {problem}")
                self.left_out.append(f"{self.table.path.name}: {problem}")
            if good.any():
                conditions[name] = condition(values[good])
        return conditions

    def _axis(self) -> Any:
        """Values of the further axis; 0 where there is none."""
        name, columns = self.selection.axis, self.table.columns
        if not name:
            return 0.0
        names = [str(column) for column in columns]
        if (value := self.file.axis_value) is not None:
            if recognised(name):
                raise LogError(f"--axis {name}: is a quantity of its own, and no further axis")
            if name in names:
                raise LogError(f"{self.table.path}: has a column {name!r} too; say --axis {name}, or another name")
            self.notes.append(f"{name} is {value:g} in {self.table.path.name}")
            return value
        if name not in names:
            raise LogError(
                f"{self.table.path}: there is no column {name!r} for --axis{closest(name, names)}; it has "
                f"{', '.join(names)}; for a value that is one in each file: --axis {name}=0,7"
            )
        if name not in self.file.further:
            raise LogError(f"{self.table.path}: column {name!r} is a quantity of its own, and no further axis")
        held = columns[name]
        if held.dtype.kind != "f" or not np.isfinite(held).all():
            good = np.isfinite(pd.to_numeric(held, errors="coerce").to_numpy(np.float64))
            row = int(np.argmin(good))
            raise LogError(f"{self.table.line_of(row)}: column {name!r} has no number there, and --axis needs one")
        return held


def _whole(values: pd.Series) -> Any:
    return (values >= 0) & (values < 2**53) & (values == np.floor(values))
