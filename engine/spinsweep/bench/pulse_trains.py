"""Trains of reset, read, write, read cycles at a station, journalled and within the limits.

A cycle (Islam et al. 2024, section 4.3): a reset pulse, a read, a write pulse, a read.  The journal knows of a write
pulse before it leaves.  A cycle whose outcome cannot be known is lost and never fired again; one whose write pulse
has not left is begun anew with its reset.
"""

from __future__ import annotations

import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from spinsweep.bench.errors import ConnectionLost, DeviceFault, InstrumentFault, InterlockOpen, LeaseError, LimitError
from spinsweep.bench.journal import Journal
from spinsweep.bench.parts import Device
from spinsweep.bench.session import BenchSession
from spinsweep.errors import Stopped

Floats = npt.NDArray[np.float64]

RESETS = 3  # reset pulses of one cycle before its device counts as not resetting
STRIKES = 3  # cycles in a row that a device may spoil before it is left out
INTERLOCK = 0.5  # seconds between looks at an open interlock
RECONNECTS = 3  # lost connections with no cycle between before an experiment gives up
CALIBRATION = 5  # cycles that find a device's two levels
CONTRAST = 8.0  # least distance of the two levels in standard deviations of a reading
TRACKED = 5  # readings of each level from which a train moves the levels


@dataclass(frozen=True)
class Levels:
    """The two voltages that a device can have, V."""

    low: float
    high: float

    def side(self, volts: float) -> int:
        """-1 near the low level, 1 near the high one, 0 between them or beyond."""
        margin = (self.high - self.low) / 3
        return 1 if abs(volts - self.high) < margin else -1 if abs(volts - self.low) < margin else 0


@dataclass
class PulseTrain:
    """What a train read; a lost cycle is NaN."""

    v_reset: Floats
    """(cycles, columns) V, after the reset pulse."""
    v_write: Floats
    """(cycles, columns) V, after the write pulse."""
    lost: dict[tuple[int, int], str]
    """(cycle, column) -> why."""
    faults: dict[str, str] = field(default_factory=dict)
    """Devices that were left out, and why."""


@dataclass(frozen=True)
class _Plan:
    """One train as it is fired; column j of ``i_write`` goes to ``devices[j]``."""

    name: str
    devices: Sequence[Device]
    i_write: Floats
    """(cycles, columns) A."""
    i_reset: Sequence[float]
    """A, by column."""
    i_read: float
    leave_out: bool

    def cycle(self, number: int) -> tuple[int, int]:
        """(cycle, column) of a cycle's number in the journal."""
        row, column = divmod(number, self.i_write.shape[1])
        return row, column


class _Spoiled(Exception):
    """A cycle that its device spoiled: the sample is lost, the device gets a strike."""


class _Hit(Exception):
    """The source ran into its compliance: the current was not what was asked, the device is left out."""


Steps = Generator[float, None, None]
"""The steps of one device; yields the bench time before which its next action must not come, s."""


