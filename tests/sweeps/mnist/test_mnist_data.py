"""The digits are MNIST, and whatever is wrong with a folder is said in one line that names the file."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

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


# Other containers


def digits_in(folder: Path) -> dict[str, data.Digits]:
    return {part: data.load(part, str(folder)) for part in ("train", "test")}


def write_npz(folder: Path, file: Path, change: str = "") -> Path:
    """The digits of a folder of IDX files as one .npz file."""
    arrays: dict[str, np.ndarray] = {}
    for part, digits in digits_in(folder).items():
        images = digits.images.reshape(-1, 28, 28)
        arrays[f"x_{part}"] = images / 255 if change == "fractions" else images
        arrays[f"y_{part}"] = digits.labels.astype(np.int64)
    np.savez(file, **arrays)
    return file


def write_images(folder: Path, to: Path, names: str = "0123456789", suffix: str = ".png") -> Path:
    """The same as folders of images."""
    for part, digits in digits_in(folder).items():
        for n, (pixels, label) in enumerate(zip(digits.images, digits.labels, strict=True)):
            of_class = to / part / names[label]
            of_class.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.reshape(28, 28)).save(of_class / f"{n:04d}{suffix}")
    return to


@pytest.mark.parametrize("change", ["", "fractions"])
def test_an_npz_file_is_the_same_data_as_its_idx_files(tmp_path: Path, change: str) -> None:
    folder = write_folder(tmp_path / "idx")
    file = write_npz(folder, tmp_path / "digits.npz", change)
    assert data.describe(str(file))["sha256"] == data.describe(str(folder))["sha256"]
    np.testing.assert_array_equal(data.load("train", str(file)).images, data.load("train", str(folder)).images)
    assert data.checked("test", **data.describe(str(file))).labels.dtype == np.uint8


@pytest.mark.parametrize(("names", "suffix"), [("0123456789", ".png"), ("abcdefghij", ".pgm")])
def test_folders_of_images_are_the_same_images_class_by_class(tmp_path: Path, names: str, suffix: str) -> None:
    folder = write_folder(tmp_path / "idx", n=30)
    images = write_images(folder, tmp_path / "images", names, suffix)
    for part, digits in digits_in(folder).items():
        found, order = data.load(part, str(images)), np.argsort(digits.labels, kind="stable")
        classes = sorted({*digits_in(folder)["train"].labels, *digits_in(folder)["test"].labels})
        numbers = digits.labels[order] if names[0] == "0" else np.searchsorted(classes, digits.labels[order])
        np.testing.assert_array_equal(found.labels, numbers)
        np.testing.assert_array_equal(found.images, digits.images[order])


def test_colours_are_taken_by_their_luminance(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / part / "0").mkdir(parents=True)
        Image.new("RGB", (28, 28), (255, 0, 0)).save(tmp_path / part / "0" / "red.png")
    assert (data.load("train", str(tmp_path)).images == 76).all()


def broken(kind: str, folder: Path) -> str:
    """Data in a container with a mistake; the path to give."""
    idx_folder = write_folder(folder / "idx")
    if kind.startswith("npz"):
        file = write_npz(idx_folder, folder / "digits.npz")
        with np.load(file) as stored:
            arrays = dict(stored)
        match kind.removeprefix("npz "):
            case "without an array":
                del arrays["y_test"]
            case "of other pixels":
                arrays["x_train"] = arrays["x_train"][:, :20]
            case "of large numbers":
                arrays["x_train"] = arrays["x_train"].astype(int) * 300
            case "of other labels":
                arrays["y_train"] = arrays["y_train"] + 9
            case "of fewer labels":
                arrays["y_test"] = arrays["y_test"][:-1]
            case "of text":
                arrays["x_test"] = arrays["x_test"].astype(str)
            case "cut off":
                file.write_bytes(file.read_bytes()[:100])
                return str(file)
        np.savez(file, **arrays)
        return str(file)
    images = write_images(idx_folder, folder / "images")
    first = next((images / "train").glob("*/*.png"))
    match kind.removeprefix("images "):
        case "of another size":
            Image.new("L", (32, 28)).save(first)
        case "that are none":
            first.write_text("no image")
        case "cut off":
            first.write_bytes(first.read_bytes()[:60])
        case "of eleven classes":
            (images / "test" / "ten").mkdir()
            for digit in "0123456789":
                (images / "test" / digit).mkdir(exist_ok=True)
        case "without a part":
            shutil.rmtree(images / "test")
    return str(images)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("npz without an array", "no array y_test; it has to hold x_test, y_test, and holds"),
        ("npz of other pixels", r"x_train has the shape \(12, 20, 28\); images have 28 x 28 pixels"),
        ("npz of large numbers", "x_train has intensities from 0 to"),
        ("npz of other labels", "y_train has labels from 9 to"),
        ("npz of fewer labels", "holds 11 labels for the 12 images in test"),
        ("npz of text", "x_test holds <U3, not numbers"),
        ("npz cut off", "is no .npz file of numbers"),
        ("images of another size", "has 32 x 28 pixels; images have 28 x 28"),
        ("images that are none", "is no image that can be read"),
        ("images cut off", "(cannot be read|is no image)"),
        ("images of eleven classes", "folders of 11 classes; the network has 10"),
        ("images without a part", "no such folder; .* has to hold train and test"),
    ],
)
def test_what_is_wrong_with_another_container_is_one_line_that_names_the_file(
    tmp_path: Path, kind: str, words: str
) -> None:
    path = broken(kind, tmp_path)
    with pytest.raises(DataError, match=words) as told:
        data.describe(path)
    assert str(told.value).startswith(path)
    assert "\n" not in str(told.value)


def test_a_sweep_takes_them_and_has_one_identity_for_the_same_data(tmp_path: Path) -> None:
    from spinneurons.codesign.sweep import SWEEP

    folder = write_folder(tmp_path / "idx")
    file = write_npz(folder, tmp_path / "digits.npz")
    one, other = (SWEEP.with_text({"data": str(path)}) for path in (folder, file))
    assert one.digest == other.digest != SWEEP.digest
