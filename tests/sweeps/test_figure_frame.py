"""Nothing in a figure covers anything or leaves the page, however many devices; captions say what is shown."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from spinneurons import style
from spinneurons.characterization import figures
from spinneurons.neurons import card as cards
from spinneurons.neurons.checked_fit import STATUSES
from spinneurons.neurons.laws import LOGISTIC
from spinneurons.neurons.origin import origin_of
from spinsweep.figure_options import FigureOptions

MM = 1 / 25.4
WIDTHS = {4: [2.0], 36: np.round(np.geomspace(5, 0.3, 36), 3).tolist(), 40: [2.0, 0.5], 200: [5.0, 1.0, 0.5, 0.3]}
"""Widths of the devices of each number of them: one alone, one for each device, two, four."""


def characterization(count: int, widths: list[float], **attrs: str) -> xr.Dataset:
    """A characterization of so many logistic devices with true curves for fits: five currents, four cycles."""
    per = count // len(widths)
    rng = np.random.default_rng(count)
    width = np.array(widths)[:, None]
    i_bias = (3e-4 + 1e-4 * width) * (1 + 0.03 * rng.standard_normal((len(widths), per)))
    i0 = 2e-5 * np.sqrt(width) * np.ones_like(i_bias)
    i_write = i_bias[..., None] + i0[..., None] * np.linspace(-5, 5, 5)
    p = LOGISTIC.probability((i_write - i_bias[..., None]) / i0[..., None])
    switched = rng.random((*p.shape, 4)) < p[..., None]
    two, three = ("width", "device"), ("width", "device", "current")
    fits = {"i_bias": i_bias, "i0": i0, "window": 16.1 * i0}
    data: dict[str, Any] = {
        name + end: (two, v * f) for name, v in fits.items() for end, f in (("", 1), ("_low", 0.9), ("_high", 1.1))
    }
    data |= {name + "_stderr": (two, 0.05 * v) for name, v in fits.items()}
    data |= {
        "fit_status": (two, np.full(i_bias.shape, STATUSES.index("fitted"), np.uint8)),
        "i_write": (three, i_write),
        "switched": ((*three, "cycle"), switched),
        "valid": ((*three, "cycle"), np.ones_like(switched)),
        "r_reset": ((*three, "cycle"), np.zeros(switched.shape, np.float32)),
        "r_write": ((*three, "cycle"), switched.astype(np.float32)),
        "cell_state": (two, np.ones(i_bias.shape, np.uint8)),
    }
    coords = {"width": widths, "device": np.arange(per), "current": np.arange(5), "cycle": np.arange(4)}
    return xr.Dataset(data, coords, {"parameters": json.dumps({"link": "logistic"}), **attrs})


@pytest.fixture(scope="module")
def cubes() -> dict[int, xr.Dataset]:
    return {count: characterization(count, widths) for count, widths in WIDTHS.items()}


def without_fits(cube: xr.Dataset) -> xr.Dataset:
    """The cube with its counts and without a fit."""
    blank = {name: np.nan * cube[name] for name in cube if str(name).startswith(("i_bias", "i0", "window"))}
    status = xr.full_like(cube["fit_status"], STATUSES.index("never_switched"))
    return cube.assign(blank | {"fit_status": status})


def boxes_of_words(figure: Figure) -> dict[str, Bbox]:
    """What is around the panels: legends, titles, and texts of the figure."""
    legends = [*figure.legends, *filter(None, (ax.get_legend() for ax in figure.axes))]
    boxes = {f"legend {i}": legend.get_window_extent() for i, legend in enumerate(legends)}
    texts = [*figure.texts, *(ax.title for ax in figure.axes), *(ax._left_title for ax in figure.axes)]
    texts += [axis.label for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)]
    return boxes | {f"{t.get_text()} ({i})": t.get_window_extent() for i, t in enumerate(texts) if t.get_text()}


def overlap(one: Bbox, other: Bbox) -> bool:
    """Whether boxes share more than a pixel."""
    shared = Bbox.intersection(one, other)
    return shared is not None and min(shared.width, shared.height) > 1


def require_room(figure: Figure) -> None:
    figure.draw_without_rendering()
    words = boxes_of_words(figure)
    page = figure.bbox
    outside = [
        name for name, b in words.items() if b.x0 < -1 or b.y0 < -1 or b.x1 > page.x1 + 1 or b.y1 > page.y1 + 1
    ]
    assert outside == []
    covering = [name for name, box in words.items() for ax in figure.axes if overlap(box, ax.bbox)]
    assert covering == []
    names = list(words)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if overlap(words[a], words[b])]
    assert pairs == []


@pytest.mark.parametrize("name", ["fig2_switching", "fig3a_i_bias", "s6_gain"])
@pytest.mark.parametrize(
    ("count", "columns"),
    [
        *((4, 1), (36, 2), (40, 1)),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in ((4, 2), (36, 1), (40, 2), (200, 1), (200, 2))),
    ],
)
def test_words_stay_on_the_page_and_cover_nothing(
    cubes: dict[int, xr.Dataset], count: int, columns: int, name: str
) -> None:
    figure = figures.FIGURES[name](cubes[count], FigureOptions(columns=columns))
    width, height = figure.get_size_inches()
    assert width == pytest.approx((85, 178)[columns - 1] * MM)
    assert height < 297 * MM
    require_room(figure)


@pytest.mark.parametrize("count", [4, 36])
def test_without_any_fit_the_points_are_shown_and_words_have_room(cubes: dict[int, xr.Dataset], count: int) -> None:
    figure = figures.FIGURES["fig2_switching"](without_fits(cubes[count]))
    require_room(figure)
    points = [len(bars.lines[0].get_xdata()) for ax in figure.axes for bars in ax.containers]
    assert points == [5] * count
    assert all("never switched" in ax.get_title(loc="left").replace("\n", " ") for ax in figure.axes)


@pytest.mark.parametrize(("count", "has_legend"), [(4, True), (40, False)])
def test_many_devices_have_a_colour_bar_and_no_legend(
    cubes: dict[int, xr.Dataset], count: int, has_legend: bool
) -> None:
    figure = figures.FIGURES["fig2_switching"](cubes[count])
    assert bool(figure.legends) is has_legend
    assert [ax.get_ylabel() for ax in figure.axes if ax.get_label() == "<colorbar>"] == ["Device"] * (not has_legend)


def test_more_widths_than_a_page_has_panels_share_panels() -> None:
    cube = characterization(80, np.linspace(5, 0.3, 80).round(3).tolist())
    figure = figures.FIGURES["fig2_switching"](cube)
    *panels, bar = figure.axes
    assert len(panels) == 12
    assert sum(len(ax.containers) for ax in panels) == 80
    assert bar.get_ylabel() == "Width (µm)"


def test_currents_have_one_prefix_in_all_figures_of_a_cube(cubes: dict[int, xr.Dataset]) -> None:
    names = ("fig2_switching", "fig3a_i_bias", "fig3b_window")
    axes = [figures.FIGURES[name](cubes[40]).axes[0] for name in names]
    labels = [axes[0].get_xlabel(), axes[1].get_ylabel(), axes[2].get_ylabel()]
    assert [label.rpartition(" (")[2] for label in labels] == ["µA)"] * 3


def test_letters_and_font_are_the_user_s(cubes: dict[int, xr.Dataset]) -> None:
    figure = figures.FIGURES["fig2_switching"](cubes[40], FigureOptions("A", "STIXGeneral"))
    assert [ax.get_title(loc="left") for ax in figure.axes[:2]] == ["A  2 µm", "B  0.5 µm"]
    assert figure.axes[0].xaxis.label.get_fontfamily()[0] == "STIXGeneral"


def marks(cube: xr.Dataset) -> list[str]:
    return [text.get_text() for text in figures.FIGURES["fig3a_i_bias"](cube).texts]


@pytest.mark.parametrize("attrs", [{"imported_from": "lab.csv"}, {"measured_on": "bench 1"}])
def test_readings_of_a_bench_or_a_log_are_measured(attrs: dict[str, str]) -> None:
    assert marks(characterization(2, [2.0, 0.5], **attrs)) == ["measured"]


def test_pulses_that_a_log_does_not_tell_are_named_as_those_of_the_card() -> None:
    for attrs, more in (({"imported_from": "lab.csv"}, " (card)"), ({"measured_on": "bench 1"}, "")):
        cube = characterization(2, [2.0, 0.5], **attrs)
        cube.attrs["parameters"] = json.dumps({"card": cards.default()})
        (ax,) = figures.FIGURES["s3a_pulses"](cube).axes
        cycle = [f"reset{more}", f"read{more}", "write", f"read{more}"]
        assert [tick.get_text() for tick in ax.get_xticklabels()] == 2 * cycle


def test_readings_of_an_emulated_bench_say_that_they_are() -> None:
    bench = {"name": "hall", "source": {"serial": "EMU6221"}, "device": [], "auxiliary": {}}
    cube = characterization(2, [2.0, 0.5], measured_on="hall", parameters=json.dumps({"bench": bench}))
    assert marks(cube) == ["measured on an emulated bench"]
    assert origin_of(cube).sentence
    bench["source"] = {"serial": "4559777"}
    cube.attrs["parameters"] = json.dumps({"bench": bench})
    assert marks(cube) == ["measured"]
    bench["auxiliary"] = {"magnet": {"serial": "EMUBOP"}}
    cube.attrs["parameters"] = json.dumps({"bench": bench})
    assert marks(cube) == ["measured on an emulated bench"]


def test_a_simulation_says_so_and_its_caption_names_what_of_the_card_is_not_measured() -> None:
    card = copy.deepcopy(cards.default())
    cube = characterization(2, [2.0, 0.5], sweep="persistence", parameters=json.dumps({"card": card}))
    assert marks(cube) == ["simulated"]
    card["title"] = "My bars"
    card["i_bias"]["slope"]["provenance"] = card["hall"]["tilt"]["provenance"] = "measured"
    cube.attrs["parameters"] = json.dumps({"card": card})
    mark, sentence = origin_of(cube)
    assert mark == "simulated, card measured: My bars"
    assert "“My bars”" in sentence
    assert "paper: switching.link, hall.reset_state, read.current, read.never_switches, drift.sd" in sentence
    assert "i_bias.slope" not in sentence
    assert "pulse_width" not in sentence  # an entry that this sweep does not use


def test_a_caption_names_bars_devices_without_a_fit_and_the_names_of_numbers(cubes: dict[int, xr.Dataset]) -> None:
    cube = cubes[40].copy()
    cube["fit_status"] = cube["fit_status"].copy()
    cube["fit_status"].values[1, 3] = STATUSES.index("never_switched")
    names = np.array([[f"{row}{i}" for i in range(20)] for row in "AB"], object)
    caption = figures.FIGURES["fig2_switching"].caption(cube.assign_coords(name=(("width", "device"), names)))
    assert "bars Wilson's 95 % intervals" in caption
    assert "Without a fit, 1 of 40 devices: 0.5 µm, device B3 (never switched)." in caption
    assert "Valid cycles: 800." in caption
    assert "0.5 µm: 0 is B0, 1 is B1" in caption


def test_a_caption_of_panels_has_their_letters() -> None:
    def first(cube: xr.Dataset, ax: Any) -> None:
        """One thing.

        Parameters
        ----------
        cube : any
        """

    def second(cube: xr.Dataset, ax: Any) -> None:
        """Another ``thing``."""

    build = style.figure(first, second, empty=lambda cube: "")
    assert build.caption(xr.Dataset(), FigureOptions("(c)")) == "(c) One thing. (d) Another thing."
    assert build.__name__ == "first"
