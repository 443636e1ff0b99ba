"""The journal of what was done at a bench: on disk before it is done, and never done again.

One file an experiment, one line of JSON a row (see :mod:`~spinsweep.bench.journal_rows`), only appended::

    open    a lane began: epoch, boot, process, time
    intent  a train of cycles is going to be fired: its plan                              (synced)
    fire    a cycle's last pulse is about to leave
    result  what a cycle read
    lost    a cycle whose outcome will never be known, and why
    measured  what auxiliary instruments measured at the begin or the end of a train
    end     the train is whole                                                            (synced)

Syncing to the disk costs milliseconds, so a train is synced as a whole: its intent before its first pulse, its
results before they are used.  A process that dies between loses nothing, for the kernel has the rows written in
between; then a cycle is in doubt only if it was fired and has no result.  When the machine itself went down (its
boot has another name), every cycle of the train without a result is in doubt.  What is in doubt is marked lost.

Rows are a chain: each names the hash of the one before.  Beside the folder of the journals, in ``journal-heads``,
stands how far each was written when it was synced.  A journal that somebody deletes, cuts or replaces, between runs
or under a lane, is noticed, and nothing is fired: its pulses might be fired again.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spinsweep import system
from spinsweep.bench import journal_rows as rows
from spinsweep.bench.errors import BenchError
from spinsweep.disk import sync_folder, write_whole

FORMAT = 1
PLAN_ROUNDING = 1e-9
"""Relative difference between two plans that are the same: another kind of processor sums in another order, and no
source sets a current as finely (a 6221: five digits)."""


@dataclass
class TrainRecord:
    """What the journal knows of one train."""

    plan: dict[str, Any]
    """As it was intended: JSON values."""
    results: dict[int, list[float]] = field(default_factory=dict)
    """By cycle: what was read, V."""
    lost: dict[int, str] = field(default_factory=dict)
    """By cycle: why its outcome is not known."""
    fired: set[int] = field(default_factory=set)
    measured: list[dict[str, float]] = field(default_factory=list)
    """By column, what auxiliary instruments measured at the begin and the end, each time it was fired."""
    ended: bool = False

    @property
    def length(self) -> int:
        """Number of cycles intended."""
        return int(self.plan["cycles"])

    def missing(self) -> Iterator[int]:
        """Cycles that may still be fired."""
        return (k for k in range(self.length) if k not in self.results and k not in self.lost)

    def in_doubt(self) -> list[int]:
        """Cycles that were fired and have no outcome."""
        return [k for k in sorted(self.fired) if k not in self.results and k not in self.lost]


class Journal:
    """The journal of the experiment ``key`` in ``folder``, opened for a lane of the given epoch.

    What an earlier lane left in doubt is marked lost before this returns.

    Raises
    ------
    BenchError
        The file belongs to another experiment or was written by a newer lane.
    """

    def __init__(self, folder: Path, key: str, epoch: int) -> None:
        self.key = key
        self.epoch = epoch
        self.path = path_of(folder, key)
        self.trains: dict[str, TrainRecord] = {}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._head = head_of(self.path)
        refuse_lost(self._head)
        self._size, self._last, self._chained = 0, "", False
        new = not self.path.exists()
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | system.BINARY, 0o644)
        try:
            boots = self._replay()
            self._settle(same_boot=boots[-1:] == [boot()])  # before this boot is in the journal
            self.sync()
            self._append(rows.LaneOpened(FORMAT, key, epoch, boot(), os.getpid(), system.host_name(), _now()))
            self.sync()
            if new:
                sync_folder(str(self.path.parent))
        except BaseException:
            self.close()
            raise

    def intend(self, train: str, plan: Mapping[str, Any]) -> TrainRecord:
        """Put a train's plan on disk, before its first pulse; ``plan["cycles"]`` is their number.

        A train that is known already has to have the same plan, but for ``PLAN_ROUNDING``.
        """
        planned = json.loads(json.dumps(dict(plan)))
        known = self.trains.get(train)
        if known is not None:
            for name in planned:
                if not _same(known.plan.get(name), planned[name]):
                    raise BenchError(
                        f"{self.path}: train {train!r} was planned with a different {name}; "
                        "a measurement can only be resumed with its original settings"
                    )
            return known
        self._append(rows.TrainIntended(self.epoch, train, planned, _now()))
        self.sync()
        self.trains[train] = record = TrainRecord(planned)
        return record

    def fire(self, train: str, cycle: int) -> None:
        """Note that the last pulse of a cycle is about to leave."""
        record = self.trains[train]
        if cycle in record.fired or cycle in record.results or cycle in record.lost:
            raise BenchError(
                f"{self.path}: cycle {cycle} of train {train!r} was fired before and cannot be fired twice"
            )
        self._refuse_changed()
        self._append(rows.CycleFired(self.epoch, train, cycle))
        record.fired.add(cycle)

    def result(self, train: str, cycle: int, volts: list[float]) -> None:
        """Note what a cycle read."""
        self._append(rows.CycleRead(self.epoch, train, cycle, volts))
        self.trains[train].results[cycle] = volts

    def lose(self, train: str, cycle: int, reason: str) -> None:
        """Note that the outcome of a cycle will not be known."""
        self._append(rows.CycleLost(self.epoch, train, cycle, reason))
        self.trains[train].lost[cycle] = reason

    def measured(self, train: str, values: Mapping[str, float]) -> None:
        """Note what auxiliary instruments measured."""
        self._append(rows.TrainMeasured(self.epoch, train, dict(values), _now()))
        self.trains[train].measured.append(dict(values))

    def end(self, train: str) -> None:
        """Put a whole train on disk, before it is used."""
        self._append(rows.TrainEnded(self.epoch, train, _now()))
        self.sync()
        self.trains[train].ended = True

    def sync(self) -> None:
        """Wait until everything written is on the disk; then note how far it goes."""
        system.data_sync(self._file)
        self._head.parent.mkdir(exist_ok=True)
        write_whole(str(self._head), json.dumps({"size": self._size, "last": self._last}).encode(), sync=False)

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _append(self, row: rows.Row) -> None:
        line = f'{row.to_json()[:-1]},"previous":"{self._last}"}}'.encode()
        if os.write(self._file, line + b"\n") != len(line) + 1:
            raise BenchError(f"{self.path}: the disk is full, so nothing can be noted and no pulse is sent")
        self._size += len(line) + 1
        self._last = _hash(line)

    def _refuse_changed(self) -> None:
        """``BenchError`` if somebody deleted, cut, or wrote into the file that is open here."""
        status = os.fstat(self._file)
        if status.st_nlink == 0 or status.st_size != self._size:
            what = "deleted" if status.st_nlink == 0 else "changed"
            raise BenchError(
                f"{self.path}: was {what} by another program while a lane writes to it; no pulse is sent"
            )

    def _replay(self) -> list[str]:
        """Read all rows; cut off what a lost machine left half-written. Returns the boots of all lanes."""
        with open(self._file, "rb", closefd=False) as file:
            content = file.read()
        boots: list[str] = []
        *lines, rest = content.split(b"\n")
        known = _known(self._head)
        for number, line in enumerate(lines, 1):
            try:
                self._read(rows.parse(line), boots)
            except (ValueError, KeyError):  # KeyError: of a train that no row before has intended
                raise BenchError(
                    f"{self.path}: line {number} is not a valid journal entry; repair or remove it. "
                    "No pulse will be sent until then."
                ) from None
            previous = _previous(line)
            if previous != self._last and (previous is not None or self._chained):
                raise BenchError(
                    f"{self.path}: line {number} does not follow the one before it: rows were taken out or changed. "
                    "Put the file back as it was; no pulse is sent until then."
                )
            self._chained |= previous is not None
            self._size += len(line) + 1
            self._last = _hash(line)
            if known and self._size == known["size"] and self._last != known["last"]:
                raise BenchError(_lost(self._head, "was replaced"))
        if rest:  # its writer died in the middle of it
            self.path.with_suffix(f".torn-{self.epoch}").write_bytes(rest)
            os.ftruncate(self._file, len(content) - len(rest))
        if known and self._size < known["size"]:
            raise BenchError(_lost(self._head, "is shorter than it was"))
        return boots

    def _read(self, row: rows.Row, boots: list[str]) -> None:
        if row.epoch > self.epoch:
            raise BenchError(
                f"{self.path} was written by lane {row.epoch}, newer than this one ({self.epoch}); "
                "the bench is another's"
            )
        match row:
            case rows.LaneOpened():
                if row.key != self.key or row.format != FORMAT:
                    raise BenchError(f"{self.path} is the journal of {row.key!r} in format {row.format}")
                boots.append(row.boot)
            case rows.TrainIntended():
                self.trains[row.train] = TrainRecord(row.plan)
            case rows.CycleFired():
                self.trains[row.train].fired.add(row.cycle)
            case rows.CycleRead():
                self.trains[row.train].results[row.cycle] = row.volts
            case rows.CycleLost():
                self.trains[row.train].lost[row.cycle] = row.reason
            case rows.TrainMeasured():
                self.trains[row.train].measured.append(row.values)
            case rows.TrainEnded():
                self.trains[row.train].ended = True

    def _settle(self, *, same_boot: bool) -> None:
        for name, record in self.trains.items():
            if record.ended:
                continue
            for cycle in record.in_doubt() if same_boot else list(record.missing()):
                reason = "the lane died with the pulse on its way" if same_boot else "the machine went down"
                self.lose(name, cycle, reason)


def path_of(folder: Path, key: str) -> Path:
    """The file of an experiment: some of its key to be read, and a digest to tell keys apart."""
    readable = re.sub(r"[^A-Za-z0-9.=-]+", "_", key)[-60:].strip("_")
    return folder / f"{readable}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.jsonl"


def head_of(journal: Path) -> Path:
    """Where it stands how far a journal was written."""
    return journal.parent.parent / f"{journal.parent.name}-heads" / f"{journal.name}.json"


def _journal_of(head: Path) -> Path:
    return head.parent.parent / head.parent.name.removesuffix("-heads") / head.name.removesuffix(".json")


def refuse_lost(head: Path) -> None:
    """``BenchError`` if the journal of a head is gone, or is shorter than it was."""
    known, journal = _known(head), _journal_of(head)
    if known is None:
        return
    if not journal.exists():
        raise BenchError(_lost(head, "is gone"))
    if journal.stat().st_size < known["size"]:
        raise BenchError(_lost(head, "is shorter than it was"))


def refuse_any_lost(folder: Path) -> None:
    """The same of all journals of a bench in its folder."""
    for head in sorted((folder / "journal-heads").glob("*.json")):
        refuse_lost(head)


def _known(head: Path) -> dict[str, Any] | None:
    """What a head says; None if there is none."""
    try:
        known = json.loads(head.read_bytes())
        if isinstance(known, dict) and isinstance(known["size"], int) and isinstance(known["last"], str):
            return known
    except FileNotFoundError:
        return None
    except (ValueError, KeyError):
        pass
    raise BenchError(f"{head} is damaged; remove it if the journal of that name is as it should be")


def _lost(head: Path, what: str) -> str:
    return (
        f"{_journal_of(head)} {what}, so that pulses in it might be fired again. Put it back; or, if that is what "
        f"you want, remove {head}. No pulse is sent until then."
    )


_PREVIOUS = re.compile(rb',"previous":"([0-9a-f]*)"}$')


def _previous(line: bytes) -> str | None:
    """The hash that a row names; None of a row from before there were any."""
    match = _PREVIOUS.search(line)
    return None if match is None else match[1].decode()


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()[:16]


def _same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same, numbers within ``PLAN_ROUNDING``."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=PLAN_ROUNDING)
    return bool(one == other)


def boot() -> str:
    """Names this start of the machine; where that cannot be known, another name each time."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return os.urandom(8).hex()


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
