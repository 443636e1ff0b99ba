"""The moving picture of README.md: a real sweep on two processes, read again and again while its cube fills.

``PYTHONPATH=engine/docs python -m pages.filling`` makes it anew.
"""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.animation import FuncAnimation, PillowWriter

import spinsweep

FILE = Path(__file__).parents[1] / "images" / "filling.gif"
FRAME_S = 0.25
LAST_S = 2.5
"""For which the whole cube stands."""
CELL_S = 0.02
PIXELS = 100
"""An inch."""
DRIFTS = [0.0, 0.04]
NOISES = np.round(np.linspace(0.05, 1, 20), 2).tolist()
SEEDS = 16


def walk(noise: float, drift: float, rng: np.random.Generator, steps: int = 1000) -> float:
    """How far a random walk gets: the cell of README.md, which takes a little longer here."""
    time.sleep(CELL_S)
    return float(abs(rng.normal(drift, noise, steps).cumsum()).max())


def looks(store: Path) -> list[xr.Dataset]:
    """The cube as a reader saw it, from the first blocks to the last."""
    sweep = spinsweep.Sweep.from_function(walk, noise=NOISES, drift=DRIFTS, seed=range(SEEDS))
    run = threading.Thread(target=lambda: spinsweep.run(sweep, store, workers=2, block={"noise": 1, "drift": 1}))
    run.start()
    seen = []
    while run.is_alive():
        time.sleep(FRAME_S)
        if (store / "zarr.json").exists():
            seen.append(spinsweep.open_cube(store).load())
    return [*seen, spinsweep.open_cube(store).load()]


class FillingPicture:
    """Left the cells of the first drift, right the mean over the seeds of both."""

    def __init__(self, whole: xr.Dataset) -> None:
        self.figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 2.9), layout="constrained")
        cells = self._cells(whole)
        self._map = left.imshow(cells, origin="lower", aspect="auto", vmin=0, vmax=cells.max(), cmap="viridis")
        left.set(xlabel="noise", ylabel="seed", xticks=range(3, 20, 4), xticklabels=NOISES[3::4])
        left.set_facecolor("0.92")
        self.figure.colorbar(self._map, ax=left, label=f"walk, drift {DRIFTS[0]:g}")
        right.set(
            xlabel="noise", ylabel="mean over seeds", xlim=(0, 1.05), ylim=(0, 1.05 * float(self._mean(whole).max()))
        )
        right.spines[["top", "right"]].set_visible(False)
        self._lines = [right.plot([], [], ".-", label=f"drift {drift:g}")[0] for drift in DRIFTS]
        self._text = right.text(0.98, 0.03, "", ha="right", transform=right.transAxes, family="monospace")
        right.legend(loc="upper left", frameon=False)

    @staticmethod
    def _cells(ds: xr.Dataset) -> Any:
        return ds.walk.sel(drift=DRIFTS[0]).transpose("seed", "noise").values

    @staticmethod
    def _mean(ds: xr.Dataset) -> Any:
        return ds.walk.mean("seed").transpose("drift", "noise").values

    def show(self, ds: xr.Dataset) -> None:
        """Draw one look."""
        self._map.set_data(self._cells(ds))
        for line, mean in zip(self._lines, self._mean(ds), strict=True):
            line.set_data(NOISES, mean)
        self._text.set_text(f"{int(ds.walk.notnull().sum())} of {ds.walk.size} cells")


def main() -> None:
    """Compute, look, draw."""
    mpl.use("agg")
    with tempfile.TemporaryDirectory() as folder:
        seen = looks(Path(folder) / "walk.zarr")
    frames = [seen[-1], *seen, *[seen[-1]] * round(LAST_S / FRAME_S)]  # whoever shows one alone shows the first
    picture = FillingPicture(seen[-1])
    FILE.parent.mkdir(exist_ok=True)
    animation = FuncAnimation(picture.figure, picture.show, frames=frames, cache_frame_data=False)
    animation.save(FILE, writer=PillowWriter(fps=round(1 / FRAME_S)), dpi=PIXELS)


if __name__ == "__main__":
    main()
