"""What a 6221 would need a 2182A for: delta modes, their readings and buffer, and the serial port to it.

No 2182A is connected.  Arming gives -241 (hardware missing), reading without a delta mode -221 (6220/6221 user's
manual p. 5-41), and the buffer is empty.
"""

from __future__ import annotations

from collections.abc import Iterator

from instrument_emulator.scpi import Command, refuse
from instrument_emulator.values import QuotedText, exactly_one

_SERIAL = "SYSTem:COMMunicate:SERial"


def commands() -> Iterator[Command]:
    """Its commands; the settings are in ``settings6221``."""
    for mode in ("DELTa", "PDELta", "DCONductance"):
        path = f"SOURce[1]:{mode}"
        yield Command(f"{path}:NVPResent?", lambda: "0", does="0: no 2182A is connected")
        yield Command(f"{path}:ARM[:IMMediate]", refuse(-241), does="-241: no 2182A is connected")
        yield Command(f"{path}:ARM[:IMMediate]?", lambda: "0")
    for path in ("[SENSe[1]:]DATA", "CALCulate[1]:DATA"):
        yield Command(f"{path}[:LATest]?", refuse(-221), does="-221: no delta mode runs")
        yield Command(f"{path}:FRESh?", refuse(-221), does="-221: no delta mode runs")
    yield Command("TRACe:DATA[:VALue]?", refuse(-230), does="-230: the buffer is empty")
    yield Command("TRACe:DATA:TYPE?", lambda: "NONE")
    yield Command("TRACe:POINts:ACTual?", lambda: "0")
    yield Command("TRACe:FREE?", lambda: "2097152,0")
    yield Command("TRACe:CLEar", lambda: None, does="nothing: the buffer is empty")
    yield Command("CALCulate2:IMMediate", refuse(-230), does="-230: the buffer is empty")
    yield Command("CALCulate2:DATA?", refuse(-230), does="-230: the buffer is empty")
    yield Command("CALCulate3:LIMit[1]:FAIL?", lambda: "0")
    relay = "-241: nothing is connected to the serial port"
    yield Command(f"{_SERIAL}:SEND", refuse(-241), exactly_one(QuotedText(1024)), does=relay)
    yield Command(f"{_SERIAL}:ENTer?", refuse(-241), does=relay)
