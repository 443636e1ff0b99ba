"""What the root of a cube must hold, checked before any of it is used: a cube may be damaged, or anybody's."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from spinsweep.axis import DTYPES as COORDINATE_TYPES
from spinsweep.cube.block_array import is_raw_layout
from spinsweep.errors import CubeError
from spinsweep.moments import NOT_A_TIME
from spinsweep.outputs import DTYPES, IN_CUBE
from spinsweep.printable import brief
from spinsweep.spec import LEDGER, MOST_CELLS

TEXTS = ("cube_id", "sweep", "title", "source", "sweep_definition", "parameters", "digest", "coordinates_sha256")
CELL = {"cell_state": "uint8", "cell_attempt": "uint16", "cell_duration": "float32", "cell_error": "int64",
        "cell_code": "int64"}  # fmt: skip
CODECS = ("bytes", "vlen-utf8", "zstd", "crc32c")
SEALED = ("cube_id", "sweep_definition", "digest", "parameters", "root_seed", "coordinates_sha256")
STORED = ("shape", "data_type", "chunk_grid", "chunk_key_encoding", "fill_value", "codecs", "dimension_names")
OPTIONAL_TEXTS = (
    "coordinates",
    "sweep_reference",
    "measured_on",
    "imported_from",
    "created",
    "provenance",
    "added_outputs",
)


def require_valid_root(root: Mapping[str, Any], where: str) -> None:
    """Check the ``zarr.json`` of a cube of this format, as JSON gave it.

    Raises
    ------
    CubeError
        One line: what is missing, of another type, or contradicts another part.
    """
    try:
        _check(root)
    except _Invalid as problem:
        raise CubeError(
            f"{where}/zarr.json is damaged: {problem}; `spinsweep verify {where} --repair` restores what it can"
        ) from None


class _Invalid(ValueError):
    """What is wrong with the root."""


def _check(root: Mapping[str, Any]) -> None:
    attrs = _mapping(root, "attributes", "")
    _check_attributes(attrs)
    definition = _json(attrs, "sweep_definition")
    _mapping(definition, "parameters", "sweep_definition.")
    axes, dims, outputs = (_named(definition, part) for part in ("axes", "dims", "outputs"))
    digests = _json(attrs, "coordinates_sha256")
    further = [name for name in digests if name not in (*axes, *dims)]
    if unnamed := next((name for name in further if not name.isidentifier()), None):
        raise _Invalid(f"the attribute coordinates_sha256 has the name {brief(unnamed)}")
    names = [*axes, *dims, *outputs, *further, *LEDGER]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise _Invalid(f"the name {twice!r} stands twice")
    if not axes or not outputs:
        raise _Invalid("it has no axis or no output")
    if unknown := next((n for n in str(attrs.get("added_outputs", "")).split() if n not in outputs), None):
        raise _Invalid(f"the attribute added_outputs has the unknown output {brief(unknown)}")
    arrays = _mapping(_mapping(root, "consolidated_metadata", ""), "metadata", "consolidated_metadata.")
    shapes = {name: _shape(arrays, name) for name in names}
    kinds = {name: COORDINATE_TYPES.get(str(part.get("kind"))) for name, part in axes.items()}
    kinds |= {name: _type(part) for name, part in outputs.items()} | CELL
    for name in names:
        _require_type(arrays[name], name, kinds.get(name))
    for name in (*outputs, *LEDGER):
        if not is_raw_layout(arrays[name]):
            raise _Invalid(f"the chunks of the array {name} are stored in another way than the cube's")
    if missing := next((n for n in (*axes, *dims, *further) if not isinstance(digests.get(n), str)), None):
        raise _Invalid(f"the attribute coordinates_sha256 has no digest of {missing}")
    for name in (*axes, *dims, *further):
        along = arrays[name].get("dimension_names")
        if len(shapes[name][0]) != 1 or along not in ([[axis] for axis in axes] if name in further else [[name]]):
            raise _Invalid(f"the coordinate {name} has the dims {brief(along)} and the shape {shapes[name][0]}")
    lengths = {name: shapes[name][0][0] for name in (*axes, *dims)}
    cells, chunk = tuple(lengths[name] for name in axes), shapes["cell_state"][1]
    if not 0 < math.prod(cells) <= MOST_CELLS:
        raise _Invalid(f"its axes have {cells} values, which is no or too many cells")
    for name, inner in {**{o: part["dims"] for o, part in outputs.items()}, **{n: [] for n in LEDGER}}.items():
        if foreign := [dim for dim in inner if dim not in dims]:
            raise _Invalid(f"the output {name} has the unknown dim {brief(foreign[0])}")
        if arrays[name].get("dimension_names") != [*axes, *inner]:
            raise _Invalid(f"the array {name} has the dims {brief(arrays[name].get('dimension_names'))}")
        whole = tuple(lengths[dim] for dim in inner)
        shape, blocks = shapes[name]
        if shape != cells + whole or blocks != chunk + tuple(max(1, n) for n in whole):
            raise _Invalid(f"the array {name} has shape {shape} in chunks of {blocks}, which does not fit the cells")
    if any(c > n for c, n in zip(chunk, cells, strict=True)):
        raise _Invalid(f"a chunk {chunk} is longer than the axes, {cells}")
    if attrs.get("root_sha256") != seal(attrs, arrays):
        raise _Invalid("what it says of numbers is not what was written")


def _check_attributes(attrs: Mapping[str, Any]) -> None:
    for name in (*TEXTS, *(name for name in OPTIONAL_TEXTS if name in attrs)):
        if not isinstance(attrs.get(name), str):
            raise _Invalid(f"the attribute {name} " + (f"is {brief(attrs[name])}" if name in attrs else "is missing"))
    if type(seed := attrs.get("root_seed")) is not int:
        raise _Invalid(f"the attribute root_seed is {brief(seed)}, not a whole number")
    if not re.fullmatch("[0-9a-f]{32}", attrs["cube_id"]):  # names the files of its locks
        raise _Invalid(f"cube_id is {brief(attrs['cube_id'])}, not 32 hexadecimal digits")
    _json(attrs, "parameters")


def seal(attrs: Mapping[str, Any], arrays: Mapping[str, Any]) -> str:
    """SHA-256 over what the root says of numbers: definition, parameters, digests, and how each array is stored.

    It is no proof against forgery, but finds a bit that flipped. What others may add or change is not in it.

    Parameters
    ----------
    attrs : attributes of the root
    arrays : metadata by name, of all arrays of the cube at least
    """
    definition = json.loads(attrs["sweep_definition"])
    names = [*json.loads(attrs["coordinates_sha256"]), *(o["name"] for o in definition["outputs"]), *LEDGER]
    stored = {name: {part: arrays[name].get(part) for part in STORED} for name in names}
    sealed = {name: attrs[name] for name in (*SEALED, "added_outputs") if name in attrs}
    return hashlib.sha256(json.dumps([sealed, stored], sort_keys=True).encode()).hexdigest()


def _named(definition: Mapping[str, Any], part: str) -> dict[str, Mapping[str, Any]]:
    """The axes, dims or outputs of a definition by name."""
    items = definition.get(part)
    if not isinstance(items, list):
        raise _Invalid(f"sweep_definition.{part} is {brief(items)}, not a list")
    for item in items:
        name = item.get("name") if isinstance(item, Mapping) else None
        if not isinstance(name, str) or not name.isidentifier():
            raise _Invalid(f"sweep_definition.{part} has no name in {brief(item)}")
        inner = item.get("dims") if part == "outputs" else []
        if not isinstance(inner, list) or not all(isinstance(dim, str) for dim in inner):
            raise _Invalid(f"the output {name} has the dims {brief(inner)}")
    return {str(item["name"]): item for item in items}


def _shape(arrays: Mapping[str, Any], name: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shape and chunk of an array."""
    metadata = _mapping(arrays, name, "the metadata of the array ")
    if metadata.get("zarr_format") != 3 or metadata.get("node_type") != "array":
        raise _Invalid(f"{name} is no array of zarr 3")
    grid = _mapping(metadata, "chunk_grid", f"{name}.")
    sizes = metadata.get("shape"), _mapping(grid, "configuration", f"{name}.chunk_grid.").get("chunk_shape")
    for size, least in zip(sizes, (0, 1), strict=True):
        if not isinstance(size, list) or not all(type(n) is int and least <= n < 2**63 for n in size):
            raise _Invalid(f"the array {name} has shape {brief(sizes[0])} in chunks of {brief(sizes[1])}")
    shape, chunk = map(tuple, sizes)  # type: ignore[arg-type]
    if len(shape) != len(chunk):
        raise _Invalid(f"the array {name} has shape {shape} in chunks of {chunk}")
    return shape, chunk


