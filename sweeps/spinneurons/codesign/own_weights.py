"""Weights that were trained elsewhere: a file of layers without biases, checked, and named by what it holds.

``.npz``: two-dimensional arrays in the order of the layers, (inputs, outputs), or all (outputs, inputs).  ``.pt`` and
``.pth``: a PyTorch state_dict of Linear layers, (outputs, inputs), read without running code.  ``.safetensors``: the
same, if the package safetensors is installed.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from spinneurons.codesign.chip import digest_of
from spinneurons.mnist.data import CLASSES, PIXELS
from spinsweep.parameters import Parameter

Floats = npt.NDArray[np.float32]
LARGEST = 1e6
"""Of a weight; a larger one is no weight of a network that was trained."""


class WeightsError(ValueError):
    """One line: the file, what is wrong with it, and what to do."""


def describe(file: str) -> dict[str, Any]:
    """A file of weights as a sweep's parameter: its name, the digest of the weights, and the sizes of the layers.

    Raises
    ------
    WeightsError
        It is no file of layers from 784 pixels to 10 classes without biases.
    OSError
        It cannot be read.
    """
    weights = load(file)
    sizes = [weights[0].shape[0], *(w.shape[1] for w in weights)]
    return {"file": file, "sha256": digest_of(weights), "sizes": sizes}


def contents(value: Mapping[str, Any]) -> Any:
    """The weights without the file in which they lie."""
    return value.get("sha256", "")


WEIGHTS = Parameter(
    "weights",
    {},
    help="layers trained elsewhere: .npz, .pt (a state_dict) or .safetensors; they are taken as they are",
    load=describe,
    fingerprint=contents,
    neutral={},
)


@cache
def checked(file: str, sha256: str) -> tuple[Floats, ...]:
    """The weights of a file that :func:`describe` gave that digest; kept in memory.

    Raises
    ------
    WeightsError
        Its contents have changed since.
    """
    weights = load(file)
    if (digest := digest_of(weights)) != sha256:
        raise WeightsError(f"{file}: weights have the digest {digest[:12]}, not {sha256[:12]} as in the sweep")
    return weights


def load(file: str) -> tuple[Floats, ...]:
    """(inputs, outputs) of each layer; raises as :func:`describe` does."""
    path = Path(file)
    with path.open("rb"):  # a file that there is not is told before a library is loaded
        pass
    if path.suffix == ".npz":
        layers = list(_matrices(file, _of_npz(path)))
        if layers and layers[0].shape[0] != PIXELS:
            layers = [w.T for w in layers]
    elif path.suffix in (".pt", ".pth"):
        layers = [w.T for w in _matrices(file, _of_torch(path))]
    elif path.suffix == ".safetensors":
        layers = [w.T for w in _matrices(file, _of_safetensors(path))]
    else:
        raise WeightsError(f"{file}: the name has to end with .npz, .pt, .pth or .safetensors")
    _require_chain(file, layers)
    return tuple(np.ascontiguousarray(w, np.float32) for w in layers)


def _matrices(file: str, arrays: Mapping[str, Any]) -> Iterator[npt.NDArray[Any]]:
    """The weights among the arrays of a file, checked one by one."""
    for name, values in arrays.items():
        array = np.asarray(values)
        if array.dtype.kind not in "fiu":
            raise WeightsError(f"{file}: {name} holds {array.dtype}, not numbers")
        if not np.isfinite(array).all() or np.abs(array).max(initial=0) > LARGEST:
            raise WeightsError(f"{file}: {name} has a value that is not finite or is above {LARGEST:g}")
        if array.ndim == 2:
            yield array
        elif array.ndim == 4:
            raise WeightsError(f"{file}: {name} is a convolution; only Linear layers can be taken")
        elif array.ndim != 1 or np.any(array):  # biases of 0 change nothing
            what = "is a bias" if array.ndim == 1 else f"has {array.ndim} dimensions"
            raise WeightsError(f"{file}: {name} {what}; train Linear layers with bias=False, and store these alone")


def _require_chain(file: str, layers: list[npt.NDArray[Any]]) -> None:
    shapes = ", ".join(f"{w.shape[0]} x {w.shape[1]}" for w in layers) or "none"
    if len(layers) < 2:
        raise WeightsError(f"{file}: holds {len(layers)} layers ({shapes}); a network has at least 2")
    fits = all(before.shape[1] == after.shape[0] for before, after in pairwise(layers))
    if not fits or layers[0].shape[0] != PIXELS or layers[-1].shape[1] != CLASSES:
        raise WeightsError(
            f"{file}: layers of {shapes} (inputs x outputs) do not lead from {PIXELS} pixels to {CLASSES} classes; "
            "store them in their order"
        )


def _of_npz(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (ValueError, EOFError, BadZipFile, AttributeError) as error:
        raise WeightsError(f"{path}: is no .npz file of numbers ({_first_line(error)})") from None


def _of_torch(path: Path) -> dict[str, Any]:
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, ValueError, BadZipFile, KeyError):
        raise WeightsError(f"{path}: is no state_dict; store torch.save(model.state_dict(), FILE)") from None
    if not isinstance(state, Mapping) or not all(isinstance(one, torch.Tensor) for one in state.values()):
        raise WeightsError(f"{path}: is no state_dict of tensors; store torch.save(model.state_dict(), FILE)")
    return {str(name): one.detach().to(torch.float32).numpy() for name, one in state.items()}


def _of_safetensors(path: Path) -> dict[str, Any]:
    try:
        library = importlib.import_module("safetensors.numpy")
    except ImportError:
        raise WeightsError(f"{path}: needs the package safetensors; install it, or store a .npz file") from None
    try:
        return dict(library.load_file(path))
    except Exception as error:  # its own class, which is not known here
        raise WeightsError(f"{path}: is no safetensors file ({_first_line(error)})") from None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
