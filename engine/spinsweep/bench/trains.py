"""Trains of cycles on the devices of a bench: within the limits, journalled, each cycle fired once at most.

What a cycle is, an experiment says: a generator that pulses and reads one device through :class:`Trains`, and notes
its last pulse in the journal before it leaves: that one is never repeated.  A cycle whose outcome cannot be known is
lost and never fired again; one that was cut short before its last pulse is begun anew.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn, Self

from spinsweep.bench.capabilities import Reading
from spinsweep.bench.errors import ConnectionLost, DeviceFault, InstrumentFault, InterlockOpen, LeaseError, LimitError
from spinsweep.bench.journal import Journal, TrainRecord
from spinsweep.bench.live import LiveView
from spinsweep.bench.parts import Device
from spinsweep.bench.session import BenchSession
from spinsweep.bench.turns import groups, turns_of
from spinsweep.errors import Stopped
from spinsweep.messages import Series

MAX_STRIKES = 3  # cycles in a row that a device may spoil before it is left out
INTERLOCK_POLL_S = 0.5  # between looks at an open interlock
READ_SLACK_S = 2.0  # that a read may take beyond its time before its value is not used
MAX_RECONNECTS = 3  # lost connections with no cycle between before an experiment gives up

Steps = Generator[float, None, None]
"""The steps of one device; yields the bench time before which its next action must not come, s."""


class Spoiled(Exception):
    """A cycle that its device spoiled: the sample is lost, the device gets a strike."""


class _HitCompliance(Exception):
    """The source ran into its compliance: less current flowed than was asked for, the device is left out."""


class Currents(NamedTuple):
    """Currents of a train at one device."""

    name: str
    """What messages call them."""
    device: Device
    values: Sequence[float]
    """A."""
    pulsed: bool
    """As pulses; else as reads."""
    sign: int = 0
    """That they must have; 0: either."""


@dataclass(frozen=True)
class TrainRequest:
    """Cycles that are fired one after the other, by their number in the journal."""

    name: str
    """Unique in the experiment."""
    devices: Sequence[Device]
    """By cycle: the device of each."""
    currents: Sequence[Currents]
    """All that will flow."""
    plan: Mapping[str, Any]
    """JSON values by which the journal knows the train again; ``cycles`` is their number."""
    pulses_per_cycle: int
    """The last of them is the one that is never repeated."""
    leave_out: bool = False
    """Lose the cycles of a device that is at fault and go on with the others, instead of raising."""


class Trains:
    """An experiment of a name at a bench, for a ``with``; a train that was fired before is not fired again."""

    def __init__(self, session: BenchSession, key: str) -> None:
        self.session = session
        self.bench = session.bench
        self.journal = Journal(self.bench.folder / "journal", key, session.lease.epoch)
        self.quarantined: dict[str, str] = {}
        """Devices that are left out, and why."""
        self.curves: Callable[[], Sequence[Series]] = tuple
        """What the reports of the bench's progress draw; called once a second at most."""
        self.expected = 0
        """Cycles of the whole experiment, those of earlier lanes too; 0 if nobody knows."""
        self._train = ""  # in hand
        self._strikes: Counter[str] = Counter()
        self._reconnects = 0
        self._ending: Stopped | DeviceFault | None = None

    def __enter__(self) -> Self:
        self.say()
        self.session.live.begin(self._view)
        return self

    def __exit__(self, *exc: object) -> None:
        self.session.live.begin()
        self.journal.close()

    def levels_of(self, device: str) -> Mapping[str, float]:
        """What the readings of a device are told by, by name, V; for the eye."""
        return {}

    def _view(self) -> LiveView:
        ended = sum(len(record.results) + len(record.lost) for record in self.journal.trains.values())
        return LiveView(tuple(self.curves()), self.levels_of, ended, self.expected)

    def say(self, **figures: float) -> None:
        """What the reports of the bench's progress tell beside it, from now on."""
        self.session.figures = figures

    def fire(self, train: TrainRequest, cycle: Callable[[Device, int], Steps]) -> TrainRecord:
        """Fire the cycles of a train that were not fired before; what the journal holds of all of them.

        Parameters
        ----------
        train : what is fired
        cycle : the steps of one cycle, by device and number; it notes its last pulse and its result in the journal

        Raises
        ------
        DeviceFault
            A device is open, short or stuck; its cycles that were not fired are left for a later lane.
        LimitError
            A current, the width or the number of pulses is beyond a limit; nothing was fired.
        BenchError
            The train was intended otherwise before.
        InstrumentFault, ConnectionLost
            The bench cannot go on; what was measured is in the journal.
        """
        for currents in train.currents:
            self._refuse(currents)
        missing = self._intend(train)
        if missing:
            self.session.live.doing = f"{self.journal.key.rpartition('/')[2]}: {train.name}"
            try:
                with self.session.io:
                    self._fire(train, missing, cycle)
            finally:
                self.session.live.doing = ""
        record = self.journal.trains[train.name]
        if not record.ended:
            self.journal.end(train.name)
        return record

    def due(self, device: Device) -> float:
        """Bench time before which a device must rest, s; a cycle yields it before each action."""
        return self.session.ready.get(device.name, self.session.rested)

    def pulse(self, device: Device, current: float, note: Callable[[], None] = lambda: None) -> None:
        """One pulse; ``note`` is called when all is ready, immediately before it is fired."""
        self.session.tell(self.journal.key, self._train)  # here, where no reading waits for the journal
        self.session.check()
        self.session.verify()
        self.session.route(device)
        source, lease = self.session.instruments.source, self.session.lease

        def fire() -> None:
            lease.check()
            note()

        source.on_fire = fire
        try:
            hit = source.pulse(current, self.bench.timing.pulse_width).compliance
        finally:
            source.on_fire = None
            self._rest(device)  # one that was cut short may have been fired
        if hit:
            raise _HitCompliance(f"a pulse of {current:.4g} A ran into the compliance: open, or a bad contact")

    def read(self, device: Device, current: float, is_decided: Callable[[float], bool] = lambda volts: True) -> float:
        """A valid reading, V; one that is invalid or undecided is taken again once.

        One that took longer than planned by ``READ_SLACK_S`` (the process was stopped, or the machine hung) is not
        valid: the current has flowed too long.

        Raises
        ------
        Spoiled
            There is no valid one.
        """
        instruments = self.session.instruments
        self.session.lease.check()
        self.session.route(device)
        rest = self.bench.timing.read_time - instruments.meter.reading_time
        try:
            for attempt in (1, 2):
                began = time.monotonic()
                instruments.source.read_on(current)
                try:
                    instruments.clock.sleep(rest)
                    reading = instruments.meter.read()
                finally:
                    hit = instruments.source.read_off()
                late = time.monotonic() - began - self.bench.timing.read_time / self.bench.timing.speed
                if late > READ_SLACK_S:
                    reading = Reading(math.nan, False, f"its current flowed {late:.1f} s longer than planned")
                if hit:
                    raise _HitCompliance(
                        f"the read current of {current:.4g} A ran into the compliance: open, or a bad contact"
                    )
                if reading.valid and (attempt == 2 or is_decided(reading.volts)):
                    break
        finally:
            self._rest(device)
        if not reading.valid:
            raise Spoiled(f"no valid reading: {reading.reason}")
        self.session.live.read(device.name, instruments.clock.now(), reading.volts)
        return float(reading.volts)

    def _refuse(self, currents: Currents) -> None:
        """``LimitError`` if a current is beyond the limits of its device."""
        name, device, values, pulsed, sign = currents
        limits, least = self.bench.limits_of(device), self.session.instruments.source.least_current
        most = limits.max_pulse if pulsed else limits.max_read
        for value in values:
            if not least <= abs(value) <= most:
                raise LimitError(
                    f"device {device.name}: {name} {value:.6g} A is beyond its limits, "
                    f"{least:g} to {most:g} A; nothing was sent"
                )
            if sign and value * sign < 0:
                raise LimitError(
                    f"device {device.name}: {name} {value:.6g} A has the wrong sign; "
                    f"polarity.reset_pulse is {self.bench.polarity.reset_pulse}; nothing was sent"
                )

    def _intend(self, train: TrainRequest) -> list[int]:
        """Put the plan on disk if it is new; the cycles that may be fired."""
        self.session.lease.check()
        is_new = train.name not in self.journal.trains
        if is_new:
            counted = Counter(device.name for device in train.devices)
            self.session.count_pulses({name: train.pulses_per_cycle * n for name, n in counted.items()})
        missing = list(self.journal.intend(train.name, train.plan).missing())
        if missing and not is_new:  # the cycle in which a device was left has had all pulses but its last, maybe
            begun = {train.devices[number].name for number in missing}
            self.session.count_pulses(dict.fromkeys(begun, train.pulses_per_cycle - 1))
        return missing

    def _fire(self, train: TrainRequest, missing: Sequence[int], cycle: Callable[[Device, int], Steps]) -> None:
        """Fire cycles, one device after the other, or each in the rests of the others."""
        queues: dict[str, list[int]] = {}
        for number in missing:
            queues.setdefault(train.devices[number].name, []).append(number)
        self.session.refresh()
        self._record(train)
        everyone = [self._device(train, self.bench.named(name), numbers, cycle) for name, numbers in queues.items()]
        self._ending, self._train = None, train.name
        try:
            for group in groups(everyone, turns_of(self.bench)):
                self._take_turns(group)
        except LeaseError:
            raise  # the journal may be another's now
        except BaseException as error:
            record = self.journal.trains[train.name]
            for number in record.in_doubt():
                self._lose(train, number, str(error) or type(error).__name__)
            raise
        self._record(train)

    def _record(self, train: TrainRequest) -> None:
        """Note in the journal what the auxiliary instruments measure, if there are any that do."""
        try:
            values = self.session.measured()
        except InstrumentFault:
            self.session.safe()
            raise
        if values:
            self.journal.measured(train.name, values)

    def _take_turns(self, group: Sequence[Steps]) -> None:
        """Advance whichever is due first, until all have ended; at a stop, let the others finish their cycle."""
        clock = self.session.instruments.clock
        due = [(0.0, steps) for steps in group]
        while due:
            due_time, steps = min(due, key=lambda entry: entry[0])
            due.remove((due_time, steps))
            clock.sleep(due_time - clock.now(), self.session.hurry)
            if self.session.hurry.is_set():
                raise Stopped(f"bench {self.bench.name}: ended at once on demand; the cycle in hand is lost")
            try:
                later = next(steps, None)
            except (Stopped, DeviceFault) as error:
                self._ending = self._ending or error
                continue
            if later is not None:
                due.append((later, steps))
        if self._ending is not None:
            raise self._ending

    def _device(
        self, train: TrainRequest, device: Device, numbers: Sequence[int], cycle: Callable[[Device, int], Steps]
    ) -> Steps:
        """All cycles of one device in a train."""
        for number in numbers:
            while True:
                if self._ending is not None:
                    return
                self.session.check()
                if reason := self.quarantined.get(device.name):
                    if not train.leave_out:
                        raise DeviceFault(f"device {device.name}: {reason}")
                    self._lose(train, number, reason)
                    break
                try:
                    yield from cycle(device, number)
                except InterlockOpen as error:
                    self._await_interlock(train)
                    if self._begin_again(train, device, number):
                        continue
                    self._lose(train, number, str(error))
                except (ConnectionLost, InstrumentFault) as error:
                    if isinstance(error, InstrumentFault) and not self.session.instruments.powered_on():
                        self._stop(train, number, error)
                    self._reconnect(error)
                    if self._begin_again(train, device, number):
                        continue
                    self._lose(train, number, str(error))
                except Spoiled as error:
                    self._strike(train, device, number, str(error))
                except _HitCompliance as error:
                    self.quarantined[device.name] = str(error)
                    self._lose(train, number, str(error))
                else:
                    self._strikes[device.name] = self._reconnects = 0
                break

    def _lose(self, train: TrainRequest, number: int, reason: str) -> None:
        self.journal.lose(train.name, number, reason)
        self.session.faults.append(f"{train.devices[number].name}: {reason}")

    def _begin_again(self, train: TrainRequest, device: Device, number: int) -> bool:
        """Whether a cycle that was cut short may begin anew: its last pulse has not left."""
        if number in self.journal.trains[train.name].fired:
            return False
        self.session.count_pulses({device.name: train.pulses_per_cycle - 1})  # once more
        return True

    def _rest(self, device: Device) -> None:
        self.session.ready[device.name] = self.session.instruments.clock.now() + self.bench.timing.gap

    def _strike(self, train: TrainRequest, device: Device, number: int, reason: str) -> None:
        self._lose(train, number, reason)
        self._strikes[device.name] += 1
        if self._strikes[device.name] >= MAX_STRIKES:
            self.quarantined[device.name] = f"{MAX_STRIKES} cycles in a row were spoiled, the last: {reason}"

    def _stop(self, train: TrainRequest, number: int, error: InstrumentFault) -> NoReturn:
        """An instrument is not to be trusted: nothing more is fired."""
        if number in self.journal.trains[train.name].fired:
            self._lose(train, number, str(error))
        self.session.faults.append(str(error))
        self.session.safe()
        raise error

    def _await_interlock(self, train: TrainRequest) -> None:
        """Wait until a human has closed the interlock, with the source off; then set everything up again."""
        while True:
            self.session.check()
            self.session.tell(self.journal.key, f"{train.name}, waiting: the interlock is open, close it")
            time.sleep(INTERLOCK_POLL_S)
            with suppress(InterlockOpen):
                self.session.open()
                return

    def _reconnect(self, error: ConnectionLost | InstrumentFault) -> None:
        self._reconnects += 1
        self.session.faults.append(str(error))
        if self._reconnects > MAX_RECONNECTS:
            raise error
        self.session.open()
