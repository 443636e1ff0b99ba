"""The rows of a journal, and how each stands in its file: a line of JSON with the fields in their order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self, get_args


@dataclass(frozen=True)
class _Row:
    op: ClassVar[str]

    def to_json(self) -> str:
        """The row as it stands in the file, without the end of the line."""
        return json.dumps({"op": self.op, **vars(self)}, separators=(",", ":"))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The row of such values; ``TypeError`` if one is missing."""
        names = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in names})


@dataclass(frozen=True)
class LaneOpened(_Row):
    """A lane began."""

    op = "open"
    format: int
    """Of the journal."""
    key: str
    """The experiment."""
    epoch: int
    boot: str
    """Names this start of the machine."""
    process: int = 0
    host: str = ""
    time: str = ""


@dataclass(frozen=True)
class TrainIntended(_Row):
    """A train of cycles is going to be fired."""

    op = "intent"
    epoch: int
    train: str
    plan: dict[str, Any]
    """JSON values; ``cycles`` is their number."""
    time: str = ""


@dataclass(frozen=True)
class CycleFired(_Row):
    """The last pulse of a cycle is about to leave."""

    op = "fire"
    epoch: int
    train: str
    cycle: int


@dataclass(frozen=True)
class CycleRead(_Row):
    """What a cycle read."""

    op = "result"
    epoch: int
    train: str
    cycle: int
    volts: list[float]
    """V."""


@dataclass(frozen=True)
class CycleLost(_Row):
    """A cycle whose outcome will never be known."""

    op = "lost"
    epoch: int
    train: str
    cycle: int
    reason: str


@dataclass(frozen=True)
class TrainMeasured(_Row):
    """What auxiliary instruments measured at the begin or the end of a train; only on a bench that has such."""

    op = "measured"
    epoch: int
    train: str
    values: dict[str, float]
    """By column, in its unit."""
    time: str = ""


@dataclass(frozen=True)
class TrainEnded(_Row):
    """The train is whole."""

    op = "end"
    epoch: int
    train: str
    time: str = ""


Row = LaneOpened | TrainIntended | CycleFired | CycleRead | CycleLost | TrainMeasured | TrainEnded
_ROWS: dict[str, type[Row]] = {row.op: row for row in get_args(Row)}
_TYPES: dict[str, type] = {
    "epoch": int, "train": str, "cycle": int, "plan": dict, "volts": list, "key": str, "values": dict
}  # fmt: skip


def parse(line: bytes) -> Row:
    """The row in a line; ``ValueError`` if it is not one."""
    values = json.loads(line)
    try:
        row = _ROWS[values["op"]].from_json(values)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a row: {error}") from None
    for name, kind in _TYPES.items():
        if type(getattr(row, name, kind())) is not kind:  # a cycle "3" would not be the cycle 3, and be fired again
            raise ValueError(f"{name} is of another type")
    return row
