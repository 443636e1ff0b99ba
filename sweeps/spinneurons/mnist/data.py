"""MNIST and any data of the same shape: IDX files, packed or not, .npz, or folders of images, checked when read.

The package holds MNIST itself, so that a fresh machine needs no download; its files are verified by SHA-256.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spinneurons.mnist import containers
from spinneurons.mnist.containers import CLASSES, SIDE, DataError

Bytes = npt.NDArray[np.uint8]

PACKAGE = Path(__file__).parent / "data"
PIXELS = SIDE * SIDE

__all__ = ["CLASSES", "MNIST_SHA256", "PIXELS", "SIDE", "DataError", "Digits", "checked", "describe", "load"]

MNIST_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""SHA-256 of each unpacked file of MNIST."""

_PREFIX = {"train": "train", "test": "t10k"}
_MAGIC = {"images": 0x803, "labels": 0x801}
"""IDX: two zero bytes, 8 for unsigned bytes, then the number of dimensions."""


@dataclass(frozen=True)
class Digits:
    """Images and labels of one part."""

    images: Bytes
    """(n, 784) uint8, 0 is dark."""
    labels: Bytes
    """(n,) uint8, 0 to 9."""


def describe(folder: str = "") -> dict[str, str]:
    """The data as a sweep's parameter: the folder ("" is the package's MNIST) and the digest of the contents.

    Raises
    ------
    DataError
        A file is missing or is not what it should be.
    """
    if not folder:
        return {"folder": "", "sha256": _digest(MNIST_SHA256)}
    for part in _PREFIX:
        load(part, folder)
    if _is_other(Path(folder)):
        return {"folder": folder, "sha256": _digest(_as_idx(folder))}
    digests = {name: hashlib.sha256(_unpacked(name, Path(folder))[1]).hexdigest() for name in MNIST_SHA256}
    return {"folder": folder, "sha256": _digest(digests)}


def load(part: str, folder: str = "") -> Digits:
    """The ``train`` or ``test`` part of the data; "" is the package's MNIST.

    Parameters
    ----------
    folder : of IDX files, or of folders of images, or an .npz file; see :mod:`spinneurons.mnist.containers`

    Raises
    ------
    DataError
        A file is missing, truncated, of the wrong kind or shape, or the two do not belong together.
    """
    if folder and _is_other(path := Path(folder)):
        read = containers.of_npz if containers.is_npz(path) else containers.of_image_folders
        return _matching(*read(path, part), str(path), part)
    images_path, images = _array(f"{_PREFIX[part]}-images-idx3-ubyte", "images", folder)
    labels_path, labels = _array(f"{_PREFIX[part]}-labels-idx1-ubyte", "labels", folder)
    if len(images) == 0:
        raise DataError(f"{images_path}: holds no image")
    if len(images) != len(labels):
        raise DataError(
            f"{labels_path}: holds {len(labels)} labels for the {len(images)} images of {images_path.name}"
        )
    if labels.max() >= CLASSES:
        raise DataError(f"{labels_path}: holds the label {labels.max()}; labels are 0 to {CLASSES - 1}")
    return Digits(images, labels)


def _is_other(path: Path) -> bool:
    return containers.is_npz(path) or containers.has_image_folders(path)


def _matching(images: Bytes, labels: Bytes, name: str, part: str) -> Digits:
    if not len(images):
        raise DataError(f"{name}: holds no image in {part}")
    if len(images) != len(labels):
        raise DataError(f"{name}: holds {len(labels)} labels for the {len(images)} images in {part}")
    return Digits(images, labels)


def _as_idx(folder: str) -> dict[str, str]:
    """SHA-256 of each file that these data would be as IDX: the same data have one digest in any container."""
    digests = {}
    for part, prefix in _PREFIX.items():
        digits = load(part, folder)
        for kind, array in (("images", digits.images.reshape(-1, SIDE, SIDE)), ("labels", digits.labels)):
            head = _MAGIC[kind].to_bytes(4, "big") + np.array(array.shape, ">u4").tobytes()
            name = next(n for n in MNIST_SHA256 if n.startswith(f"{prefix}-{kind}"))
            digests[name] = hashlib.sha256(head + array.tobytes()).hexdigest()
    return {name: digests[name] for name in MNIST_SHA256}


@cache
def checked(part: str, folder: str, sha256: str) -> Digits:
    """The part of the folder whose contents have the digest that :func:`describe` gave; kept in memory.

    Raises
    ------
    DataError
        The contents have changed since.
    """
    if (digest := describe(folder)["sha256"]) != sha256:
        raise DataError(f"{folder}: contents have the digest {digest[:12]}, not {sha256[:12]} as in the sweep")
    return load(part, folder)


def _digest(hashes: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def _array(name: str, kind: str, folder: str) -> tuple[Path, Bytes]:
    path, content = _unpacked(name, Path(folder) if folder else PACKAGE)
    if not folder and hashlib.sha256(content).hexdigest() != MNIST_SHA256[name]:
        raise DataError(f"{path}: contents are not MNIST's (SHA-256 differs); install the package again")
    return path, _parsed(path, content, kind)


def _unpacked(name: str, folder: Path) -> tuple[Path, bytes]:
    path = next((p for p in (folder / f"{name}.gz", folder / name) if p.exists() and not p.is_fifo()), None)
    if path is None:
        raise DataError(f"{folder / name}: no such file, neither plain nor with .gz")
    try:
        content = path.read_bytes()
        return path, gzip.decompress(content) if path.suffix == ".gz" else content
    except gzip.BadGzipFile as error:
        raise DataError(f"{path}: is not gzip, or is damaged ({error})") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except EOFError:
        raise DataError(f"{path}: is truncated: the gzip stream ends early") from None
    except zlib.error as error:
        raise DataError(f"{path}: the gzip stream is damaged ({error})") from None


def _parsed(path: Path, content: bytes, kind: str) -> Bytes:
    """The array of an IDX file: (n, 784) for images, (n,) for labels."""
    dims = 3 if kind == "images" else 1
    if len(content) < 4 + 4 * dims:
        raise DataError(f"{path}: is truncated: {len(content)} bytes, the IDX header alone takes {4 + 4 * dims}")
    magic = int.from_bytes(content[:4], "big")
    if magic != _MAGIC[kind]:
        held = next((f"holds {k}, not {kind}" for k, m in _MAGIC.items() if m == magic), "is not an IDX file")
        raise DataError(f"{path}: {held} (its first word is 0x{magic:08x}, for {kind} it is 0x{_MAGIC[kind]:08x})")
    shape = tuple(int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(dims))
    if kind == "images" and shape[1:] != (SIDE, SIDE):
        raise DataError(f"{path}: images have {shape[1]} x {shape[2]} pixels; the network takes {SIDE} x {SIDE}")
    size = len(content) - 4 - 4 * dims
    if size != math.prod(shape):
        what = "is truncated" if size < math.prod(shape) else "is longer than its header says"
        raise DataError(f"{path}: {what}: {size} bytes of data, the header says {math.prod(shape)}")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dims).reshape((shape[0], PIXELS) if dims == 3 else shape)
