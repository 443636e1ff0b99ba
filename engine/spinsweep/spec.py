"""A sweep as one frozen value: axes, outputs, parameters, the pure block function, and its identity."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import itertools
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from spinsweep import cell_function, limits, views
from spinsweep.axis import Axis, Value, closest, json_of, require_texts
from spinsweep.cell_function import name_of
from spinsweep.checking import items, require_callable, whole
from spinsweep.errors import SpecError
from spinsweep.inference import Outputs, definition
from spinsweep.long_values import LongValues
from spinsweep.outputs import MAX_LENGTH, Coordinate, Dim, Output
from spinsweep.parameters import Parameter
from spinsweep.printable import brief
from spinsweep.stages import Stage
from spinsweep.until import Until
from spinsweep.views import Dimensions, View
from spinsweep.wanted import Wanted, checked, mask

LEDGER = ("cell_state", "cell_attempt", "cell_duration", "cell_error", "cell_code")
"""Names of the ledger's arrays."""
MOST_CELLS = 2_000_000_000
"""Of one cube; the state of each is one byte in the memory of whoever looks at all of them."""
RESERVED = (*LEDGER, "runs", "errors", "codes")
"""Names that the cube uses; no axis, dim or output may take one."""


@dataclass(frozen=True)
class Sweep:
    """What is asked, and nothing about where or how fast it runs.

    ``function`` takes an :class:`spinsweep.evaluate.Cells` (labelled coordinates, parameters and addressed
    random streams of a box of cells) and returns a mapping, or a Dataset, of output name to array of shape
    ``cells.shape + dims``.  A function marked with :func:`per_cell` takes one :class:`spinsweep.evaluate.Cell` and
    returns the values of one; one marked with :func:`spinsweep.cell` takes axes and parameters by name.  It is
    pure: the same coordinates give the same numbers in any box, order, process and attempt.

    Raises
    ------
    SpecError
        Names clash or cannot be, a dim or parameter is unknown, a value is not allowed, or the function is none.
    """

    name: str
    title: str
    axes: tuple[Axis, ...]
    """The dimensions of the cube; an axis at its neutral value moves from here to ``neutral_axes``."""
    outputs: tuple[Output, ...]
    function: Callable[[Any], Any]
    dims: tuple[Dim, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    version: str = "1"
    """Declared version of the function: change it when the same coordinates give other numbers."""
    root_seed: int = 0
    coordinates: tuple[Coordinate, ...] = ()
    artifact_ids: Callable[[Sweep], Mapping[str, Any]] | None = None
    """Further attributes of the cube, of numbers and texts: what its numbers rest on beside the definition, such as
    the digest of what ``prepare`` made. A worker or a later run that finds others does not add to the cube."""
    stages: tuple[Stage, ...] = ()
    """Parts of the work that cells share which agree on some axes; see :mod:`spinsweep.stages`."""
    shared_axes: tuple[str, ...] = ()
    """Axes whose cells share work: a block holds all their values, and more only along other axes."""
    prepare: Callable[[Sweep], None] | None = None
    """Called by the driver before the first block: to train a network, say, that all blocks then load. It may be
    called again, and blocks must work without it."""
    resources: Mapping[str, float] = field(default_factory=dict)
    """Dask worker resources that a block needs, such as ``{"GPU": 1}``."""
    measured: bool = False
    """Whether cells act on the world: they are measured once, one at a time, and never for a sample of their time."""
    timeout: float | None = None
    """Seconds that one cell may take before it is ended as failed; None: any."""
    retries: Mapping[str, int] = field(default_factory=dict)
    """How often a cell that raised is called again, by class of the exception or its name: ``{"OSError": 3}``."""
    max_failures: float | None = None
    """Failed cells at which a run stops; infinite: never; None: by the default rule of a run."""
    memory: int | str | None = None
    """Bytes that the process of a cell may use, with all that the cell starts, or a text such as ``"2 GiB"``. So many
    are computed at a time as fit, and a process that uses more is ended. None: as much as there is, unless the
    function is marked with :func:`spinsweep.cell` of some ``memory``."""
    gpu: float | None = None
    """GPUs that a cell needs: a part of one, such as 0.5, or a whole number. It sees these alone. None: as the
    function is marked, else none."""
    figures: str = ""
    """``module:NAME`` of a mapping from file stem to a function Dataset -> Figure."""
    on_bench: str = ""
    """``module:NAME`` of a function (Sweep, Bench) -> Sweep that measures on a bench instead of computing."""
    bench_cycles: Callable[[Sweep], Mapping[str, int]] | None = None
    """Of a sweep on a bench: how many cycles its cells take, by name of the device."""
    bench_currents: Callable[[Sweep], Mapping[str, float]] | None = None
    """Of a sweep on a bench: the largest current that its cells ask for, by name of the device, A."""
    bench_trains: Callable[[Sweep], Sequence[tuple[int, Mapping[str, int]]]] | None = None
    """Of a sweep on a bench: its trains, as their number and the cycles of each device in one, by name. Devices of
    one train may take turns; without this, a plan takes all cycles for one train."""
    source: str = ""
    """What it reproduces: figures of the paper, a reference."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Parameter values that differ from their defaults."""
    outputs_of: Callable[[Mapping[str, Any]], tuple[Output, ...]] | None = None
    """Outputs that follow from the parameters; they take the place of ``outputs``.  It raises ``ValueError``, in one
    line, where parameters do not fit together."""
    neutral_axes: Mapping[int, Axis] = field(default_factory=dict)
    """Axes at their neutral value, by their place among all axes: cells have them, the cube does not."""
    wanted: Wanted | None = None
    """The cells that are computed, where it is not all of them: a function of a cell's coordinates that says whether
    it is wanted, or a list of mappings, each of which names the values of some axes; see :mod:`spinsweep.wanted`."""
    until: Until | None = None
    """Conditions on the intervals of means, until which replicates are computed; the values of their axis are the
    first round. See :mod:`spinsweep.until`."""
    kept_axes: tuple[str, ...] = ()
    """Axes that are dimensions also at their neutral value: those of a cube that has them."""
    views: tuple[View, ...] = ()
    """How outputs are drawn as curves while the sweep runs, the first one first; see :mod:`spinsweep.views`."""
    data_attributes: ClassVar[tuple[str, ...]] = ("views",)
    """What is no part of the code's identity where a function uses a sweep."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not re.fullmatch(r"\w[\w.-]*", self.name):
            raise SpecError(
                f"sweep name {brief(self.name)} cannot be the name of a file, as 'bar-widths' can: use only "
                "letters, digits, _, - and ."
            )
        where = f"sweep {self.name!r}"
        texts = ("title", "version", "figures", "on_bench", "source")
        require_texts(where, **{name: getattr(self, name) for name in texts})
        kinds = {"axes": Axis, "outputs": Output, "dims": Dim, "parameters": Parameter, "coordinates": Coordinate}
        kinds["stages"] = Stage
        for name, kind in {**kinds, "shared_axes": str, "kept_axes": str}.items():
            object.__setattr__(self, name, items(f"{where}: {name}", getattr(self, name), kind))
        if self.outputs_of is not None:
            require_callable(f"{where}: outputs_of", self.outputs_of)
            try:
                outputs = self.outputs_of(self.params)
            except SpecError:
                raise
            except ValueError as error:
                raise SpecError(f"{where}: {error}") from None
            object.__setattr__(self, "outputs", items(f"{where}: outputs", outputs, Output))
        every = self.every_axis
        absent = {i: a for i, a in enumerate(every) if a.is_neutral and a.name not in self.kept_axes}
        object.__setattr__(self, "neutral_axes", absent)
        object.__setattr__(self, "axes", tuple(a for i, a in enumerate(every) if i not in absent))
        object.__setattr__(self, "timeout", limits.timeout(f"{where}: timeout", self.timeout))
        object.__setattr__(self, "retries", limits.retries(f"{where}: retries", self.retries))
        memory, gpu = cell_function.needs_of(self.function)
        if self.memory is not None:
            memory = limits.memory(f"{where}: memory", self.memory)
        object.__setattr__(self, "memory", memory)
        object.__setattr__(self, "gpu", gpu if self.gpu is None else limits.gpu(f"{where}: gpu", self.gpu))
        if self.measured and (self.timeout is not None or self.retries):
            raise SpecError(f"{where}: cells that are measured are begun once: no timeout and no retries")
        if self.measured and (self.memory is not None or self.gpu is not None):
            raise SpecError(f"{where}: cells that are measured are on the bench's machine: no memory and no gpu")
        object.__setattr__(self, "max_failures", limits.max_failures(f"{where}: max_failures", self.max_failures))
        object.__setattr__(self, "root_seed", whole(f"{where}: root_seed", self.root_seed, -(2**128), 2**128))
        if not callable(self.function):
            raise SpecError(
                f"{where}: function {brief(self.function)} cannot be called; it takes Cells, or one Cell if "
                "it is marked with per_cell, and returns the outputs"
            )
        cell_function.check(self.function, [a.name for a in every], [p.name for p in self.parameters])
        for name in ("artifact_ids", "prepare", "bench_cycles", "bench_currents", "bench_trains"):
            if getattr(self, name) is not None:
                require_callable(f"{where}: {name}", getattr(self, name))
        for name in ("resources", "overrides", "neutral_axes"):
            if not isinstance(getattr(self, name), Mapping):
                raise SpecError(f"{where}: {name} must be a mapping, not {brief(getattr(self, name))}")
        if self.wanted is not None:
            object.__setattr__(self, "wanted", checked(where, self.wanted, every))
        if not isinstance(self.until, Until | None):
            raise SpecError(f"{where}: until must be an Until, such as Until('y: half_width < 0.1', max=100)")
        axis_names = [a.name for a in every]
        names = [*axis_names, *(d.name for d in self.dims), *(o.name for o in self.outputs)]
        names += [c.name for c in self.coordinates]
        _require_distinct(
            where,
            {
                "axis": axis_names,
                "dim": [d.name for d in self.dims],
                "output": [o.name for o in self.outputs],
                "coordinate": [c.name for c in self.coordinates],
            },
            RESERVED,
        )
        for name in [*names, *(p.name for p in self.parameters)]:
            if not name.isidentifier():
                raise SpecError(f"{brief(name)} is not a name such as 'bar_width': letters, digits and _ only")
        if any(p.name == "root_seed" for p in self.parameters):
            raise SpecError("every sweep already has a root_seed; give the parameter another name")
        former = [a.formerly for a in every if a.formerly]
        _require_distinct(where, {"axis": axis_names, "former axis": former})
        _require_distinct(where, {"axis": axis_names, "parameter": [p.name for p in self.parameters]})
        dims = {d.name for d in self.dims}
        for o in self.outputs:
            if unknown := [d for d in o.dims if d not in dims]:
                have = f"the sweep's dims are {sorted(dims)}"
                raise SpecError(f"output {o.name!r} has the unknown dim {unknown[0]!r}; {have}")
        counts = [p.name for p in self.parameters if type(p.default) is int]
        for dim in self.dims:
            if isinstance(dim.size, str) and not len(dim.values) and dim.size not in counts:
                what = f"size {brief(dim.size)} is not a parameter with whole numbers"
                raise SpecError(f"dim {dim.name!r}: {what}{closest(dim.size, counts)}")
        object.__setattr__(self, "views", self._checked_views(where))
        for coordinate in self.coordinates:
            if self.axis(coordinate.axis).neutral is not ...:
                raise SpecError(
                    f"coordinate {coordinate.name!r}: its axis {coordinate.axis!r} has a neutral value, so a cube "
                    "may lack that axis; put the coordinate on another one"
                )
        _require_distinct(where, {"stage": [stage.name for stage in self.stages]})
        for stage in self.stages:
            if unknown := [a for a in stage.axes if a not in axis_names]:
                meant = closest(unknown[0], axis_names)
                raise SpecError(
                    f"stage {stage.name!r} names {unknown[0]!r}, which is not an axis of {self.name!r}{meant}"
                )
        if unknown := [a for a in self.shared_axes if a not in axis_names]:
            raise SpecError(f"shared_axes names {unknown[0]!r}, which is not an axis of {self.name!r}")
        if not self.axes or not self.outputs:
            raise SpecError(f"sweep {self.name!r} needs at least one axis and one output")
        if (cells := math.prod(self.shape)) > MOST_CELLS:
            raise SpecError(f"sweep {self.name!r}: has {brief(cells)} cells; one cube holds at most {MOST_CELLS}")

    @classmethod
    def from_function(  # noqa: PLR0913 - each is a field of its own
        cls,
        function: Callable[..., Any],
        values: Mapping[str, Any] | None = None,
        /,
        *,
        outputs: Outputs | None = None,
        units: Mapping[str, str] | None = None,
        name: str = "",
        title: str = "",
        root_seed: int = 0,
        memory: int | str | None = None,
        gpu: float | None = None,
        views: Sequence[View] | None = None,
        **more_values: Any,
    ) -> Sweep:
        """A sweep of a plain function, whose arguments get axes and parameters by name; see :func:`spinsweep.cell`.

        Computes the first cell, to infer the outputs where they are not declared.

        Parameters
        ----------
        function
            It returns a number or an array, a tuple of them, or a mapping of output to value.
        values, more_values
            By argument: a list, range or array is an axis, one value a parameter; an :class:`Axis` or
            :class:`Parameter` is what it is. ``values`` holds those that cannot be keywords, such as ``name``.
            Defaults of the function are parameters. An axis that the function does not take, such as ``seed``,
            repeats its cells with other random numbers, if it takes any.
        outputs
            Names of what a tuple holds, or of the value; a mapping of name to dtype; or :class:`Output` objects.
            None: the keys of the mapping, or the function's name. A whole number of Python (not one of NumPy) is
            taken for float64, since the next cell may have a fraction; arrays get the dims ``<output>_0``, ...
        units
            Units of axes, parameters and outputs, by name.
        name, title
            None: the function's name, and the first line of its docstring.
        memory, gpu, views
            What a cell may use, and how outputs are drawn as curves; see :class:`Sweep`.

        Raises
        ------
        SpecError
            An argument has no value, a value no argument, or the first cell cannot be computed.
        """
        for needed, amount in {"memory": memory, "gpu": gpu, "views": views}.items():
            if amount is not None and needed in cell_function.arguments(function) and needed not in (values or {}):
                raise SpecError(
                    f"from_function: {name_of(function)} takes an argument {needed!r}; give its values in a mapping, "
                    f"as in from_function({name_of(function)}, {{{needed!r}: ...}})"
                )
        twice = [key for key in values or {} if key in more_values]
        if twice:
            raise SpecError(f"from_function: {twice[0]!r} is given twice")
        fields = definition(function, {**(values or {}), **more_values}, outputs, units or {})
        if not name and not (name := name_of(function)).isidentifier():
            raise SpecError("from_function: a lambda has no name; give name='...'")
        lines = (inspect.getdoc(function) or name).splitlines()
        fields["views"] = () if views is None else views
        return cls(name, title or lines[0], root_seed=root_seed, memory=memory, gpu=gpu, **fields)

    def _checked_views(self, where: str) -> tuple[View, ...]:
        """Each names what the sweep has; other parameters than the declared ones may give other outputs."""
        if self.outputs_of is not None and self.overrides:
            return items(f"{where}: views", self.views, View)
        dims = {o.name: o.dims for o in self.outputs}
        return views.checked(where, self.views, [a.name for a in self.every_axis], dims, [*self._numbers()])

    def _numbers(self) -> dict[str, tuple[str, ...]]:
        """Inner dims of each output that is a number."""
        return {o.name: o.dims for o in self.outputs if o.numpy_dtype.kind in views.DRAWN}

    @property
    def memory_bytes(self) -> int | None:
        """The ``memory`` of a cell, in bytes."""
        return None if self.memory is None else int(self.memory)

    @property
    def is_timed(self) -> bool:
        """Whether a few cells may be computed to choose the blocks: none that may act on the world, or need a GPU."""
        return not self.resources and self.gpu is None

    @property
    def axis_names(self) -> tuple[str, ...]:
        """Names of the index axes, in the order of the cube's dimensions."""
        return tuple(a.name for a in self.axes)

    @cached_property
    def stream_names(self) -> dict[str, str]:
        """Of each axis that was renamed, the name that addresses random streams."""
        return {axis.name: axis.stream_name for axis in self.every_axis if axis.formerly}

    @cached_property
    def every_axis(self) -> tuple[Axis, ...]:
        """The axes as they were declared, with those at their neutral value."""
        axes = list(self.axes)
        for position, axis in sorted(self.neutral_axes.items()):
            axes.insert(position, axis)
        return tuple(axes)

    @cached_property
    def neutral_values(self) -> dict[str, Value]:
        """Neutral value of each axis that has one."""
        return {a.name: a.neutral for a in self.every_axis if a.neutral is not ...}

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values asked for on each axis."""
        return tuple(len(a.values) for a in self.axes)

    @cached_property
    def wanted_mask(self) -> npt.NDArray[np.bool_] | None:
        """Which cells are wanted, (*shape) bool; None: all of them.

        Raises
        ------
        SpecError
            The function that tells raises, or returns something else.
        """
        if self.wanted is None:
            return None
        constants = {a.name: a.neutral for a in self.neutral_axes.values()}
        return mask(self.wanted, {a.name: a.values for a in self.axes}, constants)

    @property
    def cells(self) -> int:
        """Number of cells that are asked for."""
        return math.prod(self.shape) if self.wanted_mask is None else int(self.wanted_mask.sum())

    def wanted_cells(self) -> Iterator[dict[str, Value]]:
        """Coordinates of each cell that is asked for, last axis fastest, with those of neutral axes."""
        constants = {a.name: a.neutral for a in self.neutral_axes.values()}
        for number, point in enumerate(itertools.product(*(axis.values for axis in self.axes))):
            if self.wanted_mask is None or self.wanted_mask.flat[number]:
                yield {**constants, **dict(zip(self.axis_names, point, strict=True))}

    def _parameter_values(self) -> Iterator[tuple[Parameter, Any]]:
        return ((p, self.params[p.name]) for p in self.parameters)

    @cached_property
    def params(self) -> dict[str, Any]:
        """Every parameter's value: what was given, else its default."""
        return Named("parameter", {p.name: p.check(self.overrides.get(p.name, p.default)) for p in self.parameters})

    @cached_property
    def cell_params(self) -> dict[str, Any]:
        """The same, as cells get them: of an input, its Dataset."""
        return Named("parameter", {p.name: p.resolve(value) for p, value in self._parameter_values()})

    @property
    def inputs(self) -> dict[str, Parameter]:
        """Parameters that are cubes of other sweeps."""
        return {p.name: p for p in self.parameters if p.upstream}

    @property
    def identifying_params(self) -> dict[str, Any]:
        """Parameters that a cube keeps: all but those at their neutral value."""
        return {p.name: value for p, value in self._parameter_values() if p.neutral is ... or value != p.neutral}

    @property
    def reached_code(self) -> tuple[Any, ...]:
        """Functions of stages, and classes and functions that parameters name."""
        named = (p.code(value) for p, value in self._parameter_values() if p.code is not None)
        return (*named, *(stage.function for stage in self.stages))

    @property
    def shared_cells(self) -> int:
        """Cells that share work: one for each combination of values of the ``shared_axes`` axes."""
        return math.prod(len(self.axis(name).values) for name in self.shared_axes)

    def axis(self, name: str) -> Axis:
        """The axis of that name; ``SpecError`` when there is none."""
        for axis in self.every_axis:
            if axis.name == name:
                return axis
        names = [axis.name for axis in self.every_axis]
        raise SpecError(f"sweep {self.name!r} has no axis {name!r}{closest(name, names)}; it has {', '.join(names)}")

    def dim_values(self, name: str) -> tuple[Value, ...] | range | LongValues:
        """Coordinate values of an inner dim."""
        dim = next(d for d in self.dims if d.name == name)
        if isinstance(dim.values, tuple | LongValues) and dim.values:
            return dim.values
        size = int(self.params[dim.size]) if isinstance(dim.size, str) else dim.size
        if not 1 <= size <= MAX_LENGTH:
            raise SpecError(
                f"dim {name!r}: its size {dim.size!r} is {brief(size)}; it must be from 1 to {MAX_LENGTH}"
            )
        return range(dim.start, dim.start + size)

    def dimensions(self, axes: Mapping[str, Sequence[Value]] | None = None) -> Dimensions:
        """What views can name.

        Parameters
        ----------
        axes : values of a cube along its axes; None: those asked for
        """
        values = {a.name: a.values for a in self.axes} if axes is None else axes
        dims = {d.name: self.dim_values(d.name) for d in self.dims}
        words = {a.name for a in self.axes if a.kind in ("str", "bool")}
        words |= {name for name, of_dim in dims.items() if isinstance(of_dim, tuple) and _are_words(of_dim)}
        of_axes, of_dims = ({name: len(v) for name, v in part.items()} for part in (values, dims))
        return Dimensions(of_axes, of_dims, self._numbers(), frozenset({*values, *dims} - words))

    def output_shape(self, output: Output) -> tuple[int, ...]:
        """Shape of one cell of an output, beyond the axes."""
        return tuple(len(self.dim_values(d)) for d in output.dims)

    @cached_property
    def cell_bytes(self) -> int:
        """Bytes of one cell of all outputs and of the ledger, before compression."""
        sizes = [int(np.prod(self.output_shape(o), initial=1)) * o.value_bytes for o in self.outputs]
        return sum(sizes) + 23  # uint8 state, uint16 attempt, float32 duration, int64 error and code

    def with_text(
        self,
        settings: Mapping[str, str],
        root_seed: int | None = None,
        existing: Mapping[str, Sequence[Value]] = MappingProxyType({}),
    ) -> Sweep:
        """This sweep with axes and parameters set from text, as ``--set NAME=TEXT`` does.

        Parameters
        ----------
        settings
            Text by name. The values after ``NAME+`` join those of the axis that are ``existing``, or else its own.
        existing
            Values of a cube along its axes.
        """
        axes = {a.name: a for a in self.every_axis}
        parameters = {p.name: p for p in self.parameters}
        for name in (setting.removesuffix("+") for setting in settings):
            if name not in axes and name not in parameters:
                known = f"axes {', '.join(axes)}" + (f"; parameters {', '.join(parameters)}" if parameters else "")
                meant = closest(name, [*axes, *parameters])
                raise SpecError(f"sweep {self.name!r} has no axis or parameter {name!r}{meant}; it has {known}")
            if f"{name}+" in settings and name in parameters:
                raise SpecError(f"{name}+= adds values to an axis, and {name!r} is a parameter: it has one value")
            if f"{name}+" in settings and name in settings:
                raise SpecError(f"{name} is set by = and by +=; give all values after one of them")
        values = {name: parameters[name].parse(text) for name, text in settings.items() if name in parameters}
        axes |= {a.name: a for a in self._follow(values).values() if isinstance(a, Axis)}
        values |= {name: axes[name].parse(text) for name, text in settings.items() if name in axes}
        for name, axis in axes.items():
            if f"{name}+" in settings:
                values[name] = axis.plus(existing.get(name, axis.values), axis.parse(settings[f"{name}+"]))
        return self.with_values(root_seed=root_seed, **values)

    def with_values(self, root_seed: int | None = None, **values: Any) -> Sweep:
        """This sweep with other axis values (a sequence, or a single one) or parameter values."""
        for name in values:
            if name not in {p.name for p in self.parameters}:
                self.axis(name)
        follows = self._follow(values)
        axes = []
        for axis in self.every_axis:
            followed = follows.get(axis.name, axis)
            if isinstance(followed, Axis):
                axis = followed
            elif axis.name not in values:
                axis = dataclasses.replace(axis, values=axis.check(followed))
            if axis.name in values:
                axis = dataclasses.replace(axis, values=axis.check(values[axis.name]))
            axes.append(axis)
        changed = {p.name: p.check(values[p.name]) for p in self.parameters if p.name in values}
        overrides = {**self.overrides, **changed}
        seed = self.root_seed if root_seed is None else root_seed
        return dataclasses.replace(self, axes=tuple(axes), neutral_axes={}, overrides=overrides, root_seed=seed)

    def as_in_cube(self, root_seed: int, parameters: Mapping[str, Any], axes: Mapping[str, Sequence[Value]]) -> Sweep:
        """This sweep with a cube's parameters and axes; those that the cube lacks are at their neutral value."""
        neutral = self.neutral_values | {p.name: p.neutral for p in self.parameters if p.neutral is not ...}
        sweep = self.with_values(root_seed=root_seed, **{**neutral, **parameters})
        return sweep.with_values(None, **axes).keeping(tuple(axes))

    def settled(self, stored: Mapping[str, Any]) -> Sweep:
        """This sweep as a cube with the parameters ``stored`` goes on: inputs that only grew are what they were."""
        settled = {name: p.settle(stored.get(name), self.params[name]) for name, p in self.inputs.items()}
        changed = {name: value for name, value in settled.items() if value != self.params[name]}
        return dataclasses.replace(self, overrides={**self.overrides, **changed}) if changed else self

    def keeping(self, names: tuple[str, ...]) -> Sweep:
        """This sweep with the axes of a cube as dimensions, also where it gives them their neutral value alone."""
        kept = tuple(a.name for a in self.neutral_axes.values() if a.name in names)
        if not kept:
            return self
        return dataclasses.replace(self, axes=self.every_axis, neutral_axes={}, kept_axes=(*self.kept_axes, *kept))

    def with_one_value_an_axis(self) -> Sweep:
        """This sweep with one value on each axis, and the same dimensions: small enough to be sent with a task."""
        axes = tuple(dataclasses.replace(a, values=a.values[:1]) for a in self.axes)
        dims = tuple(dim.summarized() for dim in self.dims)
        return dataclasses.replace(self, axes=axes, dims=dims, wanted=None, until=None, kept_axes=self.axis_names)

    def _follow(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Axis values that follow from the parameters among ``values``."""
        follows: dict[str, Any] = {}
        names = [axis.name for axis in self.every_axis]
        for parameter in self.parameters:
            if parameter.axes and parameter.name in values:
                of_value = parameter.axes(parameter.check(values[parameter.name]))
                follows |= {name: v for name, v in of_value.items() if name in names}
        return follows

    def identity(self) -> dict[str, Any]:
        """Everything that changes a number in a cell, and nothing else: no axis values, no block size."""
        return {
            "name": self.name,
            "version": self.version,
            "root_seed": self.root_seed,
            "axes": [
                {"name": a.name, "unit": a.unit, "kind": a.kind} | ({"formerly": a.formerly} if a.formerly else {})
                for a in self.axes
            ],
            "dims": [
                {"name": d.name, "unit": d.unit, "values": _dim_key(self.dim_values(d.name))} for d in self.dims
            ],
            "outputs": [
                {"name": o.name, "dims": list(o.dims), "dtype": o.dtype, "unit": o.unit} for o in self.outputs
            ],
            "parameters": {
                p.name: p.fingerprint(v) if p.fingerprint else v
                for p, v in self._parameter_values()
                if p.name in self.identifying_params
            },
        }

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the identity, in hexadecimal."""
        return hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()

    def __getstate__(self) -> dict[str, Any]:
        """Pickled without what can be derived."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}


def per_cell(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Mark a function of one :class:`spinsweep.evaluate.Cell`: the engine calls it cell by cell in a block.

    Raises
    ------
    SpecError
        It cannot be marked.
    """
    try:
        function.per_cell = True  # type: ignore[attr-defined]
    except AttributeError:
        raise SpecError(
            f"per_cell cannot mark {brief(function)}; mark a def, in its class if it is a method"
        ) from None
    return function


class Named(dict[str, Any]):
    """Values by name; asked for another name, the ``KeyError`` says which there are."""

    def __init__(self, what: str, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self._what = what

    def __missing__(self, name: Any) -> Any:
        known = ", ".join(self)
        raise Unknown(f"there is no {self._what} {brief(name)}{closest(str(name), self)}; there are {known}")

    def __reduce__(self) -> Any:
        return Named, (self._what, dict(self))


class Unknown(KeyError):
    """A name that there is not."""

    __str__ = Exception.__str__  # that of KeyError shows the text in quotes


def _are_words(values: tuple[Value, ...]) -> bool:
    return isinstance(values[0], str | bool)


def _dim_key(values: tuple[Value, ...] | range | LongValues) -> list[Value] | dict[str, Any] | int | str:
    """The values of a dim as they stand in a sweep's identity."""
    if isinstance(values, LongValues):
        return values.summary
    if isinstance(values, range):
        return len(values) if values.start == 0 else f"{values.start}..{values.stop - 1}"
    return [json_of(value) for value in values]


def _require_distinct(where: str, names: Mapping[str, Sequence[str]], reserved: Sequence[str] = ()) -> None:
    """``SpecError`` that says which two things have one name; ``names`` are by kind of thing."""
    kinds: dict[str, str] = {}
    for kind, of_kind in names.items():
        for name in of_kind:
            if name in reserved:
                raise SpecError(
                    f"{where}: {kind} {name!r} has a name that every cube uses itself; choose another one"
                )
            if (other := kinds.get(name)) is not None:
                both = (
                    f"{kind} {name!r} is there twice"
                    if other == kind
                    else f"{kind} {name!r} is called like the {other}"
                )
                raise SpecError(f"{where}: {both}; names must be unique, give one of them another name")
            kinds[name] = kind
