"""A cube from a stranger is opened as data: nothing in it is unpickled or run."""

from __future__ import annotations

import json
import pickle
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from commands import spinsweep

from spinsweep.cube import Cube

PICKLE = {"id": "pickle", "protocol": 5}


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("honest")
    words = ["run", "endurance", "--workers", 0, "--set", "width=5", "--store", "c.zarr"]
    status, said = spinsweep(*words, cwd=folder)
    assert status == 0, said
    return folder / "c.zarr"


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.sprung,)


def replaced(cube: Path, name: str, metadata: dict[str, Any], chunk: bytes) -> None:
    """Give an array of the cube other metadata, in its own place and in the root's, and one chunk."""
    version = metadata["zarr_format"]
    shutil.rmtree(cube / name)
    (cube / name).mkdir()
    (cube / name / {2: ".zarray", 3: "zarr.json"}[version]).write_text(json.dumps(metadata))
    root = json.loads((cube / "zarr.json").read_text())
    root["consolidated_metadata"]["metadata"][name] = metadata
    (cube / "zarr.json").write_text(json.dumps(root))
    rank = len(metadata["shape"])
    for path in (Path(*"c", *("0" * rank)), Path(".".join("0" * rank))):
        (cube / name / path).parent.mkdir(parents=True, exist_ok=True)
        (cube / name / path).write_bytes(chunk)


def version_2(old: dict[str, Any], dtype: str, compressor: Any, filters: Any) -> dict[str, Any]:
    return {
        "zarr_format": 2, "node_type": "array", "shape": old["shape"], "chunks": old["shape"], "dtype": dtype,
        "fill_value": None, "order": "C", "compressor": compressor, "filters": filters,
        "attributes": {"_ARRAY_DIMENSIONS": old["dimension_names"]}, "dimension_names": old["dimension_names"],
    }  # fmt: skip


def version_3(old: dict[str, Any], data_type: str, codec: str) -> dict[str, Any]:
    return {**old, "data_type": data_type, "fill_value": "", "codecs": [{"name": codec, "configuration": {}}]}


TRAPS = {
    "v2 objects": lambda old: version_2(old, "|O", None, [PICKLE]),
    "v2 numbers": lambda old: version_2(old, "<f8", PICKLE, None),
    "v2 strings, pickled as compressor": lambda old: version_2(old, "|O", PICKLE, [{"id": "vlen-utf8"}]),
    "v2 strings, pickled as filter": lambda old: version_2(old, "|O", None, [{"id": "vlen-utf8"}, PICKLE]),
    "v3 objects": lambda old: version_3(old, "object", "pickle"),
    "v3 strings": lambda old: version_3(old, "string", "numcodecs.pickle"),
    "v3 numbers": lambda old: {**version_3(old, "float64", "numcodecs.pickle"), "fill_value": 0.0},
}


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("name", ["cell_state", "cell_attempt", "width"])
@pytest.mark.filterwarnings("ignore")  # of zarr, about what it meets there
def test_pickles_in_a_cube_are_never_loaded(honest: Path, tmp_path: Path, trap: str, name: str) -> None:
    cube, sprung = tmp_path / "c.zarr", tmp_path / "sprung"
    shutil.copytree(honest, cube)
    old = json.loads((cube / name / "zarr.json").read_text())
    payload = pickle.dumps(Trap(sprung))
    replaced(cube, name, TRAPS[trap](old), payload)
    for opened in (
        lambda: Cube(cube).dataset().load(),
        lambda: Cube(cube).array(name)[:],
        lambda: Cube(cube).ledger(name),
        lambda: Cube(cube).axes,
        lambda: Cube(cube).runs(),
        lambda: xr.open_zarr(cube, consolidated=False).load(),
    ):
        with suppress(Exception):
            opened()
    assert not sprung.exists()
    pickle.loads(payload)
    assert sprung.exists(), "the trap works"


def test_status_of_a_cube_runs_nothing_that_the_cube_names(honest: Path, tmp_path: Path) -> None:
    cube = tmp_path / "c.zarr"
    shutil.copytree(honest, cube)
    (cube / "trap.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')\nSWEEP = None\n")
    root = json.loads((cube / "zarr.json").read_text())
    root["attributes"]["sweep_reference"] = f"{cube}/trap.py:SWEEP"
    (cube / "zarr.json").write_text(json.dumps(root))
    status, said = spinsweep("status", cube, cwd=tmp_path)
    assert status == 0, said
    assert not (tmp_path / "sprung").exists()
