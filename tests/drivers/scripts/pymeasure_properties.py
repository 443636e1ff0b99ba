"""Reads every property of a pymeasure driver, sets it where it can be set, and reads it back.

    pymeasure_properties.py CLASS ADDRESS

Prints a JSON list of attempts: property, value that was set (null: only read), value that was read or the error, and
the errors that the instrument reports.
"""

from __future__ import annotations

import inspect
import json
import socket
import sys
import warnings

warnings.simplefilter("ignore")

from pymeasure.instruments import keithley  # noqa: E402
from pyvisa.errors import VisaIOError  # noqa: E402

NOT_OF_THE_WIRE = {"adapter", "SCPI", "is_shut_down"}


def candidates(values: object, present: object) -> list[object]:
    """Values that a property can be set to: all words of a mapping, or the limits and a value between."""
    if isinstance(values, dict):
        return list(values)
    if isinstance(values, tuple) and values and isinstance(values[0], (list, tuple)):  # a range, or words
        return [*candidates(list(values[0]), present), *values[1]]
    numbers = list(values) if isinstance(values, (list, tuple, range)) else []
    if len(numbers) == 2:
        low, high = numbers
        between = low + (high - low) / 4 if isinstance(low + high, float) else low + (high - low) // 4
        return [low, between, high]
    return numbers or [present]


def main() -> None:
    driver = getattr(keithley, sys.argv[1])
    terminated = {"read_termination": "\n", "write_termination": "\n"}
    instrument = driver(sys.argv[2], visa_library="@py", timeout=1000, **terminated)
    connection = instrument.adapter.connection  # small messages wait 40 ms for each other otherwise
    connection.visalib.sessions[connection.session].interface.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    instrument.reset()
    attempts = []

    def errors() -> list[str]:
        return [",".join(map(str, error)) for error in instrument.check_errors()]

    def read(name: str) -> object:
        try:
            value = getattr(instrument, name)
        except VisaIOError:
            instrument.adapter.connection.clear()
            return "no reply"
        return value.tolist() if hasattr(value, "tolist") else value

    for name, attribute in inspect.getmembers(driver, lambda member: isinstance(member, property)):
        if name in NOT_OF_THE_WIRE:
            continue
        instrument.write("*RST")  # no property stands in the way of another
        present = read(name)
        attempts.append([name, None, present, errors()])
        takes = inspect.signature(attribute.fset).parameters if attribute.fset else {}
        if "set_command" not in takes or takes["set_command"].default is None:
            continue
        for value in candidates(takes["values"].default, present):
            setattr(instrument, name, value)
            refused = errors()
            attempts.append([name, value, read(name), [*refused, *errors()]])
    instrument.shutdown()
    print(json.dumps(attempts))


main()
