"""Our numbers for the claims about hardware in the loop: abstract, Fig. 4, S12."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import xarray as xr
from scipy.stats import binom

from spinneurons.analysis.cubes import parameters
from spinneurons.hil.analysis import gain, right, with_convention
from spinneurons.neurons.registry import family_of
from spinneurons.paper.claim import Cubes, Finding
from spinsweep.analysis.intervals import MeanInterval, mean_interval, paired_difference, share

WIDTH = 0.5
"""Bar width of the devices in the loop, um."""
VARIATION = 0.125
"""Half of the largest difference of two devices: the +- of equation 3."""


def loss(cubes: Cubes) -> Finding:
    """Loss of the last epoch over that of the first, with hardware in the loop."""
    curve = cubes["hil"]["loss"].sel(mode="hil")
    ratio = curve.isel(epoch=-1) / curve.isel(epoch=0)
    mean, half = (float(v) for v in mean_interval(ratio))
    first, last = (float(curve.isel(epoch=i).mean("seed")) for i in (0, -1))
    note = f"{ratio.size} seeds; from {first:.3f} to {last:.3f} in {curve.sizes['epoch']} epochs on average."
    return Finding(mean, mean - half, mean + half, note)


def _share(event: xr.DataArray, note: str) -> Finding:
    of_seeds = 100 * share(event.sum("seed"), event.sizes["seed"])
    return Finding.of((float(of_seeds[name]) for name in ("share", "low", "high")), note)


def one_run(cubes: Cubes) -> Finding:
    """Share of seeds with at least 3 of 4 right in the loop and at most 1 of 4 in software, %."""
    images = right(cubes["hil"])
    loop, software = images.sel(mode="hil"), images.sel(mode="software")
    note = f"{_right_on_average(cubes['hil'])} {_expected(with_convention(cubes['hil-replicates']))} "
    fitted = right(cubes["hil-fitted"])
    so = _share((fitted.sel(mode="hil") >= 3) & (fitted.sel(mode="software") <= 1), "")
    note += (
        f"About each device's own fitted bias current it is {so.value:.1f} % ({so.low:.1f} to {so.high:.1f}). "
        f"{_right_on_average(cubes['hil-fitted'])}"
    )
    return _share((loop >= 3) & (software <= 1), note)


def _right_on_average(cube: xr.Dataset) -> str:
    """What the loop gains in images, seed by seed."""
    images = right(cube)
    loop, software = images.sel(mode="hil"), images.sel(mode="software")
    mean, half = (float(v) for v in paired_difference(loop, software))
    return (
        f"Right on average: {float(loop.mean()):.2f} in the loop, {float(software.mean()):.2f} in software; "
        f"{mean:.2f} ± {half:.2f} more in the loop. {int((loop > software).sum())} of {loop.size} seeds gain, "
        f"{int((loop < software).sum())} lose."
    )


def _otherwise(cube: xr.Dataset, number: Callable[[xr.Dataset], MeanInterval]) -> str:
    """The same number with the other drive, and by the other decisions."""
    if "bias" not in cube.dims or "decision" not in cube.dims:
        return ""
    said = []
    for bias, decision in product(cube["bias"].values.tolist(), cube["decision"].values.tolist()):
        if (bias, decision) != ("mean", "counts"):
            mean, half = (float(v) for v in number(with_convention(cube, bias, decision)))
            said.append(f"{mean:.1f} ± {half:.1f} ({DRIVES[bias]}, {BY[decision]})")
    return f" Otherwise: {'; '.join(said)}."


DRIVES = {"mean": "mean bias current", "own": "own bias current"}
BY = {"counts": "by counts", "inputs": "by largest input", "normalised": "by inputs through the devices' curves"}


def _expected(cube: xr.Dataset) -> str:
    """How often four images would come out so on the chips of the replicates, by their accuracies."""
    accuracy = cube["accuracy"]
    p = binom.sf(2, 4, accuracy.sel(mode="hil")) * binom.cdf(1, 4, accuracy.sel(mode="software"))
    chance = 100 * accuracy.sel(mode="hil", drop=True).copy(data=p).mean("seed")
    texts = [
        f"{float(chance.sel(variation=v, ratio=r)):.1f} % at ±{100 * v:g} % and I_bias/i0 = {r:g}"
        for v, r in product((VARIATION, float(cube["variation"][-1])), cube["ratio"].values.tolist())
    ]
    return f"By the accuracies of other chips on all images it is {', '.join(texts)}."


def _ratio(cube: xr.Dataset) -> float:
    """I_bias/i0 of the card's bars in the loop."""
    family = family_of(parameters(cube)["card"])
    return float(family.i_bias(WIDTH) / family.i0(WIDTH))


