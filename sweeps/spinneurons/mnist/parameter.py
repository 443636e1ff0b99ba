"""The digits as a parameter of a sweep."""

from __future__ import annotations

from spinneurons.mnist import data
from spinsweep.parameters import Parameter


def contents(value: dict[str, str]) -> str:
    """The data without the folder in which they lie."""
    return value["sha256"]


DATA = Parameter(
    "data",
    data.describe(),
    help="MNIST-shaped data: a folder of IDX files, folders of images (train/CLASS/*.png), or .npz",
    load=data.describe,
    fingerprint=contents,
)
