"""The trained network: 784-400-10 or deeper, sigmoid, no biases, as an artifact that recipe, data and seed name.

Recipe of the paper (sections 2.3 and 4.5), whose details are those of R. B. Palm's DeepLearnToolbox and of
D. Neil's fork of it for spiking networks: dropout by a mask on the hidden layers without inversion, so that the
trained network multiplies the hidden activity by 1 - dropout when it is used.

Training runs once for each name: the weights lie in ``$SPINSWEEP_CACHE`` (else ``~/.cache/spinsweep``), and
processes that want the same ones at the same time wait for the first.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import torch

from spinneurons.codesign.chip import digest_of
from spinneurons.mnist import data as digits
from spinneurons.mnist.data import CLASSES, PIXELS
from spinneurons.torch_determinism import exact_torch
from spinsweep.disk import file_lock, write_whole

Floats = npt.NDArray[np.float32]


class NetworkError(RuntimeError):
    """One line: what is wrong with a stored network, and what to do."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.  Source: sections 2.3 and 4.5 of the paper; init and loss of DeepLearnToolbox."""

    hidden: int = 400
    """Neurons of the first hidden layer."""
    epochs: int = 40
    batch: int = 100
    learning_rate: float = 2.0
    momentum: float = 0.5
    dropout: float = 0.5
    """Probability that a hidden neuron is masked in a training step."""
    further: tuple[int, ...] = ()
    """Neurons of further hidden layers."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Pixels, neurons of each hidden layer, classes."""
        return PIXELS, self.hidden, *self.further, CLASSES

    @property
    def described(self) -> dict[str, Any]:
        """What stands in the name of a network; without further layers, it is what it was before there were any."""
        return {name: value for name, value in asdict(self).items() if name != "further" or value}


@dataclass(frozen=True)
class Network:
    """Trained weights and where they come from."""

    w: tuple[Floats, ...]
    """(inputs, outputs) each, as trained: to be used with hidden activity times ``1 - dropout``, or folded."""
    recipe: Recipe
    data: str
    """Digest of the data."""
    seed: int

    @property
    def name(self) -> str:
        """Digest of recipe, data and seed: what the artifact is called."""
        return name(self.recipe, self.data, self.seed)

    @property
    def digest(self) -> str:
        """SHA-256 of the weights themselves."""
        return digest_of(self.w)

    @property
    def folded(self) -> tuple[Floats, ...]:
        """Layers with the dropout factor of their inputs folded in, (1 - dropout) W, from the second one on."""
        first, *later = self.w
        return first, *(w * np.float32(1 - self.recipe.dropout) for w in later)


