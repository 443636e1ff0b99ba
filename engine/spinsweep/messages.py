"""What driver, scheduler, Sweep page and lane tell each other: one frozen dataclass a kind of message.

Processes send ``to_json()``, a dict of JSON values, and read it with ``from_json()``. Their versions of spinsweep may
differ, so each message carries the version of its fields, and a reader refuses every other one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Self

from spinsweep.pace import TimeLeft

VERSION = 1
"""Of all messages; raise it when a field changes its meaning, or one without a default is removed or added."""
LANE_TOPIC = "spinsweep-lane"
"""Dask's topic of lane reports."""
LANE_STOP = "spinsweep_stop"
"""Handler of a lane that gives the cycle in hand up and makes the bench safe; it answers with a StopAnswer."""
MAX_GROUPS = 8
"""Errors of a run of which a report tells."""
MAX_LONG = 8
"""Blocks that are being computed for long of which a report tells."""
MAX_POINTS = 200
"""Of a series: a window shows no more, and a report goes out every second."""
LARGEST = 1e100
"""Number of a series, either sign: what draws it may calculate with it."""


class MessageError(ValueError):
    """A message that this process cannot read: of another version, or without a field; one line."""


@dataclass(frozen=True, kw_only=True)
class _Message:
    version: int = VERSION
    """See :data:`VERSION`."""

    _parts: ClassVar[Mapping[str, Any]] = {}
    """The dataclass of the items of each field that holds several."""

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The message that ``values`` hold; other values are ignored: Dask adds the address of a worker that reports.

        Raises
        ------
        MessageError
            They are of another version, or a field is missing.
        """
        version = values.get("version") if isinstance(values, Mapping) else None
        if version != VERSION:
            raise MessageError(
                f"it sends messages of version {version}, and this process reads version {VERSION}: "
                "install the same spinsweep on both machines"
            )
        try:
            return cls(**{f.name: cls._field(f.name, values[f.name]) for f in fields(cls) if f.name in values})
        except (TypeError, AttributeError, ValueError) as error:  # a field is missing, or is not a list of parts
            raise MessageError(f"it sent a damaged {cls.__name__}: {error}") from None

    @classmethod
    def _field(cls, name: str, value: Any) -> Any:
        if part := cls._parts.get(name):
            return tuple(part(**{k: _as_tuple(v) for k, v in item.items()}) for item in value)
        return _as_tuple(value)


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True)
class AxisDescription:
    """An axis of a cube."""

    name: str
    """As ``--set`` takes it."""
    values: tuple[Any, ...]
    """Numbers or words, one for each cell along the axis."""
    unit: str
    """As the sweep declares it; ``"1"`` for a pure number."""
    long_name: str
    """What people call it; may be empty."""


@dataclass(frozen=True)
class OutputDescription:
    """An output of a sweep that is a number."""

    name: str
    """As the cube has it."""
    unit: str
    """As the sweep declares it."""
    long_name: str
    """What people call it; may be empty."""
    dims: tuple[str, ...]
    """Its own dimensions, beside the axes."""


@dataclass(frozen=True)
class EarlierRun:
    """A run of the same cube, to compare another with."""

    epoch: int
    """Its number among the cube's runs."""
    start: str
    """When it began, UTC, ISO 8601."""
    seconds: float | None
    """That it took, s; None: it has no end."""
    cells: int | None
    """That it computed; None: it was killed before it could say so."""
    rate: float | None
    """Cells a second over all of it."""
    outcome: str
    """As its record says."""
    changes: str
    """Code, versions and machine that differ since then, in words; empty: none."""


@dataclass(frozen=True)
class ViewDescription:
    """How an output is drawn as curves: the fields of a :class:`spinsweep.View`, none of them left out."""

    output: str
    x: str
    lines: str | None
    over: tuple[str, ...]
    inner: str


@dataclass(frozen=True, kw_only=True)
class RunDescription(_Message):
    """What a driver says of a run when it begins."""

    sweep: str
    """Name of the sweep."""
    title: str
    """What people call it."""
    axes: tuple[AxisDescription, ...]
    """Of the cube, in its order."""
    chunk: tuple[int, ...]
    """Cells of a block along each axis."""
    outputs: tuple[OutputDescription, ...]
    """Those that a map can show."""
    path: str
    """Where the cube is, as the driver names it."""
    cube_id: str
    """The cube's own identity; a path may hold another cube later."""
    epoch: int
    """Number of the run among the cube's runs."""
    cells: int
    """Cells that the run has to compute."""
    measured: bool
    """Whether a lane does the work."""
    client: str
    """Dask's id of the driver's client."""
    views: tuple[ViewDescription, ...] = ()
    """What the author declares, the first first, and one of each further output; none: no curves are drawn."""
    earlier: tuple[EarlierRun, ...] = ()
    """The run that it is compared with; empty: there is none."""
    failed_before: int = 0
    """Cells of the cube that had failed when it began."""
    figures: int = 0
    """Figures that lie beside the cube."""
    figures_folder: str = ""
    """Where they are."""

    _parts = {"axes": AxisDescription, "outputs": OutputDescription, "views": ViewDescription, "earlier": EarlierRun}  # noqa: RUF012 - a ClassVar of the base


