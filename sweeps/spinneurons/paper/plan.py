"""Which sweeps the paper takes, in its order, with which settings, and which of their figures are the paper's."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from spinsweep.discovery import find
from spinsweep.spec import Sweep


@dataclass(frozen=True)
class Picture:
    """A figure of the paper, drawn from a cube."""

    stem: str
    """Its builder's name among the sweep's figures; also the name of the file."""
    number: str
    """In the paper; "beyond" if the paper has no such figure."""
    caption: str


@dataclass(frozen=True)
class PlannedSweep:
    """One sweep of the paper."""

    name: str
    pictures: tuple[Picture, ...]
    quick: Mapping[str, str] = field(default_factory=dict)
    """``--set`` values of the quick version, by name."""
    full: Mapping[str, str] = field(default_factory=dict)
    """``--set`` values of the full version; the sweep's own defaults but for these."""

    def settings(self, *, quick: bool) -> Mapping[str, str]:
        """``--set`` values of the version."""
        return self.quick if quick else self.full

    def sweep(self, *, quick: bool) -> Sweep:
        """What is run."""
        return find(self.name).with_text(self.settings(quick=quick))

    def store(self, folder: Path) -> Path:
        """Its cube."""
        return folder / "cubes" / f"{self.name}.zarr"

    def command(self, folder: Path, *, quick: bool) -> str:
        """What one types to compute the cube by itself; cells that are done are kept."""
        overrides = "".join(
            f" --set {shlex.quote(f'{name}={text}')}" for name, text in self.settings(quick=quick).items()
        )
        return f"spinsweep run {self.name}{overrides} --store {self.store(folder)}"


SWEEPS = (
    PlannedSweep(
        "hysteresis",
        (
            Picture("fig1d_field_loop", "1(d)", "Hall resistance against the perpendicular field"),
            Picture("fig2b_current_loops", "2(b)", "Hall resistance after write pulses, one panel a bar width"),
            Picture("fig2b_width", "2(b)", "Half-width of these loops against the bar width"),
        ),
        quick={"cycles": "20"},
    ),
    PlannedSweep(
        "characterization",
        (
            Picture("fig2_switching", "2(c-k)", "Switching probability of 36 devices, counted and fitted"),
            Picture("fig3a_i_bias", "3(a)", "Bias current against the bar width"),
            Picture("fig3b_window", "3(b)", "Stochastic window against the bar width"),
            Picture("fig3d_energy_fitted", "3(d)", "Synaptic energy against the bar width, from the fitted curves"),
            Picture("s3b_trace", "S3(b)", "Hall resistance cycle by cycle, near a probability of one half"),
            Picture("s6_gain", "S6", "Gain 1 mA/i0 against the bar width"),
        ),
        quick={"resamples": "200"},
    ),
    PlannedSweep(
        "codesign",
        (
            Picture("fig3c_accuracy", "3(c)", "Accuracy against variation for each bar width"),
            Picture("fig3d_energy", "3(d)", "Synaptic energy of an image, counted in the network"),
            Picture("s8_steps", "S8", "Accuracy against time steps without variation"),
            Picture("s9_steps_varied", "S9", "Accuracy against time steps at several variations, 5 µm and 1 µm"),
            Picture("s10_crossbar", "S10", "Synapses on a crossbar, and the tiles that both layers take"),
            Picture("trade_off", "trade-off", "Accuracy against energy, and the narrowest bar that is good enough"),
        ),
        quick={"width": "5,1,0.3", "variation": "0,0.1,0.25", "seed": "0:8", "images": "1000"},
    ),
    PlannedSweep(
        "hil",
        (
            Picture("fig4b_curves", "4(b)", "Switching curves of the four devices in the loop"),
            Picture("fig4c_loss", "4(c)", "Loss against epochs, with hardware in the loop and in software"),
            Picture("fig4de_confidence", "4(d, e)", "Confidence for the four test images after both trainings"),
            Picture("s11_activations", "S11", "Activation of each output neuron in the course of the training"),
            Picture("right_by_seed", "beyond", "Test images right over seeds: how much of one run is luck"),
        ),
        quick={"seed": "0:4"},
        full={"seed": "0:100"},
    ),
    PlannedSweep(
        "hil-multiplexed",
        (Picture("s12_multiplexed", "S12", "One device as two neurons: loss and confidence"),),
        quick={"seed": "0:4"},
        full={"seed": "0:100"},
    ),
    PlannedSweep(
        "hil-replicates",
        (
            Picture("replicates_gain", "beyond", "What hardware in the loop gains, over chips and variation"),
            Picture("replicates_loss", "beyond", "Loss with hardware in the loop at several variations"),
        ),
        quick={
            "variation": "0,0.125,0.25",
            "ratio": "20,35",
            "seed": "0:4",
            "epochs": "10",
            "test_images": "400",
        },
    ),
    PlannedSweep("anisotropy", (Picture("s1_anisotropy", "S1", "Anisotropy field from an in-plane field"),)),
    PlannedSweep("persistence", (Picture("s4_persistence", "S4", "Switching curves again after seven days"),)),
    PlannedSweep("endurance", (Picture("s5_endurance", "S5", "10,000 cycles of each device at its bias current"),)),
    PlannedSweep(
        "macrospin",
        (
            Picture("s7_switching", "S7", "Switching of a macrospin, counted and fitted"),
            Picture("s7_linear", "S7", "Its bias current and window against the width"),
            Picture("s7_ratio", "beyond", "Bias current over scale current: macrospin and Hall bars"),
        ),
        quick={"width": "20,65,110,155,200", "pulse": "1e-9,1e-8", "trajectories": "200"},
    ),
)


def gallery() -> list[Picture]:
    """All pictures in the order of the paper: main text, supplement, and what has no number."""

    def position(picture: Picture) -> tuple[int, int, str]:
        number = re.match(r"(S?)(\d+)(.*)", picture.number)
        return (number[1] == "S", int(number[2]), number[3]) if number else (2, 0, "")

    return sorted((picture for planned in SWEEPS for picture in planned.pictures), key=position)
