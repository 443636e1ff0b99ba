"""What would make a cube fit its sweep as it is now, without computing anything again.

The sweep says what is meant: an axis or output that was renamed names its former name, an axis that came later its
neutral value. What the sweep cannot say, the user does: the value of a new parameter that gives the old numbers, and
values to drop. Whatever else differs would change numbers and is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spinsweep.axis import Axis, Value, closest, key
from spinsweep.cube import Cube
from spinsweep.cube.cube import differences
from spinsweep.cube.rewriting import Rewriting, dropped_cells, require_rewritable
from spinsweep.errors import CubeError, SpecError
from spinsweep.outputs import Coordinate, Output
from spinsweep.printable import brief
from spinsweep.spec import Sweep

LABELS = ("unit",)
"""Parts of an axis, dim or output in a definition that say nothing of numbers' digits."""


@dataclass(frozen=True)
class _Matched:
    """Which axis or output of the cube is which of the sweep."""

    axes: Mapping[str, str]
    """Names in the cube by those in the sweep."""
    added: Mapping[str, Value]
    """Axes that the cube is to get, with their neutral value."""
    outputs: Mapping[str, str]
    """Names in the cube by those in the sweep."""

    def is_added(self, output: Mapping[str, Any]) -> bool:
        """Whether the cube lacks this output of a definition."""
        return output["name"] not in self.outputs


def plan_migration(
    cube: Cube,
    sweep: Sweep,
    parameters: Mapping[str, str] | None = None,
    drop: Mapping[str, str] | None = None,
    add_axes: Sequence[str] = (),
) -> Rewriting:
    """What a cube becomes when it is made to fit the sweep; its ``steps`` are empty if it fits.

    Parameters
    ----------
    sweep : as it is now
    parameters : of new parameters, the text of the value that gives the old numbers
    drop : of axes, by their new names, the text of the values to drop
    add_axes : axes that the sweep has at their neutral value alone, and the cube is to get all the same

    Raises
    ------
    CubeError
        Cells would have to be computed again, or the cube cannot be written anew.
    SpecError
        A name or a value that was given cannot be.
    """
    require_rewritable(cube)
    where = f"{cube.storage} cannot be migrated"
    if cube.definition["name"] != sweep.name:
        raise CubeError(
            f"{where}: it is a cube of the sweep {cube.definition['name']}, whose name addresses its random streams, "
            f"and not of {sweep.name}"
        )
    axes, added_axes = _matched_axes(cube, sweep, where, add_axes)
    values, dropped = _values(cube, sweep, axes, added_axes, drop or {})
    values_added, steps = _new_parameters(cube, sweep, parameters or {}, where)
    try:
        new = sweep.as_in_cube(cube.attributes.root_seed, {**cube.attributes.params, **values_added}, values)
    except SpecError as error:
        raise CubeError(f"{where}: {error}") from None
    matched = _Matched(axes, added_axes, _matched_outputs(cube, new, where))  # outputs may follow from parameters
    steps += _require_same_numbers(cube, new, matched, where)
    renamed = {n: old for n, old in axes.items() if n != old}
    require_rewritable(cube, [*renamed.values(), *(matched.axes[n] for n in dropped)])
    steps += [f"axis {old} is called {n}" for n, old in renamed.items()]
    steps += [f"axis {n} is added; the cells are at {n}={key(v)}" for n, v in matched.added.items()]
    old_outputs = {n: old for n, old in matched.outputs.items() if n != old}
    steps += [f"output {old} is called {n}" for n, old in old_outputs.items()]
    added_outputs = tuple(o.name for o in new.outputs if o.name not in matched.outputs)
    _require_free_names(cube, new, where)
    steps += _label_steps(cube, new, matched)
    if list(matched.outputs.values()) != list(cube.output_names):
        steps.append("the outputs stand in another order")
    if added_outputs:
        left = cube.counts().done - dropped_cells(cube, {matched.axes[n]: values for n, values in dropped.items()})[1]
        later = f"the next run computes the {left} done cells again, and compares with what they hold" if left else ""
        steps += [f"output {n} is added" + (f"; {later}, which stays" if later else "") for n in added_outputs]
    for name, dropping in dropped.items():
        total, done = dropped_cells(cube, {matched.axes[name]: dropping})
        steps.append(f"{name}={','.join(map(key, dropping))} is dropped with {total} cells, {done} of them done")
    if not steps and new.digest != cube.attributes.digest:
        steps.append("the definition takes over the units of the sweep")
    return Rewriting(new, tuple(steps), renamed, old_outputs, matched.added, added_outputs)


