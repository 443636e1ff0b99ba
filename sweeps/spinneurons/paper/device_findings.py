"""Our numbers for the claims about the devices: Fig. 2, 3(a, b, d), S3 to S6."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr
from scipy import stats

from spinneurons import style
from spinneurons.analysis.cubes import mask_unfinished, parameters
from spinneurons.analysis.fits import fit_line
from spinneurons.characterization.energy import relative_energy
from spinneurons.characterization.marks import recorded
from spinneurons.hysteresis.analysis import half_width
from spinneurons.neurons.cubes import fit_switching, standard_error
from spinneurons.neurons.laws import CLOGLOG, LOGISTIC
from spinneurons.paper.claim import Cubes, Finding
from spinneurons.persistence.analysis import change
from spinsweep.analysis.intervals import mean_interval, share

PULSE, READ, REST = 1e-4, 0.5, 2.0
"""Times of a cycle, s: each of two pulses, each of two reads, and the time between pulses (main text, methods)."""


def _characterization(cubes: Cubes) -> xr.Dataset:
    return mask_unfinished(cubes["characterization"], zeros=True)


def _left_out(cube: xr.Dataset) -> str:
    """Which devices of a characterization have no fit and enter no number; "" if all have one."""
    devices = [d for _, _, d in recorded(cube) if d.status != "fitted"]
    if not devices:
        return ""
    names = "; ".join(f"{style.device_text(d.data)}: {d.status.replace('_', ' ')}" for d in devices)
    return f" Without a fit, and left out: {names}."


def sigmoid(cubes: Cubes) -> Finding:
    """Share of devices whose counts are likelier under a logistic curve than under a cloglog, %."""
    cube = _characterization(cubes)
    switched, trials = (cube["switched"] & cube["valid"]).sum("cycle"), cube["valid"].sum("cycle")
    logistic, cloglog = (
        fit_switching(switched, trials, cube["i_write"], law)["deviance"] for law in (LOGISTIC, CLOGLOG)
    )
    both = logistic.notnull() & cloglog.notnull()
    likelier = 100 * share(((logistic < cloglog) & both).sum(), both.sum())
    note = (
        f"Mean deviance per degree of freedom: logistic {float((logistic / cube['dof']).mean()):.2f}, one thermally "
        f"activated barrier (cloglog) {float((cloglog / cube['dof']).mean()):.2f}. The model's devices are logistic."
    ) + _left_out(cube)
    return Finding.of((float(likelier[name]) for name in ("share", "low", "high")), note)


def absolute_currents(cubes: Cubes) -> Finding:
    """Mean bias current of the widest bars, mA."""
    cube = _characterization(cubes).sortby("width")
    wide, narrow = (1e3 * cube["i_bias"].isel(width=i) for i in (-1, 0))
    mean, half = (float(v) for v in mean_interval(wide, "device"))
    window = 1e3 * float(cube["window"].isel(width=-1).mean())
    widest, narrowest = (style.width_text(float(cube["width"][i])) for i in (-1, 0))
    note = f"At {widest}, where the window is {window:.2f} mA; {float(narrow.mean()):.3f} mA at {narrowest}."
    note += _left_out(cube)
    return Finding(mean, mean - half, mean + half, note)


def window_factor(cubes: Cubes) -> Finding:
    """Fitted window over fitted i0."""
    cube = _characterization(cubes)
    factor = cube["window"] / cube["i0"]
    cycles = int(cube["valid"].sum("cycle").max())
    seen = 2 * float(LOGISTIC.quantile(1 - 1 / cycles)) / float(factor.mean())
    note = (
        f"{cycles} cycles at a current cannot show a share below {100 / cycles:g} %: the curve between 1/{cycles} "
        f"and 1 − 1/{cycles} is {100 * seen:.0f} % of the window, and the rest is extrapolated by the fit."
    )
    return Finding(float(factor.median()), float(factor.min()), float(factor.max()), note)


def _device_line(cubes: Cubes, name: str) -> xr.Dataset:
    """The line through a quantity of the devices, each weighed by its error and by the spread."""
    cube = _characterization(cubes)
    return fit_line(cube[name], "width", ["device"], error=standard_error(cube, name), proportional=True)


def bend(cubes: Cubes, name: str) -> Finding:
    """Bend of the bias current or the window against the width, % of its rise."""
    line = _device_line(cubes, name)
    slope, low, high = (1e6 * float(line[n]) for n in ("slope", "slope_low", "slope_high"))
    note = (
        f"R² = {float(line['r_squared']):.3f}, slope {slope:.3g} ({low:.3g} to {high:.3g}) µA/µm, devices spread by "
        f"{100 * float(line['spread']):.1f} %."
    )
    note += _left_out(_characterization(cubes))
    return Finding.of((100 * float(line[n]) for n in ("bend", "bend_low", "bend_high")), note)


def trend_of_variation(cubes: Cubes, name: str) -> Finding:
    """Spearman's rank correlation of |deviation from the line| with the width, Fisher's interval."""
    values = _characterization(cubes)[name].transpose("width", "device")
    line = _device_line(cubes, name)
    deviation = values / (line["intercept"] + line["slope"] * values["width"]) - 1
    size, width = xr.broadcast(abs(deviation), values["width"])
    good = np.isfinite(size.values)
    rho = float(stats.spearmanr(size.values[good], width.values[good]).statistic)
    half = 1.96 * math.sqrt((1 + rho**2 / 2) / (good.sum() - 3))  # Bonett and Wright, Psychometrika 65, 23 (2000)
    low, high = (math.tanh(math.atanh(rho) + sign * half) for sign in (-1, 1))
    note = f"{int(good.sum())} devices, standard deviation about the line {100 * float(deviation.std()):.1f} %."
    note += _left_out(_characterization(cubes))
    return Finding(rho, low, high, note)


def largest_difference(cubes: Cubes) -> Finding:
    """Largest difference of two devices of one width over their width's mean, %; the interval is the fits' own."""
    cube = _characterization(cubes)
    i_bias, error = cube["i_bias"], cube["i_bias_stderr"]
    spread = 100 * (i_bias.max("device") - i_bias.min("device")) / i_bias.mean("device")
    width = spread["width"].values[int(spread.argmax("width"))]
    devices = i_bias.sel(width=width)
    ends = [int(devices.argmax("device")), int(devices.argmin("device"))]
    half = 196 * math.hypot(*error.sel(width=width).values[ends]) / float(devices.mean())
    value = float(spread.sel(width=width))
    from_mean = 100 * float(abs(i_bias / i_bias.mean("device") - 1).max())
    note = f"At {style.width_text(float(width))}; the largest deviation from a width's mean is {from_mean:.1f} %."
    note += _left_out(cube)
    return Finding(value, value - half, value + half, note)


def energy_ratio(cubes: Cubes) -> Finding:
    """Energy of the widest bar over that of the narrowest, from the line through the fitted i0."""
    cube = _characterization(cubes)
    i0, error = (cube[name].transpose("width", "device").values for name in ("i0", "i0_stderr"))
    energy = relative_energy(cube["width"].values, i0, error)
    network = cubes["codesign"]["synaptic_energy"].isel(timestep=-1).sel(variation=0.0).mean("seed").sortby("width")
    counted = f"Counted in the network, with the card's i0: {float(network[-1] / network[0]):.3g}."
    with np.errstate(divide="ignore"):  # an interval of few devices may reach to 0
        value, low, high = (float(1 / e[0]) for e in (energy.relative, energy.high, energy.low))
    return Finding(value, low, high, counted + _left_out(cube))


def gain_ratio(cubes: Cubes) -> Finding:
    """Gain 1/i0 of the narrowest bar over that of the widest."""
    energy = energy_ratio(cubes)
    note = "Fig. S6 plots a gain and calls it I0; i0 here is the scale current, which shrinks."
    return Finding.of((math.sqrt(v) for v in (energy.value, energy.low, energy.high)), note)


def loop_width(cubes: Cubes) -> Finding:
    """Slope of the current loops' half-width against the bar width, µA/µm."""
    half = half_width(mask_unfinished(cubes["hysteresis"]), "i_switch")
    line = fit_line(half, "width", ["device"], proportional=True)
    note = f"R² = {float(line['r_squared']):.3f}. The loops follow from the devices' own switching curves."
    return Finding.of((1e6 * float(line[n]) for n in ("slope", "slope_low", "slope_high")), note)