def _type(output: Mapping[str, Any]) -> str:
    try:
        dtype: str = np.dtype(output["dtype"]).name if output["dtype"] is not None else ""
    except (KeyError, TypeError, ValueError):
        dtype = ""
    if dtype not in DTYPES:
        raise _Invalid(f"the output {output['name']} has the dtype {brief(output.get('dtype'))}")
    return IN_CUBE.get(dtype, dtype)


def _require_type(metadata: Mapping[str, Any], name: str, required: str | None) -> None:
    """Refuse numbers, codecs and names of chunks that the engine does not write."""
    data_type, codecs, keys = (metadata.get(part) for part in ("data_type", "codecs", "chunk_key_encoding"))
    if data_type not in ((required,) if required else COORDINATE_TYPES.values()):
        raise _Invalid(f"the array {name} is of type {brief(data_type)}" + (f", not {required}" if required else ""))
    steps = codecs if isinstance(codecs, list) else [None]
    if not steps or not all(isinstance(step, Mapping) and step.get("name") in CODECS for step in steps):
        raise _Invalid(f"the array {name} has the codecs {brief(codecs)}")
    if keys != {"name": "default", "configuration": {"separator": "/"}}:
        raise _Invalid(f"the array {name} has the chunk_key_encoding {brief(keys)}")
    fill = metadata.get("fill_value")
    fills = (0, NOT_A_TIME, "NaN", ["NaN", 0.0], ["NaN", "NaN"], "")
    if fill not in fills and not (name == "cell_code" and type(fill) is int):
        raise _Invalid(f"the array {name} has the fill_value {brief(metadata.get('fill_value'))}")


def _mapping(parent: Mapping[str, Any], name: str, prefix: str) -> Mapping[str, Any]:
    value = parent.get(name)
    if not isinstance(value, Mapping):
        raise _Invalid(f"{prefix}{name} {'is missing' if value is None else f'is {brief(value)}'}")
    return value


def _json(attrs: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    try:
        values = json.loads(attrs[name])
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, Mapping):
        raise _Invalid(f"the attribute {name} is no JSON text of named values")
    return values