def advantage(cubes: Cubes) -> Finding:
    """Accuracy in the loop less that in software on devices that vary, all test images of the classes, points.

    At the ratio below the card's, where the loop gains less.
    """
    whole = cubes["hil-replicates"]
    cube, ours = with_convention(whole), _ratio(whole)

    def at_ours(some: xr.Dataset) -> xr.DataArray:
        return 100 * gain(some).sel(variation=VARIATION).sel(ratio=ours, method="ffill")

    gains = at_ours(cube)
    mean, half = (float(v) for v in mean_interval(gains))
    varied = 100 * gain(cube).isel(variation=-1).mean("seed")
    software = 100 * cube["accuracy"].sel(mode="software", ratio=float(gains["ratio"]), drop=True)
    lost = float((software.sel(variation=0.0) - software.sel(variation=VARIATION)).mean("seed"))
    ends = ", ".join(f"{float(varied.sel(ratio=r)):.1f} at {r:g}" for r in cube["ratio"].values.tolist())
    note = (
        f"{gains.size} chips at I_bias/i0 = {float(gains['ratio']):g}; the card's {WIDTH:g} µm bars have {ours:.3g}. "
        f"Variation costs training in software {lost:.1f} points, of which the loop makes up for {mean:.1f}. At "
        f"±{100 * float(varied['variation']):g} % the gain is {ends}."
    )
    note += _otherwise(whole, lambda some: mean_interval(at_ours(some)))
    return Finding(mean, mean - half, mean + half, note)


def equivalence(cubes: Cubes) -> Finding:
    """Accuracy in the loop on devices that vary less that of software on devices that do not, points.

    At the ratio above the card's, where variation costs more.
    """
    whole = cubes["hil-replicates"]
    ours = _ratio(whole)

    def pair(some: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
        accuracy = 100 * some["accuracy"].sel(ratio=ours, method="bfill")
        loop = accuracy.sel(mode="hil", variation=VARIATION, drop=True)
        return loop, accuracy.sel(mode="software", variation=0.0, drop=True)

    loop, ideal = pair(with_convention(whole))
    mean, half = (float(v) for v in paired_difference(loop, ideal))
    note = (
        f"{float(loop.mean()):.1f} % in the loop, {float(ideal.mean()):.1f} % in software without variation, "
        f"I_bias/i0 = {float(loop['ratio']):g}."
    )
    if mean + half < 0:
        note += " The loop is worse by more than chance, whether or not by more than the margin."
    note += _otherwise(whole, lambda some: paired_difference(*pair(some)))
    return Finding(mean, mean - half, mean + half, note)


def multiplexed(cubes: Cubes) -> Finding:
    """Share of seeds in which every test image is right, %."""
    cube = cubes["hil-multiplexed"]
    counts, images = right(cube), cube.sizes["test_image"]
    loop, software = counts.sel(mode="hil"), counts.sel(mode="software")
    note = (
        f"Right on average: {100 * float(loop.mean()) / images:.1f} % in the loop, "
        f"{100 * float(software.mean()) / images:.1f} % in software."
    )
    return _share(loop == images, note)
