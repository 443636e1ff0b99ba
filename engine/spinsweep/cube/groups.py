"""The small JSON objects of a cube: metadata of groups and arrays, and the root, whose replacement is the commit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from spinsweep.cube.coordinates import COPIES
from spinsweep.cube.root import seal
from spinsweep.cube.storage import Storage
from spinsweep.errors import CubeError
from spinsweep.evaluate import CellError
from spinsweep.provenance import Origin

ROOT_COPY = f"{COPIES}/root.json"


def write_root(storage: Storage, metadata: Mapping[str, Any], attributes: Mapping[str, Any]) -> None:
    """Commit: the root's object, and before it the copy of it that ``verify`` takes when the root is damaged."""
    content = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {**attributes, "root_sha256": seal(attributes, metadata)},
        "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": dict(metadata)},
    }
    data = json.dumps(content, indent=1).encode()
    storage.write(ROOT_COPY, data)
    storage.commit("zarr.json", data)


def write_group(storage: Storage, attributes: Mapping[str, Any]) -> None:
    """A zarr v3 group that holds only attributes; written whole or not at all."""
    write_json(storage, "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)})


def write_json(storage: Storage, name: str, content: Mapping[str, Any]) -> None:
    """Put or replace a JSON object in one step."""
    storage.write(name, json.dumps(content, indent=1).encode())


def read_json(storage: Storage, name: str) -> dict[str, Any] | None:
    """A JSON object of the cube; None where there is none.

    Raises
    ------
    CubeError
        It cannot be read, or is no JSON.
    """
    try:
        data = storage.read(name)
        content = None if data is None else json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        raise CubeError(
            f"{storage}/{name} is damaged or cannot be read: {error}; `spinsweep verify {storage} --repair` restores "
            "what it can"
        ) from None
    return content if isinstance(content, dict) else None


def parse_json(data: bytes | None) -> dict[str, Any]:
    """A JSON object; {} where it is missing or damaged."""
    try:
        content = json.loads(data or b"")
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def parse_node(data: bytes | None) -> dict[str, Any]:
    """The ``zarr.json`` of a group or an array, which has attributes; {} where it is missing or damaged."""
    content = parse_json(data)
    return content if isinstance(content.get("attributes"), dict) else {}


def run_group(storage: Storage, epoch: int) -> Storage:
    """The group that records the run of that epoch."""
    return storage / f"runs/{epoch:06d}"


def error_group(storage: Storage, reference: int) -> Storage:
    """The group that holds the error of that reference."""
    return storage / f"errors/{reference:016x}"


def code_group(storage: Storage, reference: int) -> Storage:
    """The group that tells what computed a cell of that reference."""
    return storage / f"codes/{reference:016x}"


def keep_error(storage: Storage, error: CellError) -> int:
    """Store an error under a reference made from its content, once; returns the reference."""
    output = {"output": error.output} if error.output else {}  # none: the same reference as ever
    text = "\0".join((error.type, error.message, error.traceback, *output.values()))
    reference = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1 or 1
    group = error_group(storage, reference)
    if b'"message"' not in (group.read("zarr.json") or b""):  # a power cut may leave an empty one
        write_group(group, {"type": error.type, "message": error.message, "traceback": error.traceback, **output})
    return reference


def keep_origin(storage: Storage, origin: Origin) -> None:
    """Store what computes cells under its number, once; before any of them is written."""
    group = code_group(storage, origin.number)
    try:
        content = read_json(group, "zarr.json") or {}
    except CubeError:  # damaged: what is to be there is known
        content = {}
    attributes = origin.record.to_json()
    if content.get("attributes") != attributes:
        write_group(group, attributes)
