"""Our numbers for the claims about the network on MNIST: Fig. 3(c), S8, S9."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr

from spinneurons import style
from spinneurons.analysis.convergence import steps_to_converge
from spinneurons.analysis.cubes import mask_unfinished, parameters
from spinneurons.codesign.sweep import z_shift_scale
from spinneurons.paper.claim import Cubes, Finding
from spinsweep.analysis.intervals import MeanInterval, mean_interval, paired_difference

IMAGES = 10_000
"""Test images of MNIST."""
WITHIN = 0.005
"""Accuracy from the final one below which a run has settled; as in Fig. S8."""
ERRATIC = 1.0
"""Points by which a chip's accuracy falls below its best so far, from which on its curve is erratic: our bound."""


def _accuracy(cubes: Cubes) -> xr.DataArray:
    """(width, variation, seed, timestep) float64."""
    return mask_unfinished(cubes["codesign"])["accuracy"].astype(np.float64).sortby("width").load()


def _finding(interval: MeanInterval, factor: float, note: str) -> Finding:
    mean, half = (factor * float(v) for v in interval)
    return Finding(mean, mean - half, mean + half, note)


def inference(cubes: Cubes) -> Finding:
    """Accuracy after the last step without variation, %, over networks trained from different seeds."""
    cube = cubes["codesign-networks"]
    accuracy = mask_unfinished(cube)["accuracy"].astype(np.float64).sortby("width")
    final = accuracy.isel(width=-1, timestep=-1).sel(variation=0.0)
    of_each = (final if "training" in final.dims else final.expand_dims("training")).mean("seed")
    several = of_each.sizes["training"] > 1
    mean, half = (float(v) for v in (mean_interval(of_each, "training") if several else mean_interval(final)))
    images = min(IMAGES, parameters(cube)["images"])
    sampling = 1.96 * math.sqrt(mean * (1 - mean) / images * (IMAGES - images) / (IMAGES - 1))
    half = math.hypot(half, sampling)
    networks = ", ".join(f"{100 * v:.2f}" for v in of_each.values.tolist())
    note = (
        f"{of_each.size} trained networks: {networks} %, each the mean of {final.sizes['seed']} runs of {images:,} "
        f"images and {int(final['timestep'])} steps; "
    )
    note += (
        "the interval holds training and pulses."
        if several
        else "the interval holds the luck of pulses, not training."
    )
    return Finding(100 * mean, 100 * max(mean - half, 0.0), 100 * min(mean + half, 1.0), note)


def tolerance(cubes: Cubes) -> Finding:
    """Accuracy of the widest bars less that of the narrowest, at the largest variation, points."""
    final = _accuracy(cubes).isel(timestep=-1)
    lost = 100 * (final.sel(variation=0.0, drop=True) - final.isel(variation=-1)).mean("seed")
    text = ", ".join(
        f"{style.width_text(float(w))} {float(lost.sel(width=w)):.1f}" for w in lost["width"].values[::-1]
    )
    varied = final.isel(variation=-1)
    note = f"Points lost at ±{100 * float(varied['variation']):g} %: {text}."
    return _finding(paired_difference(varied.isel(width=-1), varied.isel(width=0)), 100, note)


def convergence(cubes: Cubes) -> Finding:
    """Accuracy after the last step less that after half of them, without variation, points."""
    curve = _accuracy(cubes).sel(variation=0.0).isel(width=-1)
    half = curve.sizes["timestep"] // 2
    settled = int(steps_to_converge(curve.mean("seed"), within=WITHIN))
    steps = [curve.isel(timestep=i - 1) for i in (1, half)]
    first, middle = (100 * float(s.mean("seed")) for s in steps)
    note = (
        f"{first:.1f} % after one step, {middle:.2f} % after {half}; within {100 * WITHIN:g} points of the last "
        f"value from step {settled} on."
    )
    return _finding(paired_difference(curve.isel(timestep=-1), steps[1]), 100, note)


def slowing(cubes: Cubes, width: float) -> Finding:
    """Steps to settle at the largest variation less those without, seed by seed, at one width."""
    settled = steps_to_converge(_accuracy(cubes).sel(width=width), within=WITHIN)
    without, varied = settled.sel(variation=0.0), settled.isel(variation=-1)
    ends = " and ".join(f"{float(s.mean('seed')):.1f}" for s in (without, varied))
    note = f"Mean steps without variation and at ±{100 * float(varied['variation']):g} %: {ends}."
    return _finding(paired_difference(varied, without), 1, note)


def erratic(cubes: Cubes, width: float) -> Finding:
    """By how much a chip's accuracy falls, at the most, below its best of fewer steps at one width, points.

    At the largest variation, mean of the chips.
    """
    curves = 100 * _accuracy(cubes).isel(variation=-1).transpose("width", "seed", "timestep")
    best = curves.copy(data=np.maximum.accumulate(curves.values, axis=-1))
    falls = (best - curves).max("timestep")
    chosen = falls.sel(width=width)
    ratios = z_shift_scale(falls["width"].values, parameters(cubes["codesign"]))
    others = ", ".join(
        f"{style.width_text(float(w))} (I_bias/i0 = {r:.3g}) {float(falls.sel(width=w).max()):.2g}"
        for w, r in zip(falls["width"].values, ratios, strict=True)
    )
    images = min(IMAGES, parameters(cubes["codesign"])["images"])
    note = (
        f"{int((chosen > ERRATIC).sum())} of {chosen.size} chips fall by more than {ERRATIC:g} point, with "
        f"{images:,} test images. Largest fall of any chip at each width, points: {others}. "
    )
    if float(falls.max()) <= ERRATIC:
        note += "No ratio makes a curve erratic here: the word says nothing of the paper's, and fits few images. "
    note += f"One image is {100 / images:g} points: curves of fewer images fall further at any ratio."
    return _finding(mean_interval(chosen), 1, note)
