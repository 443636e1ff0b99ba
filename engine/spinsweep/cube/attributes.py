"""The attributes of a cube's root."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from spinsweep.spec import Sweep

FORMAT = 2
"""Version of the cube format that is written here."""
VERSION_NAME = "spinsweep_format"
ARCHIVE = "spinsweep_archive"
"""Attribute of the root of an archive, which is read as a cube is and takes no runs: the format of its cube."""


@dataclass(frozen=True)
class CubeAttributes:
    """What the root says of a cube; what is None is not written.

    Texts that are JSON stay texts, so that a cube that goes on keeps every byte of them.
    """

    version: int
    """Of the cube format."""
    cube_id: str
    """Tells this cube from another that is made later in the same storage."""
    title: str
    """Of the sweep."""
    source: str
    """Where the sweep comes from."""
    sweep: str
    """Its name."""
    sweep_definition: str
    """JSON text: all that can change a number."""
    parameters: str
    """JSON text of all parameters."""
    root_seed: int
    digest: str
    """SHA-256 of the definition, in hexadecimal."""
    coordinates: str | None = None
    """Names of further coordinates, apart by a space."""
    coordinates_sha256: str = "{}"
    """JSON text: SHA-256 of each coordinate's values by its name."""
    sweep_reference: str | None = None
    """How the sweep is found again."""
    created: str | None = None
    """When the cube was made, UTC, ISO 8601."""
    provenance: str | None = None
    """JSON text of the last run's record."""
    measured_on: str | None = None
    """Name of the bench that the readings come from, if there was one."""
    imported_from: str | None = None
    """Name of the log that the readings come from, if there was one."""
    added_outputs: str | None = None
    """Names of the outputs that incomplete cells lack, apart by a space."""
    others: Mapping[str, Any] = field(default_factory=dict)
    """What a sweep keeps of its artifacts, and whatever others added."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> CubeAttributes:
        """From attributes that :func:`~spinsweep.cube.root.require_valid_root` accepts, or has yet to see."""
        known = {f.name: values[_on_disk(f.name)] for f in fields(cls) if _on_disk(f.name) in values}
        others = {name: value for name, value in values.items() if name not in set(map(_on_disk, known))}
        return cls(**{**known, "others": others})

    def to_json(self) -> dict[str, Any]:
        """As they stand in the root's object."""
        known = {_on_disk(f.name): getattr(self, f.name) for f in fields(self) if f.name != "others"}
        return {name: value for name, value in known.items() if value is not None} | dict(self.others)

    @cached_property
    def definition(self) -> dict[str, Any]:
        """What ``sweep_definition`` holds."""
        return dict(json.loads(self.sweep_definition))

    @cached_property
    def params(self) -> dict[str, Any]:
        """What ``parameters`` holds."""
        return dict(json.loads(self.parameters))

    @cached_property
    def coordinate_digests(self) -> dict[str, str]:
        """What ``coordinates_sha256`` holds."""
        return dict(json.loads(self.coordinates_sha256))

    @property
    def has_readings(self) -> bool:
        """Whether its cells were measured on a bench or imported from a log: computing does not bring them back."""
        return self.measured_on is not None or self.imported_from is not None

    def with_artifacts(self, artifact_ids: Mapping[str, Any]) -> CubeAttributes:
        """With what a sweep says of its artifacts."""
        return replace(self, others={**self.others, **artifact_ids})


def definition_of(sweep: Sweep) -> dict[str, Any]:
    """Values of the fields that tell what a cube of the sweep holds."""
    return {
        "sweep": sweep.name,
        "sweep_definition": json.dumps(sweep.identity()),
        "parameters": json.dumps(sweep.identifying_params),
        "root_seed": sweep.root_seed,
        "digest": sweep.digest,
        **({"coordinates": " ".join(c.name for c in sweep.coordinates)} if sweep.coordinates else {}),
    }


def _on_disk(name: str) -> str:
    return VERSION_NAME if name == "version" else name
