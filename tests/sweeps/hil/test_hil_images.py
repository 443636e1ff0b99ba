"""The digits that are learnt, and what is wrong with a choice said in one line."""

from __future__ import annotations

import numpy as np
import pytest

from spinneurons.hil import images
from spinneurons.mnist import data


def test_images_are_as_many_of_each_class_in_turn_and_none_twice() -> None:
    train = data.load("train")
    found = images.some(train, (4, 0, 2), 12, "images", np.random.default_rng(0))
    assert found.targets.tolist() == [0, 1, 2] * 4
    places = [np.flatnonzero((train.images == p).all(axis=1)) for p in found.pixels]
    assert [int(train.labels[p[0]]) for p in places] == [4, 0, 2] * 4
    assert len({int(p[0]) for p in places}) == 12


def test_all_images_of_the_classes_keep_the_order_of_the_data() -> None:
    test = data.load("test")
    found = images.every(test, (6, 0))
    members = np.flatnonzero((test.labels == 6) | (test.labels == 0))
    assert len(found) == 980 + 958
    np.testing.assert_array_equal(found.pixels, test.images[members])
    np.testing.assert_array_equal(np.array([6, 0])[found.targets], test.labels[members])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0,2,x", "classes: 'x' is not a whole number; write them as 0,2,4,6"),
        ("0,-2", "classes: '-2' is not a whole number"),
        ("0,12", "classes: 12 is not a class; classes are the digits 0 to 9"),
        ("0,2,2", "classes: 2 is given twice"),
        ("4", "classes: 1 given; at least two classes are needed"),
        ("", "classes: 0 given"),
        ("0,,2", "classes: '' is not a whole number"),
    ],
)
def test_classes_that_are_none_are_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="classes") as error:
        images.class_list(text)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (7, "give a multiple of 4"),
        (3, "give a multiple of 4"),
        (4000, "hold 958 images of class 6; give 3832 at most"),
    ],
)
def test_a_count_that_the_classes_cannot_share_is_refused_in_one_line(count: int, said: str) -> None:
    with pytest.raises(ValueError, match="test_images: ") as error:
        images.some(data.load("test"), (0, 2, 4, 6), count, "test_images", np.random.default_rng(0))
    assert said in str(error.value)
    assert "\n" not in str(error.value)
