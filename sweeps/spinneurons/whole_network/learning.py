"""A whole network learns on a chip, image by image, by one of the rules."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spinneurons.codesign.draws import LEVELS, input_limits
from spinneurons.hil.rules import RULES, LearnBy
from spinneurons.hil.streams import Streams
from spinneurons.mnist.data import Digits
from spinneurons.torch_determinism import exact_torch
from spinneurons.whole_network.chip import ChipDevices

Floats = npt.NDArray[np.float32]

LATEST = 500
"""Images over which the loss is averaged."""


class LearnedNetwork(NamedTuple):
    """Weights after some images."""

    weights: tuple[Floats, ...]
    loss: float
    """Mean squared error of the latest images; NaN before the first."""


def learn(
    start: Sequence[Floats], digits: Digits, trains: Streams, devices: ChipDevices, by: LearnBy, counts: Sequence[int]
) -> dict[int, LearnedNetwork]:
    """The network after so many images, each of ``counts``; images come in a new order in each epoch.

    Parameters
    ----------
    start : (inputs, outputs) weights of each layer
    trains : of the order of the images, their spikes, and the signs of perturbations
    """
    weights = [w.copy() for w in start]
    kept = {0: LearnedNetwork(tuple(start), float("nan"))}
    losses = deque[float](maxlen=LATEST)
    order = np.empty(0, np.int64)
    limits, images = input_limits(), len(digits.labels)
    with exact_torch():
        for shown in range(max(counts)):
            epoch, place = divmod(shown, images)
            if place == 0:
                order = trains.generator(f"order/{epoch}").permutation(images)
            pixels, label = digits.images[order[place]], int(digits.labels[order[place]])
            active = np.flatnonzero(pixels)
            rng = trains.generator(f"image/{shown}")
            spikes = rng.integers(0, LEVELS, (by.steps, len(active)), np.uint16) <= limits[pixels[active]]
            image = devices.shown(f"image/{shown}", active, spikes.astype(np.float32))
            used = [weights[0][active], *weights[1:]]
            change = RULES[by.rule](image, used, label, rng, by.size)
            weights[0][active] = used[0] - by.rate * change.gradient[0]
            for w, gradient in zip(weights[1:], change.gradient[1:], strict=True):
                w -= by.rate * gradient
            losses.append(change.loss)
            if shown + 1 in counts:
                kept[shown + 1] = LearnedNetwork(tuple(w.copy() for w in weights), float(np.mean(losses)))
    return {count: kept[count] for count in counts}
