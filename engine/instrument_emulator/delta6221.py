"""What a 6221 needs a 2182A for: delta modes, their readings and buffer.

They are not emulated, also with a 2182A at the serial port.  Arming gives -241 (hardware missing), reading without a
delta mode -221 (6220/6221 user's manual p. 5-41), and the buffer is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from instrument_emulator.scpi import Command, refuse


def commands(connected: Callable[[], bool]) -> Iterator[Command]:
    """Its commands; the settings are in ``settings6221``.  ``connected``: whether a 2182A is."""
    for mode in ("DELTa", "PDELta", "DCONductance"):
        path = f"SOURce[1]:{mode}"
        yield Command(f"{path}:NVPResent?", lambda: str(int(connected())), does="whether a 2182A is there")
        yield Command(f"{path}:ARM[:IMMediate]", refuse(-241), does="-241: no delta mode is emulated")
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
