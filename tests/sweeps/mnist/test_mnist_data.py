"""The digits are MNIST, and whatever is wrong with a folder is said in one line that names the file."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digit_files import TEST_IMAGES, TEST_LABELS, idx, write_folder
from spinneurons.mnist import data
from spinneurons.mnist.data import DataError


def test_the_package_holds_mnist() -> None:
    train, test = data.load("train"), data.load("test")
    assert train.images.shape == (60_000, 784)
    assert test.images.shape == (10_000, 784)
    assert test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


def test_plain_and_packed_files_are_the_same_data(tmp_path: Path) -> None:
    plain = str(write_folder(tmp_path / "plain"))
    packed = str(write_folder(tmp_path / "packed", pack=gzip.compress, suffix=".gz"))
    assert data.describe(plain)["sha256"] == data.describe(packed)["sha256"]
    np.testing.assert_array_equal(data.load("test", plain).images, data.load("test", packed).images)


def test_other_contents_have_another_digest(tmp_path: Path) -> None:
    one, other = write_folder(tmp_path / "one"), write_folder(tmp_path / "other", n=13)
    digests = {data.describe(folder)["sha256"] for folder in ("", str(one), str(other))}
    assert len(digests) == 3


def test_a_copy_of_mnist_has_the_digest_of_mnist(tmp_path: Path) -> None:
    for path in data.PACKAGE.glob("*.gz"):
        shutil.copy(path, tmp_path)
    assert data.describe(str(tmp_path))["sha256"] == data.describe()["sha256"]


def damage(kind: str, folder: Path) -> str:
    """Spoil one file of the folder; its name."""
    images, labels = folder / TEST_IMAGES, folder / TEST_LABELS
    rng = np.random.default_rng(5)
    match kind:
        case "missing":
            images.unlink()
        case "images in place of labels":
            shutil.copy(images, labels)
            return TEST_LABELS
        case "labels in place of images":
            shutil.copy(labels, images)
        case "not IDX":
            images.write_bytes(b"PNG" * 100)
        case "other shape":
            images.write_bytes(idx(rng.integers(0, 256, (12, 32, 32), np.uint8)))
        case "longer":
            images.write_bytes(images.read_bytes() + b"x")
        case "no image":
            images.write_bytes(idx(np.zeros((0, 28, 28), np.uint8)))
        case "fewer labels":
            labels.write_bytes(idx(np.zeros(11, np.uint8)))
            return TEST_LABELS
        case "label 10":
            labels.write_bytes(idx(np.full(12, 10, np.uint8)))
            return TEST_LABELS
        case "not gzip":
            images.rename(folder / f"{TEST_IMAGES}.gz")
        case "damaged gzip":
            packed = bytearray(gzip.compress(images.read_bytes()))
            packed[len(packed) // 2] ^= 0xFF
            (folder / f"{TEST_IMAGES}.gz").write_bytes(packed)
        case "truncated gzip":
            (folder / f"{TEST_IMAGES}.gz").write_bytes(gzip.compress(images.read_bytes())[:-20])
        case "folder":
            images.unlink()
            images.mkdir()
    return TEST_IMAGES


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing", "no such file"),
        ("images in place of labels", "holds images, not labels"),
        ("labels in place of images", "holds labels, not images"),
        ("not IDX", "not an IDX file"),
        ("other shape", "32 x 32"),
        ("longer", "longer than its header says"),
        ("no image", "no image"),
        ("fewer labels", "11 labels for the 12 images"),
        ("label 10", "label 10"),
        ("not gzip", "not gzip"),
        ("damaged gzip", "damaged"),
        ("truncated gzip", "truncated"),
        ("folder", "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_that_names_the_file(tmp_path: Path, kind: str, said: str) -> None:
    folder = write_folder(tmp_path / "data")
    name = damage(kind, folder)
    with pytest.raises(DataError) as error:
        data.describe(str(folder))
    assert said in str(error.value)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


@settings(max_examples=40)
@given(length=st.integers(0, 16 + 12 * 784 - 1))
def test_a_file_cut_at_any_byte_is_truncated(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    folder = write_folder(tmp_path_factory.mktemp("cut"))
    path = folder / TEST_IMAGES
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DataError, match=f"{TEST_IMAGES}: is truncated"):
        data.load("test", str(folder))


def test_data_that_changed_after_they_were_described_are_refused(tmp_path: Path) -> None:
    described = data.describe(str(write_folder(tmp_path / "data")))
    write_folder(tmp_path / "data", n=13)
    with pytest.raises(DataError, match="digest"):
        data.checked("test", **described)


def test_a_changed_file_of_the_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "PACKAGE", write_folder(tmp_path / "data"))
    with pytest.raises(DataError, match="not MNIST's"):
        data.load("test")