class PulseTrains:
    """An experiment of a name at a station, for a ``with``; a train that is asked for again is not fired again."""

    def __init__(self, session: BenchSession, key: str) -> None:
        self.session = session
        self.bench = session.bench
        self.journal = Journal(self.bench.folder / "journal", key, session.lease.epoch)
        self.levels: dict[str, Levels] = {}
        self.quarantined: dict[str, str] = {}
        """Devices that are left out, and why."""
        self._strikes: Counter[str] = Counter()
        self._reconnects = 0
        self._ending: Stopped | DeviceFault | None = None

    def __enter__(self) -> PulseTrains:
        self.say()
        return self

    def __exit__(self, *exc: object) -> None:
        self.journal.close()

    def say(self, **figures: float) -> None:
        """What the reports of the bench's progress tell beside it, from now on."""
        self.session.figures = figures

    def calibrate(self, device: str, i_strong: float, i_reset: float, i_read: float) -> Levels:
        """Find the two levels of a device with a few write pulses that switch for sure.

        Levels that an earlier lane found are taken; where it found none, the pulses are fired once more.

        Raises
        ------
        DeviceFault
            The two levels are not distinct: the device is short, open or stuck, or its wiring is wrong.
        """
        for attempt in itertools.count(1):
            name = f"levels of {device}, {attempt}"
            known = name in self.journal.trains
            try:
                writes = np.full((CALIBRATION, 1), i_strong)
                found = self._levels(device, self.run(name, [device], writes, [i_reset], i_read))
            except DeviceFault as error:
                if known:
                    continue
                self.quarantined[device] = str(error)
                raise
            break
        self.levels[device] = found
        return found

    def _levels(self, device: str, train: PulseTrain) -> Levels:
        """The levels in a calibration's readings."""
        reset, write = train.v_reset[:, 0], train.v_write[:, 0]
        seen = np.isfinite(reset) & np.isfinite(write)
        if not seen.any():
            raise DeviceFault(f"device {device}: no reading of its calibration is valid")
        a, b = float(np.median(reset[seen])), float(np.median(write[seen]))
        noise = float(np.sqrt((np.var(reset[seen]) + np.var(write[seen])) / 2))
        wanted = self.bench.polarity.reset_state
        if abs(b - a) < CONTRAST * noise or a == b:
            raise DeviceFault(
                f"device {device}: reset and written state read alike, {a:.3g} V and {b:.3g} V "
                f"(noise {noise:.2g} V): short, stuck, or not switched by these pulses"
            )
        if (a > b) != (wanted > 0):
            raise DeviceFault(
                f"device {device}: reset reads {a:.3g} V, written {b:.3g} V, but polarity.reset_state = {wanted} "
                f"says that reset is the {'high' if wanted > 0 else 'low'} one"
            )
        return Levels(min(a, b), max(a, b))

    def run(
        self,
        name: str,
        devices: Sequence[str],
        i_write: npt.ArrayLike,
        i_reset: Sequence[float],
        i_read: float,
        leave_out: bool = False,
    ) -> PulseTrain:
        """Fire the cycles of a train that were not fired before, and return all of them.

        Parameters
        ----------
        name : unique in the experiment
        devices : name of the device of each column; one may stand more than once
        i_write : (cycles, columns) A
        i_reset : (columns,) A
        i_read : A
        leave_out : lose the cycles of a device that is at fault and go on with the others, instead of raising

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
        every = [self.bench.named(d) for d in devices]
        plan = _Plan(name, every, np.asarray(i_write, float), i_reset, i_read, leave_out)
        self._refuse(plan)
        missing = self._intend(plan)
        if missing:
            with self.session.io:
                self._fire(plan, missing)
        record = self.journal.trains[name]
        if not record.ended:
            self.journal.end(name)
        return self._train(plan)

    def _refuse(self, plan: _Plan) -> None:
        """Check the whole plan against the limits."""
        polarity, least = self.bench.polarity.reset_pulse, self.session.instruments.source.least_current
        if plan.i_write.ndim != 2 or plan.i_write.shape[1] != len(plan.devices) or not plan.i_write.size:
            raise LimitError(f"train {plan.name!r}: i_write has shape {plan.i_write.shape}, not (cycles, devices)")
        for column, device in enumerate(plan.devices):
            limits = self.bench.limits_of(device)
            requested = {
                "i_write": (plan.i_write[:, column].tolist(), limits.max_pulse, -polarity),
                "i_reset": ([float(plan.i_reset[column])], limits.max_pulse, polarity),
                "i_read": ([float(plan.i_read)], limits.max_read, 0),
            }
            for what, (values, most, sign) in requested.items():
                for value in values:
                    if not least <= abs(value) <= most:
                        raise LimitError(
                            f"device {device.name}: {what} {value:.6g} A is beyond its limits, "
                            f"{least:g} to {most:g} A; nothing was sent"
                        )
                    if sign and value * sign < 0:
                        raise LimitError(
                            f"device {device.name}: {what} {value:.6g} A has the wrong sign; "
                            f"polarity.reset_pulse is {polarity}; nothing was sent"
                        )

    def _intend(self, plan: _Plan) -> list[int]:
        """Put the plan on disk if it is new; the cycles that may be fired."""
        known = self.journal.trains.get(plan.name)
        self.session.lease.check()
        if known is None:
            counted = Counter(plan.devices[plan.cycle(k)[1]].name for k in range(plan.i_write.size))
            self.session.count_pulses({d: 2 * n for d, n in counted.items()})
        record = self.journal.intend(
            plan.name,
            {
                "cycles": plan.i_write.size,
                "devices": [d.name for d in plan.devices],
                "i_write": plan.i_write.tolist(),
                "i_reset": [float(i) for i in plan.i_reset],
                "i_read": float(plan.i_read),
                "width": self.bench.timing.pulse_width,
            },
        )
        return list(record.missing())

    def _fire(self, plan: _Plan, missing: Sequence[int]) -> None:
        """Fire cycles, one device after the other, or each in the rests of the others."""
        queues: dict[str, list[int]] = {}
        for number in missing:
            queues.setdefault(plan.devices[plan.cycle(number)[1]].name, []).append(number)
        self.session.refresh()
        everyone = [self._device(plan, self.bench.named(name), numbers) for name, numbers in queues.items()]
        groups = [everyone] if self.bench.timing.interleave else [[steps] for steps in everyone]
        self._ending = None
        try:
            for group in groups:
                self._take_turns(group)
        except LeaseError:
            raise  # the journal may be another's now
        except BaseException as error:
            record = self.journal.trains[plan.name]
            for number in record.in_doubt():
                self.journal.lose(plan.name, number, str(error) or type(error).__name__)
            raise

    def _take_turns(self, group: Sequence[Steps]) -> None:
        """Advance whichever is due first, until all have ended; at a stop, let the others finish their cycle."""
        clock = self.session.instruments.clock
        due = [(0.0, steps) for steps in group]
        while due:
            at, steps = min(due, key=lambda entry: entry[0])
            due.remove((at, steps))
            clock.sleep(at - clock.now(), self.session.hurry)
            if self.session.hurry.is_set():
                raise Stopped(f"bench {self.bench.name}: told to end at once; the cycle in hand is lost")
            try:
                later = next(steps, None)
            except (Stopped, DeviceFault) as error:
                self._ending = self._ending or error
                continue
            if later is not None:
                due.append((later, steps))
        if self._ending is not None:
            raise self._ending

    def _device(self, plan: _Plan, device: Device, numbers: Sequence[int]) -> Steps:
        """All cycles of one device in a train."""
        for number in numbers:
            while True:
                if self._ending is not None:
                    return
                self.session.check()
                if reason := self.quarantined.get(device.name):
                    if not plan.leave_out:
                        raise DeviceFault(f"device {device.name}: {reason}")
                    self.journal.lose(plan.name, number, reason)
                    break
                try:
                    yield from self._cycle(plan, device, number)
                except InterlockOpen as error:
                    self._await_interlock(plan)
                    if self._begin_again(plan, device, number):
                        continue
                    self.journal.lose(plan.name, number, str(error))
                except (ConnectionLost, InstrumentFault) as error:
                    if isinstance(error, InstrumentFault) and not self.session.instruments.powered_on():
                        self._stop(plan, number, error)
                    self._reconnect(error)
                    if self._begin_again(plan, device, number):
                        continue
                    self.journal.lose(plan.name, number, str(error))
                except _Spoiled as error:
                    self._strike(plan, device, number, str(error))
                except _Hit as error:
                    self.quarantined[device.name] = str(error)
                    self.journal.lose(plan.name, number, str(error))
                else:
                    self._strikes[device.name] = self._reconnects = 0
                break

    def _begin_again(self, plan: _Plan, device: Device, number: int) -> bool:
        """Whether a cycle that was cut short may begin anew: its write pulse has not left."""
        if number in self.journal.trains[plan.name].fired:
            return False
        self.session.count_pulses({device.name: 1})  # its second reset
        return True

    def _cycle(self, plan: _Plan, device: Device, number: int) -> Steps:
        """Reset, read, write, read; each action on its own, with the source off before and after."""
        row, column = plan.cycle(number)
        journal = self.journal
        v_reset = math.nan
        for attempt in range(RESETS):
            if attempt:
                self.session.count_pulses({device.name: 1})
            yield self._due(device)
            self._pulse(device, plan.i_reset[column])
            yield self._due(device)
            v_reset = self._read(device, plan.i_read)
            if self._side(device, v_reset) in (None, self.bench.polarity.reset_state):
                break
        else:
            raise _Spoiled(f"{RESETS} reset pulses did not reset it (reads {v_reset:.3g} V)")
        yield self._due(device)
        self._pulse(device, float(plan.i_write[row, column]), lambda: journal.fire(plan.name, number))
        yield self._due(device)
        v_write = self._read(device, plan.i_read)
        if self._side(device, v_write) == 0:
            raise _Spoiled(f"reads {v_write:.3g} V, which is neither of its levels")
        journal.result(plan.name, number, [v_reset, v_write])
        self.session.done(journal.key, plan.name)

    def _due(self, device: Device) -> float:
        return self.session.ready.get(device.name, self.session.rested)

    def _rest(self, device: Device) -> None:
        self.session.ready[device.name] = self.session.instruments.clock.now() + self.bench.timing.gap

    def _pulse(self, device: Device, current: float, note: Callable[[], None] = lambda: None) -> None:
        """One pulse; ``note`` is called when all is ready, immediately before it is fired."""
        self.session.check()
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
            raise _Hit(f"a pulse of {current:.4g} A ran into the compliance: open, or a bad contact")

    def _read(self, device: Device, current: float) -> float:
        """A valid reading, V; an invalid or undecided one is read again once."""
        instruments = self.session.instruments
        self.session.lease.check()
        self.session.route(device)
        rest = self.bench.timing.read_time - instruments.meter.reading_time
        try:
            for attempt in (1, 2):
                instruments.source.read_on(current)
                try:
                    instruments.clock.sleep(rest)
                    reading = instruments.meter.read()
                finally:
                    hit = instruments.source.read_off()
                if hit:
                    raise _Hit(f"the read current of {current:.4g} A ran into the compliance: open, or a bad contact")
                if reading.valid and (self._side(device, reading.volts) != 0 or attempt == 2):
                    break
        finally:
            self._rest(device)
        if not reading.valid:
            raise _Spoiled(f"no valid reading: {reading.reason}")
        return float(reading.volts)

    def _side(self, device: Device, volts: float) -> int | None:
        """Which level a reading is at, None while the levels are not known."""
        levels = self.levels.get(device.name)
        return None if levels is None else levels.side(volts)

    def _strike(self, plan: _Plan, device: Device, number: int, reason: str) -> None:
        self.journal.lose(plan.name, number, reason)
        self._strikes[device.name] += 1
        if self._strikes[device.name] >= STRIKES:
            self.quarantined[device.name] = f"{STRIKES} cycles in a row were spoiled, the last: {reason}"

    def _stop(self, plan: _Plan, number: int, error: InstrumentFault) -> NoReturn:
        """An instrument is not to be trusted: nothing more is fired."""
        if number in self.journal.trains[plan.name].fired:
            self.journal.lose(plan.name, number, str(error))
        self.session.safe()
        raise error

    def _await_interlock(self, plan: _Plan) -> None:
        """Wait until a human has closed the interlock, with the source off; then set everything up again."""
        while True:
            self.session.check()
            self.session.tell(self.journal.key, f"{plan.name}, waiting: the interlock is open, close it")
            time.sleep(INTERLOCK)
            with suppress(InterlockOpen):
                self.session.open()
                return

    def _reconnect(self, error: ConnectionLost | InstrumentFault) -> None:
        self._reconnects += 1
        if self._reconnects > RECONNECTS:
            raise error
        self.session.open()

    def _train(self, plan: _Plan) -> PulseTrain:
        record = self.journal.trains[plan.name]
        both = np.full((2, *plan.i_write.shape), np.nan)
        for number, volts in record.results.items():
            both[(slice(None), *plan.cycle(number))] = volts
        lost = {plan.cycle(number): reason for number, reason in record.lost.items()}
        here = {d.name for d in plan.devices}
        faults = {name: reason for name, reason in self.quarantined.items() if name in here}
        train = PulseTrain(both[0], both[1], lost, faults)
        self._track(plan, train)
        return train

    def _track(self, plan: _Plan, train: PulseTrain) -> None:
        """Let the levels of each device follow its readings."""
        for name in {d.name for d in plan.devices} & set(self.levels):
            columns = [j for j, d in enumerate(plan.devices) if d.name == name]
            volts = np.concatenate([train.v_reset[:, columns].ravel(), train.v_write[:, columns].ravel()])
            sides = np.array([self.levels[name].side(v) if math.isfinite(v) else 0 for v in volts.tolist()])
            if min((sides < 0).sum(), (sides > 0).sum()) >= TRACKED:
                self.levels[name] = Levels(float(volts[sides < 0].mean()), float(volts[sides > 0].mean()))
