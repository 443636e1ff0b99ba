"""Digits in other containers than IDX: one .npz file, or folders of images as torchvision's ImageFolder takes them.

``.npz``: ``x_train``, ``y_train``, ``x_test``, ``y_test``, as Keras has MNIST.  Folders: ``train/CLASS/*.png`` and
``test/CLASS/*.png`` (or .jpg, .bmp, .pgm, .tif), of 28 x 28 pixels.  Classes are digits, or other names in the order
of the alphabet.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

SIDE, CLASSES = 28, 10
PARTS = ("train", "test")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".pgm", ".tif", ".tiff")


class DataError(ValueError):
    """One line: the file, and what is wrong with it."""


def is_npz(path: Path) -> bool:
    """Whether the data are one .npz file."""
    return path.suffix == ".npz"


def has_image_folders(path: Path) -> bool:
    """Whether the data are folders of images."""
    return any((path / part).is_dir() for part in PARTS)


def of_npz(path: Path, part: str) -> tuple[Bytes, Bytes]:
    """(n, 784) images and (n,) labels of a part; ``DataError`` where they are not."""
    names = f"x_{part}", f"y_{part}"
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            missing = [name for name in names if name not in stored.files]
            if missing:
                held = ", ".join(stored.files) or "nothing"
                raise DataError(f"{path}: no array {missing[0]}; it has to hold {', '.join(names)}, and holds {held}")
            images, labels = (stored[name] for name in names)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, EOFError, BadZipFile, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: is no .npz file of numbers ({str(error).partition(chr(10))[0][:100]})") from None
    pixels = images.reshape(len(images), -1) if images.ndim > 1 else images
    if pixels.ndim != 2 or pixels.shape[1] != SIDE * SIDE:
        raise DataError(f"{path}: {names[0]} has the shape {images.shape}; images have {SIDE} x {SIDE} pixels")
    return _bytes(pixels, f"{path}: {names[0]}"), _labels(labels, f"{path}: {names[1]}")


def _bytes(pixels: npt.NDArray[Any], what: str) -> Bytes:
    """Intensities from 0 to 255; numbers from 0 to 1 are told apart by their kind."""
    if pixels.dtype.kind not in "fiu":
        raise DataError(f"{what} holds {pixels.dtype}, not numbers")
    if pixels.dtype.kind == "f":
        if pixels.size and not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1):
            raise DataError(f"{what} holds fractions beyond 0 to 1; store them so, or as whole numbers from 0 to 255")
        return np.asarray(np.rint(pixels * 255), np.uint8)
    if pixels.size and (pixels.min() < 0 or pixels.max() > 255):
        raise DataError(f"{what} has intensities from {pixels.min()} to {pixels.max()}; they are from 0 to 255")
    return np.asarray(pixels, np.uint8)


def _labels(labels: npt.NDArray[Any], what: str) -> Bytes:
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(f"{what} is no list of whole numbers")
    if labels.size and not 0 <= int(labels.min()) <= int(labels.max()) < CLASSES:
        raise DataError(f"{what} has labels from {labels.min()} to {labels.max()}; they are from 0 to {CLASSES - 1}")
    return np.asarray(labels, np.uint8)


def of_image_folders(path: Path, part: str) -> tuple[Bytes, Bytes]:
    """The same of folders of images, in the order of classes and of the names of their files."""
    numbers = _class_numbers(path)
    folder = path / part
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; {path} has to hold {' and '.join(PARTS)}")
    images, labels = [], []
    for name, number in numbers.items():
        for file in _image_files(folder / name):
            images.append(_pixels(file))
            labels.append(number)
    if not images:
        raise DataError(f"{folder}: holds no image in a folder of a class ({', '.join(SUFFIXES)})")
    return np.stack(images), np.array(labels, np.uint8)


def _class_numbers(path: Path) -> dict[str, int]:
    """The number of each class, by the name of its folder in either part."""
    names = {one.name for part in PARTS if (path / part).is_dir() for one in (path / part).iterdir() if one.is_dir()}
    names = {name for name in names if not name.startswith(".")}
    if len(names) > CLASSES:
        raise DataError(f"{path}: folders of {len(names)} classes; the network has {CLASSES}")
    digits = all(name.isascii() and name.isdigit() and len(name) == 1 for name in names)
    return {name: int(name) if digits else place for place, name in enumerate(sorted(names))}


def _image_files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())


def _pixels(file: Path) -> Bytes:
    """(784,) intensities of an image; colours by their luminance."""
    from PIL import Image, UnidentifiedImageError  # late: a look at the sweeps does not need it

    try:
        with Image.open(file) as image:
            if image.size != (SIDE, SIDE):
                wide, high = image.size
                raise DataError(f"{file}: has {wide} x {high} pixels; images have {SIDE} x {SIDE}")
            return np.asarray(image.convert("L"), np.uint8).reshape(-1)
    except UnidentifiedImageError:
        raise DataError(f"{file}: is no image that can be read") from None
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{file}: cannot be read ({str(error).partition(chr(10))[0][:100]})") from None