@dataclass(frozen=True)
class FailureGroup:
    """Cells of a run that failed with one and the same error."""

    cells: int
    first: Mapping[str, Any]
    """Coordinates of the first of them that is known, JSON values by axis; empty: none is."""
    error: str
    """``Type: message``, cut where it is long."""


@dataclass(frozen=True)
class LongBlock:
    """A block that has been computed for long."""

    cell: Mapping[str, Any]
    """Coordinates, JSON values by axis, of the cell that is being computed; where that is not known, of the first."""
    in_hand: bool
    """Whether it is known."""
    cells: int
    """That the block computes."""
    seconds: float
    """Since the block was begun, s."""
    cell_seconds: float
    """Since the cell was begun, s; of the block where the cell is not known."""
    worker: str
    """What computes it, in words."""
    answers: bool = True
    """Whether its process says what it does; native code may keep Python from running."""


@dataclass(frozen=True, kw_only=True)
class LongReport(_Message):
    """What the record of a run says while blocks are computed for long."""

    seen: str
    """When the driver looked, UTC, ISO 8601."""
    blocks: tuple[LongBlock, ...]
    """The :data:`MAX_LONG` that had been computed for the longest then, longest first."""
    more: int = 0
    """Long ones beside these."""

    _parts = {"blocks": LongBlock}  # noqa: RUF012 - a ClassVar of the base


@dataclass(frozen=True, kw_only=True)
class ProgressReport(_Message):
    """What a driver says once a second; the defaults are those of a run that has not reported yet."""

    cells: int = 0
    """That the run has to compute, as far as is known; 0: as it said when it began."""
    round: str = ""
    """The round of replicates and how many sets are open; empty where there are no rounds."""
    cells_done: int = 0
    """In this run."""
    cells_failed: int = 0
    """In this run."""
    blocks: int = 0
    """Blocks that the run has to compute."""
    blocks_ended: int = 0
    """Those with a result, good or bad."""
    block_seconds: float = 0.0
    """Sum of the block function's time over these, s."""
    workers_lost: int = 0
    """Workers that left work behind."""
    seconds: float = 0.0
    """Since the first block was sent, s."""
    rate: float = 0.0
    """Cells a second."""
    seconds_left: float | None = None
    """At that rate, s; None while nothing is known."""
    seconds_left_low: float | None = None
    """Lower end of its 95 % interval, s."""
    seconds_left_high: float | None = None
    """Upper end."""
    waiting: str = ""
    """What the run waits for; empty while it goes on."""
    problem: str = ""
    """The last block without a result that can be kept, and why; empty if there is none."""
    ended: bool = False
    """Whether this is the last report."""
    groups: tuple[FailureGroup, ...] = ()
    """The :data:`MAX_GROUPS` commonest errors of the run so far, commonest first."""
    more_groups: int = 0
    """Other errors beside these."""
    long: tuple[LongBlock, ...] = ()
    """The :data:`MAX_LONG` blocks that have been computed for the longest, longest first; none if nothing is long."""
    more_long: int = 0
    """Long ones beside these."""

    _parts = {"groups": FailureGroup, "long": LongBlock}  # noqa: RUF012 - a ClassVar of the base

    @property
    def time_left(self) -> TimeLeft | None:
        """At that rate; None while nothing is known."""
        if self.seconds_left is None:
            return None
        low, high = self.seconds_left_low, self.seconds_left_high
        return TimeLeft(self.seconds_left, low or 0.0, self.seconds_left if high is None else high)

    @property
    def cells_ended(self) -> int:
        """Cells done or failed in this run."""
        return self.cells_done + self.cells_failed


@dataclass(frozen=True)
class RunNow:
    """A run as its scheduler knows it."""

    sweep: str
    """Name of the sweep."""
    title: str
    """What people call it."""
    axes: Mapping[str, int]
    """Length of each axis of the cube, by name, in its order."""
    path: str
    """Where the cube is, as the driver names it."""
    cube_id: str
    """The cube's own identity."""
    epoch: int
    """Number of the run among the cube's runs."""
    cells: int
    """That the run has to compute, as far as is known."""
    driver_lost: bool
    """Whether its driver left without a last report."""
    problems: tuple[str, ...]
    """What the page says that is wrong, one line each."""
    report: Mapping[str, Any]
    """The driver's last: a :class:`ProgressReport` as JSON."""


