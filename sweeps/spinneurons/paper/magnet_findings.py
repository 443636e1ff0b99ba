"""Our numbers for the claims about the magnets: Fig. S1, S7."""

from __future__ import annotations

import numpy as np

from spinneurons import style
from spinneurons.analysis.cubes import mask_unfinished
from spinneurons.analysis.fits import fit_line
from spinneurons.anisotropy.analysis import width_dependence
from spinneurons.macrospin.analysis import curves_by_width
from spinneurons.paper.claim import Cubes, Finding


def anisotropy(cubes: Cubes) -> Finding:
    """Mean anisotropy field of the 0.7 um bars, kA/m; the interval is that of the fits."""
    cube = mask_unfinished(cubes["anisotropy"])
    all_devices = width_dependence(cube)
    bars = cube.sel(width=0.7, method="nearest").dropna("device", subset=["h_an"])
    mean = float(bars["h_an"].mean()) / 1e3
    half = 1.96 * float(np.sqrt((bars["h_an_stderr"] ** 2).sum())) / bars.sizes["device"] / 1e3
    note = (
        f"All devices: {all_devices.mean / 1e3:.1f} ± {1.96 * all_devices.mean_stderr / 1e3:.1f} kA/m. The fit finds "
        "what went into the model."
    )
    return Finding(mean, mean - half, mean + half, note)


def anisotropy_slope(cubes: Cubes) -> Finding:
    """Slope of the anisotropy field against the width, kA/m per um."""
    cube = mask_unfinished(cubes["anisotropy"])
    h_an, error = (cube[name] / 1e3 for name in ("h_an", "h_an_stderr"))
    line = fit_line(h_an, "width", ["device"], error=error, proportional=True)
    return Finding.of(float(line[name]) for name in ("slope", "slope_low", "slope_high"))


def bend(cubes: Cubes, name: str) -> Finding:
    """Bend of the macrospin's bias current or window, % of its rise, at the pulse length where it is largest."""
    cube = mask_unfinished(cubes["macrospin"]).load()
    line = fit_line(cube[name], "width")
    worst = int(abs(line["bend"]).argmax("pulse"))
    squares = ", ".join(
        f"{float(r):.4f} at {style.si_text(float(r['pulse']), 's')}" for r in line["r_squared"].transpose("pulse")
    )
    growth = [curves_by_width(cube, i).growth for i in range(cube.sizes["pulse"])]
    note = (
        f"R² = {squares}; the bend is that at {style.si_text(float(line['pulse'][worst]), 's')}, where it is "
        f"largest. I_bias/i0 does not grow as the magnet gets narrower: {np.min(growth):.2f} to {np.max(growth):.2f} "
        "times from the widest to the narrowest."
    )
    return Finding.of((100 * float(line[n][worst]) for n in ("bend", "bend_low", "bend_high")), note)