def cycles(cubes: Cubes) -> Finding:
    """Reset-write cycles of the characterization, in thousands."""
    cube = _characterization(cubes)
    devices, currents, each = (cube["i_bias"].size, cube.sizes["current"], cube.sizes["cycle"])
    count = devices * currents * each / 1000
    note = f"{devices} devices × {currents} currents × {each} cycles; the number of currents is ours."
    return Finding(count, count, count, note)


def hours(cubes: Cubes) -> Finding:
    """Time for all cycles one after the other, h."""
    cube = _characterization(cubes)
    count = cube["i_bias"].size * cube.sizes["current"] * cube.sizes["cycle"]
    long, short = (count * (2 * (PULSE + READ) + rests * REST) / 3600 for rests in (4, 2))
    note = (
        f"{count:,} cycles of 9 s, with 2 s before and after each pulse: {long / 24:.1f} days; {short:.0f} h if "
        "the 2 s are from pulse to pulse."
    )
    return Finding(long, short, long, note)


def read_disturb(cubes: Cubes) -> Finding:
    """Probability that the fitted curve of the widest bars gives to one pulse of the read current, %."""
    cube = _characterization(cubes).sortby("width").isel(width=-1)
    z = (parameters(cube)["card"]["read"]["current"]["value"] - cube["i_bias"]) / cube["i0"]
    p = 100 * LOGISTIC.probability(z.values[np.isfinite(z.values)])
    longer = 100 * np.mean(1 - (1 - p / 100) ** (READ / PULSE))
    note = (
        f"For {READ:g} s, taken as {READ / PULSE:g} such pulses one after another, the same curves would give "
        f"{longer:.0f} %: their tail is an extrapolation and no law of a read, and the model lets no read switch."
    )
    return Finding(float(np.mean(p)), float(np.min(p)), float(np.max(p)), note)