@dataclass(frozen=True, kw_only=True)
class RunsReport(_Message):
    """What a scheduler answers to whoever asks for its runs."""

    runs: tuple[RunNow, ...]
    """Oldest first."""
    unreadable: tuple[str, ...] = ()
    """What drivers or lanes of other versions sent, one line each."""

    _parts = {"runs": RunNow}  # noqa: RUF012 - a ClassVar of the base


@dataclass(frozen=True)
class Series:
    """Numbers that an experiment draws of itself; :meth:`of` makes one."""

    name: str
    """Tells it from the others of a drawing."""
    x: tuple[float, ...]
    """(n,) within :data:`LARGEST`, n <= :data:`MAX_POINTS`."""
    y: tuple[float, ...]
    """(n,) likewise."""
    x_label: str = ""
    x_unit: str = ""
    """SI, without prefix; empty for a pure number."""
    y_label: str = ""
    y_unit: str = ""
    x_range: tuple[float, ...] = ()
    """Least and greatest x that there will be; empty while nobody knows."""
    y_range: tuple[float, ...] = ()
    """The same of y."""
    line: bool = False
    """Joined by a line; else points, of which each is a measurement."""

    def __post_init__(self) -> None:
        """``ValueError`` if it cannot be drawn."""
        every = (*self.x, *self.y, *self.x_range, *self.y_range)
        if len(self.x) != len(self.y) or len(self.x) > MAX_POINTS or not all(map(_can_be_drawn, every)):
            raise ValueError(f"the series {self.name!r} is not pairs of finite numbers, {MAX_POINTS} at most")
        if len(self.x_range) not in (0, 2) or len(self.y_range) not in (0, 2):
            raise ValueError(f"the series {self.name!r} has a range that is not two numbers")

    @classmethod
    def of(cls, name: str, x: Iterable[float], y: Iterable[float], **more: Any) -> Series:
        """The series of these numbers: without pairs that cannot be drawn, and thinned to :data:`MAX_POINTS`.

        Parameters
        ----------
        x, y : (n,) each
        more : the other fields
        """
        pairs = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
        pairs = [pair for pair in pairs if all(map(_can_be_drawn, pair))]
        last = len(pairs) - 1
        if len(pairs) > MAX_POINTS:  # with both ends
            pairs = [pairs[round(i * last / (MAX_POINTS - 1))] for i in range(MAX_POINTS)]
        return cls(name, tuple(a for a, _ in pairs), tuple(b for _, b in pairs), **more)


def _can_be_drawn(value: Any) -> bool:
    return isinstance(value, float | int) and abs(value) <= LARGEST  # NaN is not


@dataclass(frozen=True, kw_only=True)
class LaneReport(_Message):
    """What a lane, the worker that owns a bench, says once a second while it measures."""

    bench: str
    """Name of the bench."""
    experiment: str
    """Name of the experiment's journal: the cube's id, then the cell."""
    train: str
    """The pulse train in hand, in words."""
    cycles: int
    """Cycles since the lane started."""
    pulses: int
    """That all devices of the bench have had in their lives."""
    worn: str
    """The device that is nearest to its limit of pulses."""
    wear: float
    """Part of that limit that it has had, 0 to 1."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """What the experiment says of itself, such as its loss."""
    series: tuple[Series, ...] = ()
    """What the experiment draws of itself, with common axes; empty if nothing."""
    readings: tuple[Series, ...] = ()
    """The last readings of the device in hand, under its name: x is the bench's time, s; empty before the first."""
    levels: Mapping[str, float] = field(default_factory=dict)
    """Values that the readings of that device are told by, in their unit, by name."""
    seconds_left: float | None = None
    """Real time until the experiment ends at the pace so far; None while nothing is known."""
    seconds_whole: float | None = None
    """Real time that all of the experiment takes at that pace."""

    _parts = {"series": Series, "readings": Series}  # noqa: RUF012 - a ClassVar of the base

    @property
    def cell(self) -> str:
        """The cell that the experiment measures."""
        return self.experiment.rpartition("/")[2]

    def measures_for(self, cube_id: str) -> bool:
        """Whether the experiment belongs to that cube."""
        return self.experiment.startswith(cube_id)


@dataclass(frozen=True, kw_only=True)
class StopAnswer(_Message):
    """What a lane answers that was told to stop at once and to make its bench safe."""

    problem: str = ""
    """Why the bench is not known to be safe; empty if it is."""
    state: str = ""
    """In which state the bench is then, in words."""
    doing: str = ""
    """What was in hand, in words; empty if nothing was."""
