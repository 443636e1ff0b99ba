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
    """(n,) the class's index among the classes, which is the number of its output neuron."""

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
    chosen = whole_numbers(text, "classes")
    for digit in chosen:
        if not 0 <= digit < CLASSES:
            raise ValueError(f"classes: {digit} is not a class; classes are the digits 0 to {CLASSES - 1}")
        if chosen.count(digit) > 1:
            raise ValueError(f"classes: {digit} is given twice; give each class once")
    if len(chosen) < 2:
        raise ValueError(f"classes: {len(chosen)} given; at least two classes are needed, such as 0,2")
    return chosen


def some(digits: Digits, classes: Sequence[int], count: int, what: str, rng: np.random.Generator) -> Images:
    """``count`` images, as many of each class, drawn without repetition; classes follow each other in turn.

    Parameters
    ----------
    classes : digits; the index of a digit here is its output neuron
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
    least = min(range(len(classes)), key=lambda index: len(members[index]))
    if (held := len(members[least])) < each:
        raise ValueError(
            f"{what}: the data hold {held} images of class {classes[least]}; give {held * len(classes)} at most"
        )
    rows = np.stack([rng.choice(of_class, each, replace=False) for of_class in members], axis=1)
    return Images(digits.images[rows.ravel()], np.tile(np.arange(len(classes)), each))


def every(digits: Digits, classes: Sequence[int], at_most: int | None = None) -> Images:
    """All images of the classes in the order of the data, or the first of them."""
    output = np.full(CLASSES, -1)
    output[list(classes)] = np.arange(len(classes))
    targets = output[digits.labels]
    chosen = np.flatnonzero(targets >= 0)[:at_most]
    return Images(digits.images[chosen], targets[chosen])
