"""What makes numbers in a process, and how two such origins differ."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from spinsweep.identity import Identity, differences, identify, imported_here, is_released, version
from spinsweep.provenance.cpu import processor
from spinsweep.provenance.packages import versions_reached
from spinsweep.spec import Sweep


@dataclass(frozen=True)
class OriginRecord:
    """What computed cells, as a group in ``codes/`` of a cube keeps it.

    Its version is the cube's format.
    """

    identity: str
    """Digest of the code."""
    parts: Mapping[str, str]
    """Digest of each function, class and value by ``module:name``; a package's version by its name."""
    packages: Mapping[str, str]
    """Version of each package that the code reaches, and of those that these rest on."""
    python: str
    """Version."""
    processor: str
    """Its model, and the instruction sets that libraries chose for it."""
    notes: tuple[str, ...] = ()
    """What of the code could not be looked into."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> OriginRecord | None:
        """From the attributes of the group; None where something is missing or of another type."""
        texts, mappings = ("identity", "python", "processor"), ("parts", "packages")
        if not all(isinstance(values.get(name), str) for name in texts):
            return None
        if not all(isinstance(values.get(name), Mapping) for name in mappings):
            return None
        notes = tuple(map(str, values.get("notes") or ()))
        return cls(**{name: values[name] for name in (*texts, *mappings)}, notes=notes)

    def to_json(self) -> dict[str, Any]:
        """Attributes of the group."""
        return {**vars(self), "notes": list(self.notes)}


@dataclass(frozen=True)
class Origin:
    """What makes numbers in a process: a sweep's code, the packages that it reaches, Python, the processor."""

    code: Identity
    """What of the code counts."""
    record: OriginRecord
    """As a cube keeps it."""

    @classmethod
    def here(cls, code: Identity) -> Origin:
        """Of code that is computed in this process."""
        packages, cpu = versions_reached(code.packages), processor(with_torch="torch" in code.packages)
        python = platform.python_version()
        return cls(code, OriginRecord(code.digest, code.parts, packages, python, cpu, tuple(code.notes)))

    @classmethod
    def of(cls, sweep: Sweep) -> Origin:
        """Of a sweep that is computed in this process."""
        return cls.here(identify(sweep.function, reached=sweep.reached_code))

    @cached_property
    def number(self) -> int:
        """Its name in a cube, from 1 to 2^53 - 1, which JSON holds exactly."""
        text = json.dumps(self.record.to_json(), sort_keys=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big") >> 3 or 1


def of_worker(driver: Origin) -> Origin:
    """The origin of what a worker computes for a driver: its own modules where they are imported."""
    code = imported_here(driver.code)
    parts = {n: d for n, d in {**driver.code.parts, **code.parts}.items() if d}
    packages = {n: v for n in driver.code.packages if (v := version(n)) is not None}
    merged = Identity({**parts, **packages}, driver.code.packages, driver.code.by_value, driver.code.content_packages)
    return Origin.here(merged)


def other_code(theirs: OriginRecord, ours: OriginRecord) -> list[str]:
    """What differs in the code of two origins, in words."""
    return differences(_counting(theirs), _counting(ours))


def other_versions(theirs: OriginRecord, ours: OriginRecord) -> list[str]:
    """Which versions of two origins differ, in words; of Python only the minor one is looked at."""
    names = [n for n in ours.packages if is_released(n)]
    old, new = ({n: origin.packages.get(n, "") for n in names} for origin in (theirs, ours))
    return differences(_python(theirs), _python(ours)) + differences(old, new)


def other_processor(theirs: OriginRecord, ours: OriginRecord) -> list[str]:
    """Whether the processors of two origins differ, in words."""
    return differences({"processor": theirs.processor}, {"processor": ours.processor})


def _counting(origin: OriginRecord) -> dict[str, str]:
    """The parts that an identity is made of."""
    return {n: d for n, d in origin.parts.items() if ":" in n or not is_released(n)}


def _python(origin: OriginRecord) -> dict[str, str]:
    return {"Python": ".".join(origin.python.split(".")[:2])}