def drift(cubes: Cubes) -> Finding:
    """Median |change of the bias current| in a week, %; the interval holds 95 % of the devices."""
    changes = change(mask_unfinished(cubes["persistence"]).sortby("day"), "i_bias")
    error, size = changes["stderr"], abs(changes["change"])
    beyond = int((size > 2 * error).sum())
    size = size.values[np.isfinite(size.values)]
    note = (
        f"The fit's own standard error is {float(error.min()):.2f} to {float(error.max()):.2f} %, so that "
        f"{beyond} of {size.size} devices change by more than two of them: with these cycles, 0.5 % cannot be told "
        "from no drift for a single device."
    )
    low, high = np.percentile(size, [2.5, 97.5])
    return Finding(float(np.median(size)), float(low), float(high), note)


def endurance(cubes: Cubes) -> Finding:
    """Switches in 10,000 cycles of a device; the interval holds 95 % of the devices (normal)."""
    cube = mask_unfinished(cubes["endurance"], zeros=True)
    valid = cube["valid"].sum("cycle")
    count = 10_000 * (cube["switched"] & cube["valid"]).sum("cycle") / valid
    mean, sd = float(count.mean()), float(count.std(ddof=1))
    z = (5061 - 5000) / math.sqrt(2500)
    note = (
        f"{count.size} devices, from {int(count.min())} to {int(count.max())}. Against a fair coin 5,061 has z = "
        f"{z:.2f}, p = {2 * stats.norm.sf(z):.2f}."
    )
    return Finding(mean, mean - 1.96 * sd, mean + 1.96 * sd, note)


def wear(cubes: Cubes) -> Finding:
    """Switching share of the second half of the cycles less that of the first, points."""
    cube = mask_unfinished(cubes["endurance"])
    half = cube.sizes["cycle"] // 2
    first, second = (cube["switched"].isel(cycle=s).mean("cycle") for s in (slice(half), slice(half, None)))
    mean, error = mean_interval((second - first).stack(bar=("width", "device")), "bar")
    return Finding.of(
        (100 * float(v) for v in (mean, mean - error, mean + error)), "What a measured run would be compared with."
    )
