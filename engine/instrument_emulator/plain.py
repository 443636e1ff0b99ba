"""Instruments that know the common commands of IEEE 488.2 and mnemonics of their own, but not SCPI."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from instrument_emulator.instrument import Instrument
from instrument_emulator.scpi import Command, Parse, ScpiError
from instrument_emulator.values import ParameterType


class PlainInstrument(Instrument):
    """No error queue and no status registers: errors are bits of ``*ESR?`` alone."""

    def commands(self) -> Iterator[Command]:
        yield from (command for command in super().commands() if command.pattern.startswith("*"))
        for setting in self.settings:
            yield Command(setting.pattern, self._setter(setting), each_of(setting.kind))
            yield Command(f"{setting.pattern}?", self._asker(setting))


def each_of(*kinds: ParameterType) -> Parse:
    """A command's parser for as many parameters as kinds, each of its own."""

    def parse(texts: Sequence[str]) -> tuple[Any, ...]:
        if len(texts) != len(kinds):
            raise ScpiError(-109 if len(texts) < len(kinds) else -108)
        return tuple(kind.read(text) for kind, text in zip(kinds, texts, strict=True))

    return parse
