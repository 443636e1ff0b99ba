"""Which digits the network learns and is tested on: the same number of images of each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spinneurons.mnist.data import CLASSES, Digits


@dataclass(frozen=True)
class Images:
    """Some images of the chosen classes."""

    pixels: npt.NDArray[np.uint8]
    """(n, 784), 0 is dark."""
    targets: npt.NDArray[np.int64]
    """(n,) the class's place among the classes, which is the number of its output neuron."""

    def __len__(self) -> int:
        return len(self.targets)


def whole_numbers(text: str, what: str) -> list[int]:
    """The numbers in a text such as ``0,2,4,6``; the empty text holds none.

    Raises
    ------
    ValueError
        A part of it is not a whole number from 0 up; ``what`` names it in the message.
    """
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    for part in parts:
        if not (part.isascii() and part.isdigit()):
            raise ValueError(f"{what}: {part!r} is not a whole number; write them as 0,2,4,6")
    return [int(part) for part in parts]


def class_list(text: str) -> list[int]:
    """The classes in a text such as ``0,2,4,6``.

    Raises
    ------
    ValueError
        They are not two or more different digits.
    """
    found = whole_numbers(text, "classes")
    for digit in found:
        if not 0 <= digit < CLASSES:
            raise ValueError(f"classes: {digit} is no class; they are the digits 0 to {CLASSES - 1}")
        if found.count(digit) > 1:
            raise ValueError(f"classes: {digit} stands twice; each class once")
    if len(found) < 2:
        raise ValueError(f"classes: {len(found)} class cannot be told from others; give two at least, such as 0,2")
    return found


def some(digits: Digits, classes: Sequence[int], count: int, what: str, rng: np.random.Generator) -> Images:
    """``count`` images, as many of each class, drawn without repetition; classes follow each other in turn.

    Parameters
    ----------
    classes : digits; the place of a digit here is its output neuron
    count : of all classes together
    what : the name of ``count`` in messages

    Raises
    ------
    ValueError
        ``count`` is not the same number for each class, or the data hold fewer.
    """
    each, rest = divmod(count, len(classes))
    if rest or not each:
        raise ValueError(
            f"{what}: {count} images are not the same number of each of {len(classes)} classes; "
            f"give a multiple of {len(classes)}"
        )
    members = [np.flatnonzero(digits.labels == digit) for digit in classes]
    least = min(range(len(classes)), key=lambda place: len(members[place]))
    if (held := len(members[least])) < each:
        raise ValueError(
            f"{what}: the data hold {held} images of class {classes[least]}; give {held * len(classes)} at most"
        )
    rows = np.stack([rng.choice(of_class, each, replace=False) for of_class in members], axis=1)
    return Images(digits.images[rows.ravel()], np.tile(np.arange(len(classes)), each))


def every(digits: Digits, classes: Sequence[int]) -> Images:
    """All images of the classes, in the order of the data."""
    place = np.full(CLASSES, -1)
    place[list(classes)] = np.arange(len(classes))
    targets = place[digits.labels]
    return Images(digits.images[targets >= 0], targets[targets >= 0])
