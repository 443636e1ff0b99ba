"""Folders of digits in MNIST's shape, whole or to be damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spinneurons.mnist import data

TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = data.MNIST_SHA256


def idx(array: npt.NDArray[np.uint8]) -> bytes:
    """The array of bytes as an IDX file."""
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def write_folder(folder: Path, n: int = 12, pack: Callable[[bytes], bytes] = bytes, suffix: str = "") -> Path:
    """A folder of random digits in MNIST's shape."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(3)
    for images, labels in ((TRAIN_IMAGES, TRAIN_LABELS), (TEST_IMAGES, TEST_LABELS)):
        content = idx(rng.integers(0, 256, (n, 28, 28), np.uint8)), idx(rng.integers(0, 10, n, np.uint8))
        for name, raw in zip((images, labels), content, strict=True):
            (folder / f"{name}{suffix}").write_bytes(pack(raw))
    return folder
