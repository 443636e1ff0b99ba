"""The pages about commands and faults, made from the tables that the emulator runs on.

    python -m instrument_emulator.pages

writes both beside the package's sources.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path

from instrument_emulator.circuit import Circuit
from instrument_emulator.clock import EmulatedClock
from instrument_emulator.faults import KINDS, FaultKind
from instrument_emulator.instrument import Instrument, ScpiSetting
from instrument_emulator.keithley2000 import EmulatedKeithley2000
from instrument_emulator.keithley6221 import EmulatedKeithley6221
from instrument_emulator.keithley7001 import EmulatedKeithley7001
from instrument_emulator.scpi import Command

FOLDER = Path(__file__).parent
MODELS: tuple[type[Instrument], ...] = (EmulatedKeithley6221, EmulatedKeithley2000, EmulatedKeithley7001)
BEGIN, END = "<!-- table of faults -->", "<!-- end of the table -->"

_HEAD = """\
# Commands of the emulated instruments

This page is made from the tables that the emulator runs on: `python -m instrument_emulator.pages` writes it, and a
test compares. The last column says what a command was checked against: a page of the manual, or a public driver that
sends it. Where it says "no page seen", nobody has compared it with a real instrument or its manual.

For all: messages follow IEEE 488.2 and SCPI-1999 (short and long forms, `;`, leading `:`). Numbers may have a unit
where one is shown (`5 mA`), other bases (`#HFF`, `#Q17`, `#B101`), and be one of the words `MIN`, `MAX`, `DEF`. A
setting has a query, which for a number takes these words as well (6221 reference manual p. 10-14). A colon before a
common command (`:*CLS`, which pymeasure sends) is a syntax error (-102), by IEEE 488.2. Other commands of the manuals
are unknown here: -113. Replies are ASCII.

"Kept" is what is set and read back, and has no effect here.
"""


class _Nothing:
    """No device at all."""

    def pulse(self, device: str, current: float, width: float) -> None:
        """Nothing feels it."""

    def voltage(self, device: str, current: float, nplc: float) -> float:
        return 0.0

    def resistance(self, device: str) -> float:
        return 1.0

    def state(self, device: str) -> None:
        return None


def commands_page() -> str:
    """``COMMANDS.md``."""
    return _HEAD + "".join(_section(model) for model in MODELS)


def faults_table() -> str:
    """The table of ``FAULTS.md``."""
    rows = (
        f"| `{name}` | {_plain(kind.effect)} | {_whose(kind)} | {_occasions(kind)} | {_values(kind)} |"
        for name, kind in KINDS.items()
    )
    head = "| fault | what happens | at | counted | values |\n|---|---|---|---|---|\n"
    return head + "".join(f"{row}\n" for row in rows)


def faults_page(page: str) -> str:
    """``FAULTS.md`` with its table as it is now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{faults_table()}\n{END}{after}"


def source_of(model: type[Instrument], pattern: str) -> str | None:
    """What the sources of a model say of a command: those of its longest beginning that has one."""
    known = [begin for begin in model.sources if pattern.startswith(begin)]
    return model.sources[max(known, key=len)] if known else None


def example(model: type[Instrument]) -> Instrument:
    """An instrument with nothing on its wires."""
    return model("example", "EMU0", Circuit(_Nothing(), {"a": frozenset()}, EmulatedClock()))


def _section(model: type[Instrument]) -> str:
    name = model.identity.split(",")[1].removeprefix("MODEL ")
    described = inspect.cleandoc(model.__doc__ or "").replace("``", "`").replace(".  ", ". ")
    head = f"\n## Keithley {name}\n\n{described}\n\n| command | here | checked against |\n|---|---|---|\n"
    return head + "".join(f"{row}\n" for row in _rows(model))


def _rows(model: type[Instrument]) -> Iterator[str]:
    patterns = {setting.pattern for setting in model.settings}
    others = [c for c in example(model).commands() if c.pattern.rstrip("?") not in patterns]
    both = {c.pattern for c in others}
    lines = [*((s.pattern, _setting(s)) for s in model.settings), *_commands(others, both)]
    for pattern, here in sorted(lines, key=lambda line: _place(line[0])):
        source = source_of(model, pattern)
        yield f"| `{pattern}` | {_plain(here)} | {_plain(str(source))} |"


def _commands(commands: Iterable[Command], both: set[str]) -> Iterator[tuple[str, str]]:
    """Commands that are no settings; a query is named with its command where that says nothing of its own."""
    for command in commands:
        is_query = command.pattern.endswith("?")
        if is_query and command.pattern[:-1] in both and not command.does:
            continue
        query = "" if is_query or f"{command.pattern}?" not in both else "; has a query"
        yield command.pattern, f"{command.does or 'says it'}{query}"


def _setting(setting: ScpiSetting) -> str:
    preset = "" if setting.preset is None else f", {setting.kind.show(setting.preset)} after SYST:PRES"
    return f"{setting.kind}; {setting.kind.show(setting.default)} after *RST{preset}; {setting.acts or 'kept'}"


def _plain(text: str) -> str:
    """Text for a table in Markdown, in which two asterisks would make what is between them lean."""
    return text.replace("*", r"\*")


def _place(pattern: str) -> tuple[bool, str]:
    """Common commands first, then by the alphabet."""
    return not pattern.startswith("*"), pattern.replace("[", "").replace("]", "").upper()


def _whose(kind: FaultKind) -> str:
    return f"{', '.join(kind.roles) or 'any instrument'}{'; of a device' if kind.of_device else ''}"


def _occasions(kind: FaultKind) -> str:
    return "lasts; messages" if kind.lasting else "occasions"


def _values(kind: FaultKind) -> str:
    return ", ".join(f"`{key}={value}`" for key, value in kind.values.items()) or "none"


def main() -> None:
    """Write both pages."""
    (FOLDER / "COMMANDS.md").write_text(commands_page())
    page = FOLDER / "FAULTS.md"
    page.write_text(faults_page(page.read_text()))


if __name__ == "__main__":
    main()
