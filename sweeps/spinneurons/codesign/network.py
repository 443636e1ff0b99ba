"""The trained network: 784-400-10, sigmoid, no biases, as an artifact that its recipe, data and seed name.

Recipe of the paper (sections 2.3 and 4.5), whose details are those of R. B. Palm's DeepLearnToolbox and of
D. Neil's fork of it for spiking networks: dropout by a mask on the hidden layer without inversion, so that the
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
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import torch

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
    epochs: int = 40
    batch: int = 100
    learning_rate: float = 2.0
    momentum: float = 0.5
    dropout: float = 0.5
    """Probability that a hidden neuron is masked in a training step."""


@dataclass(frozen=True)
class Network:
    """Trained weights and where they come from."""

    w1: Floats
    """(784, hidden)."""
    w2: Floats
    """(hidden, 10), as trained: to be used with hidden activity times ``1 - dropout``, or folded."""
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
        return hashlib.sha256(self.w1.astype("<f4").tobytes() + self.w2.astype("<f4").tobytes()).hexdigest()

    @property
    def folded(self) -> Floats:
        """(hidden, 10): the second layer with the dropout factor folded in, (1 - dropout) W2."""
        return self.w2 * np.float32(1 - self.recipe.dropout)


def name(recipe: Recipe, data: str, seed: int) -> str:
    """Digest of what a network is trained from; ``data`` is the digest of the data."""
    text = json.dumps({"format": 1, "recipe": asdict(recipe), "data": data, "seed": seed}, sort_keys=True)
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
                network = Network(*fit(train, recipe, seed, say), recipe, data["sha256"], seed)
                _write(path, network)
    except OSError as error:
        raise NetworkError(f"{path}: cannot be written ({error.strerror}); set SPINSWEEP_CACHE to a folder") from None
    return _read(path, recipe, data["sha256"], seed)


def network_file(recipe: Recipe, data: str, seed: int) -> Path:
    """Where the network of that recipe, data (SHA-256) and seed is kept."""
    return cache_folder() / f"network-{name(recipe, data, seed)[:32]}.npz"


def fit(
    train: digits.Digits, recipe: Recipe, seed: int, say: Callable[[str], None] | None = None
) -> tuple[Floats, Floats]:
    """Weights after ``recipe.epochs`` epochs of stochastic gradient descent with momentum.

        h = m * sigmoid(x W1)         m: 0 with probability dropout, else 1
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
    (784, hidden) and (hidden, 10) float32
    """
    with exact_torch():
        return _fit(train, recipe, seed, say)


def _fit(
    train: digits.Digits, recipe: Recipe, seed: int, say: Callable[[str], None] | None = None
) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(train.images.astype(np.float32) / 255)
    target = torch.nn.functional.one_hot(torch.from_numpy(train.labels.astype(np.int64)), CLASSES).float()
    w1, w2 = (torch.from_numpy(_start(rng, shape)) for shape in ((PIXELS, recipe.hidden), (recipe.hidden, CLASSES)))
    v1, v2 = torch.zeros_like(w1), torch.zeros_like(w2)
    for epoch in range(recipe.epochs):
        order = torch.from_numpy(rng.permutation(len(x)))
        loss = 0.0
        for start in range(0, len(x), recipe.batch):
            batch = order[start : start + recipe.batch]
            mask = torch.from_numpy(rng.random((len(batch), recipe.hidden), np.float32) >= recipe.dropout)
            inputs = x[batch]
            h = torch.sigmoid(inputs @ w1) * mask
            y = torch.sigmoid(h @ w2)
            error = y - target[batch]
            loss += 0.5 * float(error.square().sum())
            delta2 = error * y * (1 - y)
            delta1 = (delta2 @ w2.T) * h * (1 - h)  # 0 where masked, as h is
            v2.mul_(recipe.momentum).add_(h.T @ delta2, alpha=recipe.learning_rate / len(batch))
            v1.mul_(recipe.momentum).add_(inputs.T @ delta1, alpha=recipe.learning_rate / len(batch))
            w1 -= v1
            w2 -= v2
        if say is not None:
            say(f"epoch {epoch + 1} of {recipe.epochs}: mean loss {loss / len(x):.4f}")
    return w1.numpy(), w2.numpy()


def _start(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return (rng.random(shape, np.float32) * 2 - 1) * np.float32(4 * np.sqrt(6 / sum(shape)))


def _write(path: Path, network: Network) -> None:
    """Store whole or not at all."""
    about = {"recipe": asdict(network.recipe), "data": network.data, "seed": network.seed, "digest": network.digest}
    content = io.BytesIO()
    np.savez(content, w1=network.w1, w2=network.w2, about=np.array(json.dumps(about, sort_keys=True)))
    write_whole(str(path), content.getvalue(), sync=True)


def _read(path: Path, recipe: Recipe, data: str, seed: int) -> Network:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            about: dict[str, Any] = json.loads(str(stored["about"]))
            network = Network(stored["w1"], stored["w2"], recipe, data, seed)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise NetworkError(f"{path}: is damaged ({error}); remove it, and the network is trained again") from None
    if network.digest != about.get("digest"):
        raise NetworkError(f"{path}: its weights do not have the digest that it states; remove it")
    return network
