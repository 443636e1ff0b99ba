"""The paper's cycle of pulses and reads (Islam et al. 2024, section 4.3) on the devices of a bench.

A cycle: a reset pulse, a read, a write pulse, a read.  The journal knows of a write pulse before it leaves; see
:mod:`spinsweep.bench.trains` for what keeps it from being fired twice.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from spinsweep.bench import cycle_time
from spinsweep.bench.errors import DeviceFault, LimitError
from spinsweep.bench.journal import TrainRecord
from spinsweep.bench.parts import Check, Device, Timing
from spinsweep.bench.session import BenchSession
from spinsweep.bench.trains import Currents, Spoiled, Steps, TrainRequest, Trains

Floats = npt.NDArray[np.float64]

MAX_RESETS = 3  # reset pulses of one cycle before its device counts as not resetting
CALIBRATION_CYCLES = 5  # that find a device's two levels
LEAST_CONTRAST = 8.0  # distance of the two levels in standard deviations of a reading
LEAST_TRACKED = 5  # readings of each level from which a train moves the levels


@dataclass(frozen=True)
class VoltageLevels:
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
    measured: list[dict[str, float]] = field(default_factory=list)
    """By column, what the auxiliary instruments of the bench measured at its begin and end."""


class PulseTrains(Trains):
    """Trains of such cycles, whose readings are decided against the two levels of each device."""

    def __init__(self, session: BenchSession, key: str) -> None:
        super().__init__(session, key)
        self.levels: dict[str, VoltageLevels] = {}
        """Of calibrated devices, by name."""

    def levels_of(self, device: str) -> Mapping[str, float]:
        """Its two levels, V, once they are known."""
        levels = self.levels.get(device)
        return {} if levels is None else {"low": levels.low, "high": levels.high}

    def calibrate(self, device: str, i_strong: float, i_reset: float, i_read: float) -> VoltageLevels:
        """Find the two levels of a device with a few write pulses that switch for sure.

        Levels from an earlier lane are taken from the journal; where it got none, the pulses are fired once more.

        Raises
        ------
        DeviceFault
            The two levels are not distinct: the device is short, open or stuck, or its wiring is wrong.
        """
        for attempt in itertools.count(1):
            name = f"levels of {device}, {attempt}"
            known = name in self.journal.trains
            try:
                writes = np.full((CALIBRATION_CYCLES, 1), i_strong)
                levels = self._levels(device, self.run(name, [device], writes, [i_reset], i_read))
            except DeviceFault as error:
                if known:
                    continue
                self.quarantined[device] = str(error)
                raise
            break
        self.levels[device] = levels
        return levels

    def _levels(self, device: str, train: PulseTrain) -> VoltageLevels:
        """The levels in a calibration's readings."""
        reset, write = train.v_reset[:, 0], train.v_write[:, 0]
        is_valid = np.isfinite(reset) & np.isfinite(write)
        if not is_valid.any():
            raise DeviceFault(f"device {device}: no reading of its calibration is valid")
        a, b = float(np.median(reset[is_valid])), float(np.median(write[is_valid]))
        noise = float(np.sqrt((np.var(reset[is_valid]) + np.var(write[is_valid])) / 2))
        reset_state = self.bench.polarity.reset_state
        if abs(b - a) < LEAST_CONTRAST * noise or a == b:
            raise DeviceFault(
                f"device {device}: reset and written state read alike, {a:.3g} V and {b:.3g} V "
                f"(noise {noise:.2g} V): short, stuck, or not switched by these pulses"
            )
        if (a > b) != (reset_state > 0):
            raise DeviceFault(
                f"device {device}: reset reads {a:.3g} V, written {b:.3g} V, but polarity.reset_state = "
                f"{reset_state} says that reset is the {'high' if reset_state > 0 else 'low'} one"
            )
        return VoltageLevels(min(a, b), max(a, b))

    def run(
        self,
        name: str,
        devices: Sequence[str],
        i_write: npt.ArrayLike,
        i_reset: Sequence[float],
        i_read: float,
        *,
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
        LimitError, DeviceFault, BenchError, InstrumentFault, ConnectionLost
            As :meth:`~spinsweep.bench.trains.Trains.fire`.
        """
        columns, writes = [self.bench.named(d) for d in devices], np.asarray(i_write, float)
        if writes.ndim != 2 or writes.shape[1] != len(columns) or not writes.size:
            raise LimitError(f"train {name!r}: i_write has shape {writes.shape}, not (cycles, devices)")
        train = TrainRequest(
            name,
            [columns[number % len(columns)] for number in range(writes.size)],
            list(self._currents(columns, writes, i_reset, i_read)),
            {
                "cycles": writes.size,
                "devices": [d.name for d in columns],
                "i_write": writes.tolist(),
                "i_reset": [float(i) for i in i_reset],
                "i_read": float(i_read),
                "width": self.bench.timing.pulse_width,
            },
            pulses_per_cycle=2,
            leave_out=leave_out,
        )

        def cycle(device: Device, number: int) -> Steps:
            row, column = divmod(number, len(columns))
            return self._cycle(name, number, device, (i_reset[column], float(writes[row, column]), i_read))

        return self._read_back(columns, writes.shape, self.fire(train, cycle))

    def _currents(
        self, columns: Sequence[Device], i_write: Floats, i_reset: Sequence[float], i_read: float
    ) -> Iterator[Currents]:
        """All currents of a train, for the limits."""
        reset_sign = self.bench.polarity.reset_pulse
        for column, device in enumerate(columns):
            yield Currents("i_write", device, i_write[:, column].tolist(), pulsed=True, sign=-reset_sign)
            yield Currents("i_reset", device, [float(i_reset[column])], pulsed=True, sign=reset_sign)
            yield Currents("i_read", device, [float(i_read)], pulsed=False)

    def _cycle(self, train: str, number: int, device: Device, currents: tuple[float, float, float]) -> Steps:
        """Reset, read, write, read; each action on its own, with the source off before and after."""
        journal = self.journal
        i_reset, i_write, i_read = currents
        v_reset = math.nan
        for attempt in range(MAX_RESETS):
            if attempt:
                self.session.count_pulses({device.name: 1})
            yield self.due(device)
            self.pulse(device, i_reset)
            yield self.due(device)
            v_reset = self._read(device, i_read)
            if self._side(device, v_reset) in (None, self.bench.polarity.reset_state):
                break
        else:
            raise Spoiled(f"{MAX_RESETS} reset pulses did not reset it (reads {v_reset:.3g} V)")
        yield self.due(device)
        self.pulse(device, i_write, lambda: journal.fire(train, number))
        yield self.due(device)
        v_write = self._read(device, i_read)
        if self._side(device, v_write) == 0:
            raise Spoiled(f"reads {v_write:.3g} V, which is neither of its levels")
        journal.result(train, number, [v_reset, v_write])
        self.session.done(journal.key, train)

    def _read(self, device: Device, current: float) -> float:
        return self.read(device, current, lambda volts: self._side(device, volts) != 0)

    def _side(self, device: Device, volts: float) -> int | None:
        """Which level a reading is at, None while the levels are not known."""
        levels = self.levels.get(device.name)
        return None if levels is None else levels.side(volts)

    def _read_back(self, columns: Sequence[Device], shape: tuple[int, int], record: TrainRecord) -> PulseTrain:
        """What the journal holds of a train."""
        both = np.full((2, *shape), np.nan)
        for number, volts in record.results.items():
            both[(slice(None), *divmod(number, len(columns)))] = volts
        lost = {divmod(number, len(columns)): reason for number, reason in record.lost.items()}
        names = {d.name for d in columns}
        faults = {name: reason for name, reason in self.quarantined.items() if name in names}
        train = PulseTrain(both[0], both[1], lost, faults, record.measured)
        self._track(columns, train)
        return train

    def _track(self, columns: Sequence[Device], train: PulseTrain) -> None:
        """Let the levels of each device follow its readings."""
        for name in {d.name for d in columns} & set(self.levels):
            its_columns = [j for j, d in enumerate(columns) if d.name == name]
            volts = np.concatenate([train.v_reset[:, its_columns].ravel(), train.v_write[:, its_columns].ravel()])
            sides = np.array([self.levels[name].side(v) if math.isfinite(v) else 0 for v in volts.tolist()])
            if min((sides < 0).sum(), (sides > 0).sum()) >= LEAST_TRACKED:
                self.levels[name] = VoltageLevels(float(volts[sides < 0].mean()), float(volts[sides > 0].mean()))


class ResetReadWriteRead:
    """The cycle as ``spinsweep bench check`` and ``spinsweep bench plan`` know it."""

    trial_columns = ("read noise", "low", "high", "contrast", "cycle")
    trial_cycles = CALIBRATION_CYCLES
    pulses = 2
    actions = 4

    def time(self, timing: Timing) -> float:
        """Time of one cycle, bench s."""
        return self.busy_time(timing) + 4 * timing.gap

    def busy_time(self, timing: Timing) -> float:
        """Of it, how long the source is used, bench s."""
        return 2 * (timing.pulse_width + timing.read_time)

    def describe(self, timing: Timing) -> str:
        """What a cycle consists of."""
        return f"2 pulses of {timing.pulse_width:g} s, 2 reads of {timing.read_time:g} s, 4 rests of {timing.gap:g} s"

    def try_device(self, session: BenchSession, device: Device, trial: Check) -> list[str]:
        """A device's read noise, levels, contrast and real time of a cycle, from a few cycles."""
        sign = session.bench.polarity.reset_pulse
        with PulseTrains(session, f"check {session.lease.epoch}") as trains:
            began = session.instruments.clock.now()
            levels = trains.calibrate(device.name, -sign * trial.pulse, sign * trial.pulse, trial.read)
            (record,) = (r for r in trains.journal.trains.values() if r.plan["devices"] == [device.name])
            took = (session.instruments.clock.now() - began) / record.length / session.bench.timing.speed
            volts = np.array(list(record.results.values()))
        cycle_time.note(session.bench, type(self).__name__, took, device.name)
        noise = float(np.sqrt(np.mean(np.var(volts, axis=0, ddof=1)))) if len(volts) > 1 else float("nan")
        contrast = levels.high - levels.low
        return [
            f"{noise:.2g} V",
            f"{levels.low / trial.read:.4g} ohm",
            f"{levels.high / trial.read:.4g} ohm",
            f"{contrast / trial.read:.4g} ohm" + (f" = {contrast / noise:.0f} sigma" if noise > 0 else ""),
            f"{took:.3g} s",
        ]
