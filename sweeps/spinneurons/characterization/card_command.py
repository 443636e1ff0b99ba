"""The verb ``spinsweep card``: what a characterization measured becomes a device card, or a built-in card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spinneurons.characterization.store import characterization, require_free
from spinneurons.neurons import card as cards
from spinneurons.neurons.family import Card, MeasuredDevices, NeuronFamily
from spinneurons.neurons.registry import class_of, family_of, find
from spinsweep.errors import SpecError
from spinsweep.printable import say

if TYPE_CHECKING:  # they take a second to load
    import xarray as xr

OptionalStore = Annotated[
    str | None,
    typer.Argument(show_default=False, help="The cube that a characterization wrote: a folder, or its URL."),
]


def card(
    store: OptionalStore = None,
    out: Annotated[Path | None, typer.Option(help="File to write.", show_default="standard output")] = None,
    base: Annotated[
        Path | None,
        typer.Option(
            help="Card for what was not measured, such as the drift.",
            show_default="the cube's own, else the built-in one",
        ),
    ] = None,
    include_bad_fits: Annotated[
        bool, typer.Option("--include-bad-fits", help="Take devices as well whose counts contradict their curve.")
    ] = False,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(
            "--leave-out", metavar="WIDTH/DEVICE", show_default=False, help="A device not to take, such as 2/1."
        ),
    ] = None,
    select: Annotated[
        list[str] | None,
        typer.Option(
            "--select",
            metavar="AXIS=VALUE",
            show_default=False,
            help="Which curves of a log that has several of each device, such as polarity=1 or T_K=300.",
        ),
    ] = None,
    default: Annotated[
        str | None,
        typer.Option(
            "--default", metavar="FAMILY", show_default=False, help="Write the built-in card of that family instead."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> int:
    """Write a device card of what a characterization measured, with the provenance "measured".

    It takes the fits, the levels and the noise of the readings, and as far as the log or the bench says them, read
    current, pulse width and reset state. It names what the card has from elsewhere. Sweeps of devices take the card
    by --set card=FILE. Devices without a fit, and those with a bad one (p < 0.001), are named and left out; one that
    is far from the line of the others is named. Where devices of an imported log have names, or widths of their own,
    the card counts those of a width from 0.

    With --default FAMILY it writes the built-in card of a family, to be edited.

    Example:  spinsweep card results/characterization.zarr --out my-card.toml
              spinsweep card --default superparamagnetic-junction --out junctions.toml
    """
    if out is not None:
        require_free(out, "--out", "card.toml", force=force)
    if default is not None:
        if store is not None or base is not None or include_bad_fits or leave_out or select:
            raise SpecError(f"--default {default}: takes no cube and no option but --out and --force")
        _write(_built_in(default), out)
        return 0
    if store is None:
        raise SpecError("card: no cube given; name one, or --default FAMILY for a built-in card")
    cube = characterization(store, "a card is fitted from a characterization")
    from spinneurons.analysis.cubes import by_width  # they take a second to load
    from spinneurons.characterization.measured import (
        device_names,
        differences,
        fitted_devices,
        measured_devices,
        one_curve_each,
        recording_of,
        without_levels,
    )

    selected = one_curve_each(cube.dataset(at_once=True), select or [])
    dataset = by_width(selected)
    takes = None if include_bad_fits else "; --include-bad-fits takes it"
    kept, left_out, unknown = fitted_devices(dataset, leave_out or [], bad_fit=takes)
    if unknown:
        shown = ", ".join(device_names(dataset)[:20])
        raise SpecError(f"--leave-out {unknown[0]}: there is no such device; they are {shown}")
    try:
        start, origin = _start(base, cube.attributes.params.get("card"))
        recording = recording_of(selected, cube.attributes.params)
        devices = measured_devices(dataset, kept, recording)
        family, number = family_of(start), int(devices.fitted.sum())
        source = f"fit of {cube.storage.name}, {number} device{'' if number == 1 else 's'}"
        fitted = family.measured(devices, source)
    except cards.CardError as error:
        raise SpecError("; ".join([f"{store}: {error}", *left_out])) from None
    unit = class_of(fitted).readings[-1].unit
    lines = [f"left out  {line}" for line in left_out]
    lines += [f"look      {line}" for line in _extreme(family, devices, dataset, fitted)]
    lines += [f"look      {line}" for line in differences(devices, recording, unit)]
    why = "" if devices.levels else without_levels(dataset, [one.name for one in family.readings])
    lines += _not_measured(fitted, start, source, origin + (f" ({why})" if why else ""))
    for line in lines:
        say(line, error=out is None)  # standard output is the card's
    _write(fitted, out)
    return 0


def _write(made: Card, out: Path | None) -> None:
    text = cards.dumps(made)
    if out is None:
        say(text.removesuffix("\n"))
    else:
        out.write_text(text, encoding="utf-8")
        say(out)


def _built_in(family: str) -> Card:
    try:
        return find(family).default()
    except LookupError as error:
        raise SpecError(f"--default: {error}") from None


def _start(base: Path | None, of_cube: Card | None) -> tuple[Card, str]:
    """The card for what was not measured, and where it is from."""
    if base is not None:
        return cards.load(base), str(base)
    built_in = class_of(of_cube or {}).default()
    return of_cube or built_in, "the built-in card" if of_cube in (None, built_in) else "the card of the cube"


def _not_measured(fitted: Card, start: Card, source: str, origin: str) -> Iterator[str]:
    """A line that names the entries which the card has from elsewhere."""
    names = [
        f"{section}.{name}"
        for section, entries in fitted.items()
        if isinstance(entries, Mapping)
        for name, entry in entries.items()
        if entry == start[section][name] and not entry["source"].startswith(source)
    ]
    if names:
        yield f"not measured  {', '.join(names)}: from {origin}"


def _extreme(family: NeuronFamily, devices: MeasuredDevices, cube: xr.Dataset, fitted: Card) -> Iterator[str]:
    """Lines about devices that are far from the line of the others, and what they do to the spread."""
    from spinneurons.characterization.extreme import extremes, without

    extreme = extremes(family, devices)
    for one in extreme:
        side = "above" if one.deviation > 0 else "below"
        yield (
            f"{_device(cube, one.place)}: {one.quantity} {100 * abs(one.deviation):.0f} % {side} the line "
            f"of the others; {_alone(devices, one.place)}--leave-out {_label(cube, one.place)} makes a card without"
        )
    if extreme:
        try:
            rest = family_of(family.measured(without(devices, [one.place for one in extreme]), "the others"))
        except cards.CardError:
            return
        pairs = zip(("i_bias", "i0"), family_of(fitted).spread, rest.spread, strict=True)
        spreads = [f"{name} {every:.3g}, and {others:.3g} without" for name, every, others in pairs]
        yield f"spread with {'that device' if len(extreme) == 1 else 'those devices'}: {'; '.join(spreads)}"


def _alone(devices: MeasuredDevices, place: tuple[int, int]) -> str:
    """A remark where two devices of a width differ, and nothing tells which one is extreme."""
    others = devices.fitted[place[0]].sum() - 1
    return "the width has one other device, and it may be that one; " if others == 1 else ""


def _device(cube: xr.Dataset, place: tuple[int, int]) -> str:
    from spinneurons.characterization.fit_table import CharacterizedDevice

    one = CharacterizedDevice.of(cube.isel(width=place[0], device=place[1]))
    return f"width {one.width:g} um, device {one.name}"


def _label(cube: xr.Dataset, place: tuple[int, int]) -> str:
    from spinneurons.characterization.measured import device_label

    return device_label(float(cube["width"][place[0]]), int(cube["device"][place[1]]))
