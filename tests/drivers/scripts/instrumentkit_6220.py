"""The current of InstrumentKit's Keithley 6220, set, read and switched off.

    instrumentkit_6220.py SOURCE

Prints as JSON: the identity, currents that were set and read (A), its limits, what it reads after `disable`.
"""

from __future__ import annotations

import json
import sys
import warnings

warnings.simplefilter("ignore")

import quantities  # noqa: E402

import instruments  # noqa: E402


def main() -> None:
    host, port = sys.argv[1].split("::")[1:3]
    source = instruments.keithley.Keithley6220.open_tcpip(host, int(port))
    source.terminator = "\n"
    currents = []
    for current in (0.01, -0.05, 1e-9, 0.1):
        source.current = current * quantities.amp
        currents.append([current, float(source.current)])
    limits = [float(source.current_min), float(source.current_max)]
    source.sendcmd("OUTP 1")
    source.disable()
    print(json.dumps({"name": source.name, "currents": currents, "limits": limits, "off": source.query("OUTP?")}))


main()
