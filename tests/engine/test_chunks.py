"""Reading and writing chunk files directly equals doing it by zarr."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import google_crc32c
import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.codecs import Crc32cCodec, ZstdCodec

from spinsweep.blocks import BlockGrid
from spinsweep.cube import open_storage
from spinsweep.cube.block_array import BlockArray, DamagedChunk
from spinsweep.errors import CubeError

DTYPES = ["uint8", "uint16", "float32", "float64", "int64", "bool", "complex64"]


@given(
    data=st.data(),
    shape=st.lists(st.integers(1, 7), min_size=1, max_size=3).map(tuple),
    dtype=st.sampled_from(DTYPES),
)
def test_reading_and_writing_files_equals_zarr_byte_for_byte(
    data: st.DataObject, shape: tuple[int, ...], dtype: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("array")
    axes = data.draw(st.integers(1, len(shape)))
    chunk = (*(data.draw(st.integers(1, n)) for n in shape[:axes]), *shape[axes:])
    fill = np.dtype(dtype).type("nan" if dtype.startswith(("float", "complex")) else 0)
    a, b = (
        zarr.create_array(
            folder / n,
            shape=shape,
            chunks=chunk,
            dtype=dtype,
            fill_value=fill,
            zarr_format=3,
            compressors=[ZstdCodec(level=0, checksum=False), Crc32cCodec()],
        )
        for n in "ab"
    )
    direct = BlockArray(open_storage(folder / "b"), json.loads((folder / "b" / "zarr.json").read_text()), axes)
    size = math.prod(shape)
    values = (
        np.array(data.draw(st.lists(st.integers(1, 200), min_size=size, max_size=size))).astype(dtype).reshape(shape)
    )
    grid = BlockGrid(shape[:axes], chunk[:axes])
    written = data.draw(st.sets(st.sampled_from(list(np.ndindex(grid.lengths)))))
    for index in written:
        region = grid.block(index).region
        a[region] = values[region]
        direct.write_block(index, values[region])
        name = direct.object_name(index)
        assert (folder / "a" / name).read_bytes() == (folder / "b" / name).read_bytes()
        np.testing.assert_array_equal(direct.read_block(index), values[region])
    (folder / "b" / "c").mkdir(exist_ok=True)
    (folder / "b" / "c" / "0.1234.partial").write_bytes(b"half")

    assert set(direct.written()) == written
    np.testing.assert_array_equal(direct.read(), a[...])
    np.testing.assert_array_equal(b[...], a[...])
    for index in written:
        direct.delete_block(index)
        assert not direct.exists(index)
    assert (direct.read() == fill).all() or fill != fill


def test_only_the_cubes_own_codecs_are_read_directly(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "a", shape=(4,), chunks=(2,), dtype="uint8", compressors=None)

    with pytest.raises(CubeError, match="another program"):
        BlockArray(open_storage(tmp_path / "a"), json.loads((tmp_path / "a" / "zarr.json").read_text()), 1)


def test_a_chunk_that_unpacks_to_more_than_its_size_is_damaged_and_not_unpacked(tmp_path: Path) -> None:
    zarr.create_array(
        tmp_path / "a", shape=(4,), chunks=(4,), dtype="uint8", compressors=[ZstdCodec(level=0), Crc32cCodec()]
    )
    direct = BlockArray(open_storage(tmp_path / "a"), json.loads((tmp_path / "a" / "zarr.json").read_text()), 1)
    frame = bytes(numcodecs.Zstd(level=0).encode(np.zeros(10**8, np.uint8)))
    (tmp_path / "a" / "c").mkdir()
    (tmp_path / "a" / "c" / "0").write_bytes(frame + int(google_crc32c.value(frame)).to_bytes(4, "little"))

    with pytest.raises(DamagedChunk, match="destination buffer too small"):
        direct.read_block((0,))


def test_a_pipe_in_the_place_of_a_chunk_is_damaged_and_not_waited_for(tmp_path: Path) -> None:
    zarr.create_array(
        tmp_path / "a", shape=(4,), chunks=(4,), dtype="uint8", compressors=[ZstdCodec(level=0), Crc32cCodec()]
    )
    direct = BlockArray(open_storage(tmp_path / "a"), json.loads((tmp_path / "a" / "zarr.json").read_text()), 1)
    (tmp_path / "a" / "c").mkdir()
    os.mkfifo(tmp_path / "a" / "c" / "0")

    with pytest.raises(DamagedChunk, match="its 0 bytes"):
        direct.read()