def _matched_axes(
    cube: Cube, sweep: Sweep, where: str, add: Sequence[str]
) -> tuple[dict[str, str], dict[str, Value]]:
    """An axis is the same if its random streams have the same address."""
    old = {str(a.get("formerly") or a["name"]): str(a["name"]) for a in cube.definition["axes"]}
    axes = {a.name: old[a.stream_name] for a in sweep.every_axis if a.stream_name in old}
    for name in cube.axis_names:
        if name not in axes.values():
            raise CubeError(
                f"{where}: the sweep has no axis {name!r}; if that has another name now, say so in the sweep: "
                f"Axis(..., formerly={name!r})"
            )
    if list(axes.values()) != list(cube.axis_names):
        raise CubeError(
            f"{where}: its axes are in the order {', '.join(cube.axis_names)}, those of the sweep in another"
        )
    added: dict[str, Value] = {}
    for name in add:
        if name in axes:
            raise SpecError(f"--add-axis {name}: the cube has this axis")
        sweep.axis(name)
    for axis in sweep.every_axis:
        if axis.name in axes or not (axis in sweep.axes or axis.name in add):
            continue
        if axis.neutral is ...:
            raise CubeError(
                f"{where}: the axis {axis.name!r} is new; say in the sweep at which value cells are what they were: "
                f"Axis({axis.name!r}, ..., neutral=VALUE)"
            )
        added[axis.name] = axis.neutral
    return axes, added


def _matched_outputs(cube: Cube, sweep: Sweep, where: str) -> dict[str, str]:
    outputs: dict[str, str] = {}
    for output in sweep.outputs:
        name = next((n for n in (output.name, output.formerly) if n in cube.output_names), None)
        if name is not None:
            outputs[output.name] = name
    for name in cube.output_names:
        if list(outputs.values()).count(name) != 1:
            raise CubeError(
                f"{where}: its output {name!r} is not one of the sweep any more, or is two of them; if it has "
                f"another name now, say so in the sweep: Output(..., formerly={name!r})"
            )
    return outputs


def _require_free_names(cube: Cube, new: Sweep, where: str) -> None:
    ours = {*new.axis_names, *(o.name for o in new.outputs)}
    ours |= {*(d.name for d in new.dims), *(c.name for c in new.coordinates)}
    if taken := [name for name in cube.foreign_names() if name in ours]:
        raise CubeError(
            f"{where}: it has {taken[0]!r} of another program; move that out first, or choose another name"
        )


def _values(
    cube: Cube, sweep: Sweep, axes: Mapping[str, str], added: Mapping[str, Value], drop: Mapping[str, str]
) -> tuple[dict[str, Sequence[Value]], dict[str, tuple[Value, ...]]]:
    """Values along each axis of the new cube by its name in the sweep, and those that are dropped."""
    dropped: dict[str, tuple[Value, ...]] = {}
    values: dict[str, Sequence[Value]] = {}
    for name in drop:
        if name not in axes:
            raise SpecError(f"--drop {name}: the cube has no such axis{closest(name, axes)}")
    for axis in sweep.every_axis:
        if axis.name in added:
            values[axis.name] = (added[axis.name],)
        if axis.name not in axes:
            continue
        have = cube.axes[axes[axis.name]]
        if axis.name in drop:
            dropping = axis.parse(drop[axis.name])
            keys = {key(v) for v in have}
            if unknown := [v for v in dropping if key(v) not in keys]:
                raise SpecError(f"--drop {axis.name}: the cube has no value {key(unknown[0])} there")
            dropped[axis.name] = dropping
            have = tuple(v for v in have if key(v) not in {key(g) for g in dropping})
            if not have:
                raise SpecError(f"--drop {axis.name}: no value would be left")
        values[axis.name] = have
    return values, dropped


