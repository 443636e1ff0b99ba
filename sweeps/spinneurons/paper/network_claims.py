"""What the paper says of the network on MNIST: Fig. 3(c), S8, S9."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import xarray as xr

from spinneurons import style
from spinneurons.analysis.convergence import steps_to_converge
from spinneurons.analysis.cubes import mask_unfinished, parameters
from spinneurons.analysis.intervals import Interval, mean_interval, paired_difference, wilson
from spinneurons.paper.claim import Between, Claim, Cubes, Finding

IMAGES = 10_000
"""Test images of MNIST."""
ACCURACY = 0.9713
WITHIN = 0.005
"""Accuracy from the final one below which a run has settled; as in Fig. S8."""


def _accuracy(cubes: Cubes) -> xr.DataArray:
    """(width, variation, seed, timestep) float64."""
    return mask_unfinished(cubes["codesign"])["accuracy"].astype(np.float64).sortby("width").load()


def _finding(interval: Interval, factor: float, note: str) -> Finding:
    mean, half = (factor * float(v) for v in interval)
    return Finding(mean, mean - half, mean + half, note)


def inference(cubes: Cubes) -> Finding:
    """Accuracy after the last step without variation, %."""
    one = _accuracy(cubes).sel(variation=0.0).isel(width=-1, timestep=-1)
    mean, half = (float(v) for v in mean_interval(one))
    images = min(IMAGES, parameters(cubes["codesign"])["images"])
    sampling = 1.96 * math.sqrt(mean * (1 - mean) / images * (IMAGES - images) / (IMAGES - 1))
    half = math.hypot(half, sampling)
    steps = int(one["timestep"])
    note = (
        f"{one.size} runs of {images:,} images and {steps} steps of one trained network; the interval holds the luck "
        "of pulses, not that of the training."
    )
    return Finding(100 * mean, 100 * (mean - half), 100 * (mean + half), note)


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


_PAPER, _LOW, _HIGH = (100 * float(v) for v in wilson(ACCURACY * IMAGES, IMAGES))

CLAIMS = (
    Claim(
        "accuracy", "main text", "The spiking network classifies MNIST with 97.13 %.", f"{_PAPER:.2f} %",
        f"Accuracy without variation; within {_LOW:.2f} to {_HIGH:.2f} %, the 95 % interval of 9,713 of 10,000 "
        "images",
        "%", ("one network", "second layer"), ("codesign",), inference, Between(_LOW, _HIGH),
    ),
    Claim(
        "tolerance", "Fig. 3(c)", "Larger devices tolerate variation better.", "better",
        "Accuracy of the widest bars less that of the narrowest at the largest variation; above 0",
        "points", ("r", "variation", "second layer"), ("codesign",), tolerance, Between(low=0),
        "the assumed I_bias/i0 were chosen to keep it",
    ),
    Claim(
        "convergence", "Fig. S8", "The accuracy converges with the number of time steps.", "converges",
        "What the second half of the 50 steps adds to the accuracy; within ±0.5 points",
        "points", ("one network", "second layer"), ("codesign",), convergence, Between(-0.5, 0.5),
    ),
    *(
        Claim(
            f"slowing-{width:g}um", "Fig. S9", f"Variation slows the convergence of {width:g} µm devices.", "slower",
            "Time steps to settle within 0.5 points, at the largest variation less without; above 0",
            "steps", ("r", "variation", "second layer"), ("codesign",), partial(slowing, width=width), Between(low=0),
        )
        for width in (5.0, 1.0)
    ),
)  # fmt: skip
