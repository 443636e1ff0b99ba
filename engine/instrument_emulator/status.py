"""The status of an instrument: error queue, event registers, status byte (IEEE 488.2, SCPI-1999 volume 1, 9)."""

from __future__ import annotations

from collections import deque

from instrument_emulator.scpi import ERRORS

QUEUE_LENGTH = 10  # errors that the queue holds (Keithley 2000 manual p. 5-63)

OPERATION_COMPLETE, QUERY_ERROR, DEVICE_ERROR, EXECUTION_ERROR, COMMAND_ERROR = 1, 4, 8, 16, 32
USER_REQUEST, POWER_ON = 64, 128
"""Bits of the standard event register."""

_EVENTS = (
    (range(-199, -99), COMMAND_ERROR),
    (range(-299, -199), EXECUTION_ERROR),
    (range(-499, -399), QUERY_ERROR),
    (range(401, 421), EXECUTION_ERROR),  # 6221 reference manual p. 11-11
    (range(800, 900), EXECUTION_ERROR),  # 2400 user's manual p. B-6
)
"""Standard event of each error; all others are of the device (SCPI-1999 volume 2, 21.8.2)."""

MEASUREMENT_SUMMARY, ERROR_AVAILABLE, QUESTIONABLE_SUMMARY = 1, 4, 8
EVENT_SUMMARY, MASTER_SUMMARY, OPERATION_SUMMARY = 32, 64, 128
"""Bits of the status byte."""


class Register:
    """A condition register whose rising bits are kept as events until they are read."""

    def __init__(self) -> None:
        self.condition = self.event = self.enable = 0

    def put(self, bit: int, *, on: bool) -> None:
        """Set or clear a bit of the condition, counted from 0."""
        mask = 1 << bit
        if on and not self.condition & mask:
            self.event |= mask
        self.condition = self.condition | mask if on else self.condition & ~mask

    def take(self) -> int:
        """The events since the last time, which are cleared."""
        event, self.event = self.event, 0
        return event


class Status:
    """Everything of an instrument that ``*RST`` leaves alone; as after power-on.

    ``overflow`` is the error that takes the last place of a queue that is full.
    """

    def __init__(self, overflow: int = 350) -> None:
        self._overflow = overflow
        self.errors: deque[int] = deque()
        self.events = POWER_ON
        self.event_enable = self.service_enable = 0
        self.operation, self.measurement, self.questionable = Register(), Register(), Register()

    def error(self, code: int) -> None:
        """Queue an error, with its standard event; one too many turns the last into the overflow."""
        if len(self.errors) < QUEUE_LENGTH:
            self.errors.append(code)
        else:
            self.errors[-1] = self._overflow
        self.events |= next((bit for codes, bit in _EVENTS if code in codes), DEVICE_ERROR)

    def next_error(self) -> str:
        """The oldest error as ``code,"text"``, taken from the queue."""
        if not self.errors:
            return '0,"No error"'
        code = self.errors.popleft()
        return f'{code},"{ERRORS[code]}"'

    def take_events(self) -> int:
        """The standard events, which are cleared."""
        events, self.events = self.events, 0
        return events

    def clear(self) -> None:
        """``*CLS``: no events, no errors; conditions and enable registers stay."""
        self.errors.clear()
        self.events = 0
        for register in (self.operation, self.measurement, self.questionable):
            register.event = 0

    def preset(self) -> None:
        """``STATus:PRESet``: nothing of the SCPI registers is summarised."""
        for register in (self.operation, self.measurement, self.questionable):
            register.enable = 0

    def byte(self) -> int:
        """The status byte; bit 4 (message available) has no meaning on a socket and stays 0."""
        summary = {
            MEASUREMENT_SUMMARY: self.measurement.event & self.measurement.enable,
            ERROR_AVAILABLE: len(self.errors),
            QUESTIONABLE_SUMMARY: self.questionable.event & self.questionable.enable,
            EVENT_SUMMARY: self.events & self.event_enable,
            OPERATION_SUMMARY: self.operation.event & self.operation.enable,
        }
        byte = sum(bit for bit, on in summary.items() if on)
        return byte | (MASTER_SUMMARY if byte & self.service_enable else 0)