def name(recipe: Recipe, data: str, seed: int) -> str:
    """Digest of what a network is trained from; ``data`` is the digest of the data."""
    text = json.dumps({"format": 1, "recipe": recipe.described, "data": data, "seed": seed}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def cache_folder() -> Path:
    """Where networks are kept: ``$SPINSWEEP_CACHE``, else ``~/.cache/spinsweep``."""
    folder = os.environ.get("SPINSWEEP_CACHE")
    return Path(folder) if folder else Path.home() / ".cache" / "spinsweep"


def obtain(recipe: Recipe, data: dict[str, str], seed: int, say: Callable[[str], None] | None = None) -> Network:
    """The network of this recipe, data (see :func:`spinneurons.mnist.data.describe`) and seed.

    It is read from the cache folder, or trained and put there; concurrent callers wait for one training.

    Raises
    ------
    NetworkError
        The folder cannot be written, or the stored file is damaged.
    """
    path = network_file(recipe, data["sha256"], seed)
    if path.exists():
        return _read(path, recipe, data["sha256"], seed)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with file_lock(path.with_suffix(".lock"), flags=os.O_RDWR | os.O_CREAT):
            if not path.exists():
                train = digits.checked("train", **data)
                network = Network(fit(train, recipe, seed, say), recipe, data["sha256"], seed)
                _write(path, network)
    except OSError as error:
        raise NetworkError(f"{path}: cannot be written ({error.strerror}); set SPINSWEEP_CACHE to a folder") from None
    return _read(path, recipe, data["sha256"], seed)


def network_file(recipe: Recipe, data: str, seed: int) -> Path:
    """Where the network of that recipe, data (SHA-256) and seed is kept."""
    return cache_folder() / f"network-{name(recipe, data, seed)[:32]}.npz"


def fit(
    train: digits.Digits, recipe: Recipe, seed: int, say: Callable[[str], None] | None = None
) -> tuple[Floats, ...]:
    """Weights after ``recipe.epochs`` epochs of stochastic gradient descent with momentum.

        h = m * sigmoid(x W1)         m: 0 with probability dropout, else 1; likewise each further hidden layer
        y = sigmoid(h W2)
        E = |y - target|^2 / 2, averaged over the batch
        v <- momentum v + learning_rate dE/dW,   W <- W - v

    Weights start uniform in +-4 sqrt(6/(fan_in + fan_out)); each epoch is a new permutation.  Every random
    number comes from one NumPy stream of the seed, and one thread multiplies, so that the weights are those of the
    seed on one machine.

    Parameters
    ----------
    train : images (n, 784) and labels (n,)
    say : called with a line after each epoch

    Returns
    -------
    (inputs, outputs) float32 of each layer
    """
    with exact_torch():
        return _fit(train, recipe, seed, say)


def _fit(
    train: digits.Digits, recipe: Recipe, seed: int, say: Callable[[str], None] | None = None
) -> tuple[Floats, ...]:
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(train.images.astype(np.float32) / 255)
    target = torch.nn.functional.one_hot(torch.from_numpy(train.labels.astype(np.int64)), CLASSES).float()
    weights = [torch.from_numpy(initial(rng, shape)) for shape in pairwise(recipe.sizes)]
    velocities = [torch.zeros_like(w) for w in weights]
    for epoch in range(recipe.epochs):
        order = torch.from_numpy(rng.permutation(len(x)))
        loss = 0.0
        for start in range(0, len(x), recipe.batch):
            batch = order[start : start + recipe.batch]
            active = [x[batch]]
            for w in weights[:-1]:
                mask = torch.from_numpy(rng.random((len(batch), w.shape[1]), np.float32) >= recipe.dropout)
                active.append(torch.sigmoid(active[-1] @ w) * mask)
            y = torch.sigmoid(active[-1] @ weights[-1])
            error = y - target[batch]
            loss += 0.5 * float(error.square().sum())
            delta = error * y * (1 - y)
            for w, v, h in zip(reversed(weights), reversed(velocities), reversed(active), strict=True):
                v.mul_(recipe.momentum).add_(h.T @ delta, alpha=recipe.learning_rate / len(batch))
                if h is not active[0]:
                    delta = (delta @ w.T) * h * (1 - h)  # 0 where masked, as h is
                w -= v
        if say is not None:
            say(f"epoch {epoch + 1} of {recipe.epochs}: mean loss {loss / len(x):.4f}")
    return tuple(w.numpy() for w in weights)


def initial(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Weights before any training: uniform on +-4 sqrt(6/(inputs + outputs)), of shape (inputs, outputs)."""
    return (rng.random(shape, np.float32) * 2 - 1) * np.float32(4 * np.sqrt(6 / sum(shape)))


def _write(path: Path, network: Network) -> None:
    """Store whole or not at all."""
    about = {"recipe": network.recipe.described, "data": network.data, "seed": network.seed, "digest": network.digest}
    content = io.BytesIO()
    layers: dict[str, Any] = {f"w{i}": w for i, w in enumerate(network.w, start=1)}
    np.savez(content, **layers, about=np.array(json.dumps(about, sort_keys=True)))
    write_whole(str(path), content.getvalue(), sync=True)


def _read(path: Path, recipe: Recipe, data: str, seed: int) -> Network:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            about: dict[str, Any] = json.loads(str(stored["about"]))
            layers = tuple(stored[f"w{i}"] for i in range(1, len(recipe.sizes)))
            network = Network(layers, recipe, data, seed)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise NetworkError(f"{path}: is damaged ({error}); remove it, and the network is trained again") from None
    if network.digest != about.get("digest"):
        raise NetworkError(f"{path}: its weights do not have the digest that it states; remove it")
    return network
