"""Sets every parameter of QCoDeS' Keithley 2000 in every mode that has it, reads it back, and takes readings.

    qcodes_2000.py METER

Prints a JSON list: mode, parameter, value that was set, value that was read; and last the readings and errors.
"""

from __future__ import annotations

import json
import socket
import sys
import warnings

warnings.simplefilter("ignore")

from qcodes.instrument_drivers.Keithley import Keithley2000  # noqa: E402

ANYWHERE = {
    "display_enabled": (False, True),
    "trigger_count": (1, 9999),
    "trigger_delay": (0.0, 0.5, 0.0),
    "trigger_source": ("immediate", "timer", "manual", "bus", "external", "immediate"),
    "trigger_timer": (0.001, 10.0),
    "trigger_continuous": (True, False),
}
OF_A_MODE = {
    "nplc": (0.01, 1, 10),
    "auto_range_enabled": (True, False),
    "digits": (4, 7),
    "averaging_type": ("moving", "repeat"),
    "averaging_count": (1, 100),
    "averaging_enabled": (True, False),
}
RANGES = {"dc voltage": 0.1, "ac voltage": 10, "dc current": 1, "ac current": 1, "2w resistance": 1e4,
          "4w resistance": 1e4}  # fmt: skip


def main() -> None:
    meter = Keithley2000("meter", sys.argv[1], visalib="@py", reset=True)
    handle = meter.visa_handle  # small messages wait 40 ms for each other otherwise
    handle.visalib.sessions[handle.session].interface.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    tried = []

    def set_and_read(mode: str, name: str, value: object) -> None:
        meter.parameters[name](value)
        tried.append([mode, name, value, meter.parameters[name]()])

    for name, values in ANYWHERE.items():
        for value in values:
            set_and_read("any", name, value)
    for mode in (*RANGES, "temperature"):
        set_and_read(mode, "mode", mode)
        for name, values in OF_A_MODE.items():
            if mode == "temperature" and name.startswith("auto_range"):
                continue
            for value in values:
                set_and_read(mode, name, value)
        if mode in RANGES:
            set_and_read(mode, "range", RANGES[mode])
    set_and_read("frequency", "mode", "frequency")
    set_and_read("frequency", "digits", 6)
    set_and_read("any", "mode", "dc voltage")
    meter.trigger_count(1)
    readings = []
    for _ in range(3):
        meter.trigger()
        readings.append(meter.amplitude())
    meter.trigger_count("inf")
    infinite = meter.ask("TRIG:COUN?")
    print(json.dumps([*tried, [readings, infinite, meter.ask("SYST:ERR?"), meter.get_idn()]]))
    meter.close()


main()
