"""Reading the ledger's files directly equals reading them by zarr."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from engine.cube import chunks

DTYPES = ["uint8", "uint16", "float32", "int64"]


@given(
    data=st.data(),
    shape=st.lists(st.integers(1, 7), min_size=1, max_size=3).map(tuple),
    dtype=st.sampled_from(DTYPES),
)
def test_the_fast_reader_equals_zarr(
    data: st.DataObject, shape: tuple[int, ...], dtype: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("array") / "a"
    chunk = tuple(data.draw(st.integers(1, n)) for n in shape)
    array = zarr.create_array(path, shape=shape, chunks=chunk, dtype=dtype, zarr_format=3)
    size = math.prod(shape)
    values = np.array(data.draw(st.lists(st.integers(0, 200), min_size=size, max_size=size)), dtype).reshape(shape)
    for corner in data.draw(
        st.sets(st.tuples(*(st.integers(0, (n - 1) // c) for n, c in zip(shape, chunk, strict=True))))
    ):
        region = tuple(slice(i * c, (i + 1) * c) for i, c in zip(corner, chunk, strict=True))
        array[region] = values[region]
    (path / "c").mkdir(exist_ok=True)
    (path / "c" / "0.1234.partial").write_bytes(b"half")
    metadata = json.loads((path / "zarr.json").read_text())

    assert chunks.readable(metadata)
    np.testing.assert_array_equal(chunks.read(path, metadata, shape), array[...])


def test_only_the_cubes_own_codecs_are_read_directly(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "a", shape=(4,), chunks=(2,), dtype="uint8", compressors=None)

    assert not chunks.readable(json.loads((tmp_path / "a" / "zarr.json").read_text()))
