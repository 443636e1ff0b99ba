"""What the trainings say: images right, and what hardware in the loop gains, seed by seed."""

from __future__ import annotations

import numpy as np
import xarray as xr

from spinsweep.analysis.intervals import mean_interval, wilson
from spinsweep.reading import CubeView


def done(cube: xr.Dataset) -> xr.DataArray:
    """Cells that are done; all of them in a recording without ``cell_state``."""
    if "cell_state" in cube:
        return CubeView(cube).done
    return xr.ones_like(cube["loss"].isel(epoch=0, drop=True), dtype=bool)


def right(cube: xr.Dataset) -> xr.DataArray:
    """(mode, seed) test images whose most confident class is their own; NaN where the cell is not done.

    Of k classes that share the largest confidence each is worth 1/k, as in the replicates; an image that no output
    neuron has a valid sample of is worth nothing.
    """
    return right_of_each(cube).sum("test_image").where(done(cube))


def right_of_each(cube: xr.Dataset) -> xr.DataArray:
    """(mode, seed, test_image) what each test image is worth, see :func:`right`; NaN where the cell is not done."""
    outputs = classes(cube)
    confidence = cube["confidence"].isel(neuron=slice(cube.sizes["neuron"] - len(outputs), None)).fillna(-1.0)
    best = (confidence == confidence.max("neuron")) & (confidence >= 0)
    is_class = xr.DataArray(np.array(outputs, np.int64), dims="neuron") == cube["test_label"]
    shares: xr.DataArray = (best & is_class).sum("neuron") / best.sum("neuron").clip(1)
    return shares.where(done(cube))


def classes(cube: xr.Dataset) -> list[int]:
    """Classes of the trainings in the order of the output neurons; [] where no training is done."""
    finished = done(cube)
    if not finished.any():
        return []
    first = {name: int(i) for name, i in zip(finished.dims, np.argwhere(finished.values)[0], strict=True)}
    return classes_of(cube.isel(first))


def classes_of(run: xr.Dataset) -> list[int]:
    """Classes of one training in the order of the output neurons: its images follow each other class by class."""
    return list(dict.fromkeys(run["label"].values.tolist()))


def run_of(cube: xr.Dataset, seed: int) -> xr.Dataset:
    """The seed in the first mode in which it is done."""
    run = cube.sel(seed=seed)
    return run.isel(mode=int(done(run).values.argmax()))


def with_convention(cube: xr.Dataset, bias: str = "mean", decision: str = "counts") -> xr.Dataset:
    """Replicates with one drive and one decision: these, or the first that there are."""
    chosen = {name: value for name, value in {"bias": bias, "decision": decision}.items() if name in cube.dims}
    values = {n: v if v in cube[n].values else cube[n].values[0] for n, v in chosen.items()}
    return cube.sel(values, drop=True)


def shown_seed(cube: xr.Dataset) -> int | None:
    """The seed that figures of one run show: the first that is done in most modes; None where nothing is."""
    modes = done(cube).sum("mode").values
    return int(cube["seed"].values[modes.argmax()]) if modes.max() else None


def gain(cube: xr.Dataset) -> xr.DataArray:
    """(..., seed) accuracy with hardware in the loop less that in software; NaN unless both are done."""
    accuracy = cube["accuracy"].where(done(cube))
    return accuracy.sel(mode="hil", drop=True) - accuracy.sel(mode="software", drop=True)


def advantage(cube: xr.Dataset) -> xr.Dataset:
    """The gain over seeds, which are compared in pairs.

    Returns
    -------
    Dataset over ``variation`` and ``ratio``: ``mean`` and ``half`` of the 95 % interval; ``wins``, the share of seeds
    in which hardware in the loop is better, a draw counting half, with ``low`` and ``high`` of Wilson's interval
    """
    each = gain(cube)
    mean, half = mean_interval(each)
    pairs = each.notnull().sum("seed")
    won = (each > 0).sum("seed") + 0.5 * (each == 0).sum("seed")
    share, low, high = (xr.DataArray(a, won.coords, won.dims) for a in wilson(won, pairs))
    return xr.Dataset({"mean": mean, "half": half, "wins": share, "low": low, "high": high})