def _new_parameters(
    cube: Cube, sweep: Sweep, texts: Mapping[str, str], where: str
) -> tuple[dict[str, Any], list[str]]:
    """Values of parameters that the cube lacks, and a step for each."""
    have = cube.attributes.params
    by_name = {p.name: p for p in sweep.parameters}
    for name in texts:
        if name not in by_name:
            raise SpecError(f"--add-parameter {name}: the sweep has no such parameter{closest(name, by_name)}")
        if name in have:
            raise SpecError(f"--add-parameter {name}: the cube has it, as {brief(have[name])}")
        if (neutral := by_name[name].neutral) is not ...:
            raise SpecError(f"--add-parameter {name}: the sweep says that {brief(neutral)} is neutral; leave it out")
    if removed := [name for name in have if name not in by_name]:
        raise CubeError(
            f"{where}: its parameter {removed[0]!r}, which is {brief(have[removed[0]])}, is not one of the sweep "
            "any more"
        )
    values: dict[str, Any] = {}
    for parameter in sweep.parameters:
        if parameter.name in texts:
            values[parameter.name] = parameter.parse(texts[parameter.name])
        elif parameter.name not in have and parameter.neutral is ...:
            raise CubeError(
                f"{where}: the parameter {parameter.name!r} is new; say which value gives the old numbers: "
                f"--add-parameter {parameter.name}=VALUE"
            )
    return values, [f"parameter {name} is added, and is {brief(value)}" for name, value in values.items()]


def _require_same_numbers(cube: Cube, new: Sweep, matched: _Matched, where: str) -> list[str]:
    """Refuse a definition that differs in more than names and labels; steps for parameters that it leaves out now."""
    neutral = [n for n in cube.definition["parameters"] if n not in new.identifying_params]
    definition = json.loads(json.dumps(new.identity()))
    old = {a["name"]: a for a in cube.definition["axes"]}
    outputs = {o["name"]: o for o in cube.definition["outputs"]}
    dims = {d["name"]: d for d in cube.definition["dims"]}
    used = {dim for o in definition["outputs"] if not matched.is_added(o) for dim in o["dims"]}
    expected = {
        **cube.definition,
        "axes": [
            {**old[matched.axes[a["name"]]], **_renaming(a)} if a["name"] in matched.axes else a
            for a in definition["axes"]
        ],
        "dims": [
            *(dims.get(d["name"], d) for d in definition["dims"] if d["name"] in dims or d["name"] not in used),
            *(d for n, d in dims.items() if all(n != now["name"] for now in definition["dims"])),
        ],
        "outputs": [
            o if matched.is_added(o) else {**outputs[matched.outputs[o["name"]]], "name": o["name"]}
            for o in definition["outputs"]
        ],
        "parameters": {
            **definition["parameters"],
            **{n: v for n, v in cube.definition["parameters"].items() if n not in neutral},
        },
    }
    for what, before, after in differences("", expected, definition):
        if not what.endswith(tuple(f".{label}" for label in LABELS)):
            raise CubeError(
                f"{where}: {what} is {brief(before)}, and now it is {brief(after)}, which gives other numbers; use "
                "another --store, or --mark-stale where a run offers it"
            )
    return [f"parameter {name} is at its neutral value, and is left out of the definition" for name in neutral]


def _renaming(axis: Mapping[str, Any]) -> dict[str, Any]:
    return {n: axis[n] for n in ("name", "formerly") if n in axis}


def _label_steps(cube: Cube, new: Sweep, matched: _Matched) -> list[str]:
    """Units, long names and other attributes that change."""
    steps: list[str] = []
    labelled: list[tuple[str, str, Any]] = [("axis", matched.axes.get(a.name, ""), a) for a in new.axes]
    labelled += [("output", matched.outputs[o.name], o) for o in new.outputs if o.name in matched.outputs]
    labelled += [("dim", d.name, d) for d in new.dims]
    labelled += [("coordinate", c.name, c) for c in new.coordinates]
    for kind, old_name, what in labelled:
        if old_name not in cube.metadata:
            if isinstance(what, Coordinate):
                steps.append(f"coordinate {what.name} is added")
            continue
        steps += _changed_labels(kind, what, cube.metadata[old_name]["attributes"])
    known = {what.name for _, _, what in labelled} | set(matched.axes.values())
    steps += [f"coordinate {n} is left out" for n in cube.coordinate_names if n not in known]
    return steps


def _changed_labels(kind: str, what: Axis | Output | Any, attributes: Mapping[str, Any]) -> Iterator[str]:
    if (unit := attributes.get("units", "1")) != what.unit:
        yield f"unit of {kind} {what.name}: {brief(unit)} becomes {brief(what.unit)}, and the numbers stay"
    if (before := attributes.get("long_name", "")) != what.long_name:
        yield f"long name of {kind} {what.name}: {brief(before)} becomes {brief(what.long_name)}"
    for name, value in getattr(what, "attrs", {}).items():
        if attributes.get(name) != json.loads(json.dumps(value)):
            yield f"attribute {name} of {kind} {what.name}: {brief(attributes.get(name))} becomes {brief(value)}"
