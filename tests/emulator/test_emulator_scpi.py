"""The message rules of IEEE 488.2 and SCPI."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.two_resistors import one_resistor
from instrument_emulator.instrument import Instrument
from instrument_emulator.keithley2000 import EmulatedKeithley2000
from instrument_emulator.keithley6221 import EmulatedKeithley6221
from instrument_emulator.keithley7001 import EmulatedKeithley7001, channels
from instrument_emulator.scpi import ERRORS, Command, Language, ScpiError, split
from instrument_emulator.values import INFINITE, Choice, Real, exactly_one


def instruments() -> list[Instrument]:
    return [
        kind("source", "EMU1", one_resistor(1e6))
        for kind in (EmulatedKeithley6221, EmulatedKeithley2000, EmulatedKeithley7001)
    ]


COMMANDS = [(kind, command) for kind in instruments() for command in kind.commands()]


def _walk(pattern: str, draw: st.DrawFn) -> str:
    """One way to write a header: optional parts or not, each mnemonic short or long, any case."""
    while optional := re.search(r"\[([^][]*)\]", pattern):
        pattern = pattern.replace(optional[0], optional[1] if draw(st.booleans()) else "", 1)
    words = re.split(r"([A-Za-z]+)", pattern)
    for at in range(1, len(words), 2):
        short = "".join(c for c in words[at] if c.isupper())
        words[at] = short if draw(st.booleans()) else words[at]
    text = "".join(words)
    return draw(st.sampled_from((text, text.upper(), text.lower(), text.swapcase())))


@given(st.data(), st.sampled_from(COMMANDS))
def test_every_way_to_write_a_header_finds_the_same_command(
    data: st.DataObject, chosen: tuple[Instrument, Command]
) -> None:
    instrument, command = chosen
    header = _walk(command.pattern, data.draw)
    found = Language(instrument.commands()).resolve(header.upper())
    assert found is not None
    assert found.pattern == command.pattern


@given(st.data())
def test_a_mnemonic_between_short_and_long_form_is_none(data: st.DataObject) -> None:
    word = data.draw(st.sampled_from(("COMPliance", "FREQuency", "AMPLitude", "FUNCtion")))
    short = "".join(c for c in word if c.isupper())
    cut = data.draw(st.integers(1, len(word) - 1).filter(lambda n: n != len(short)))
    language = Language([Command(word, lambda: None)])
    assert language.resolve(word[:cut].upper()) is None


WAVE = {"FREQ": "5000", "AMPL": "1E-3", "OFFS": "1E-4", "DUR:CYCL": "2", "EXTR:IVAL": "0.5", "PMAR:STAT": "1"}


@given(st.lists(st.sampled_from(list(WAVE)), min_size=1, max_size=6), st.data())
def test_headers_continue_at_the_level_of_the_one_before(names: list[str], data: st.DataObject) -> None:
    level, units = "", []
    for name in names:
        full = f"SOUR:WAVE:{name}"
        relative = level and full.startswith(level) and data.draw(st.booleans())
        units.append(f"{full[len(level) :] if relative else ':' + full} {WAVE[name]}")
        level = full.rpartition(":")[0] + ":"
        if data.draw(st.booleans()):
            units.append("*WAI")  # leaves the level alone
    short, long = (EmulatedKeithley6221("source", "EMU1", one_resistor()) for _ in range(2))
    assert short.execute(";".join(units)) == long.execute(";".join(f":SOUR:WAVE:{n} {WAVE[n]}" for n in names)) == ""
    assert short.execute("STAT:QUE?") == '0,"No error"'
    assert short.values == long.values


@given(st.text(st.characters(codec="ascii", exclude_categories=()), max_size=80))
def test_no_text_whatever_makes_an_instrument_fail(text: str) -> None:
    for instrument in instruments():
        instrument.execute(text)
        assert instrument.execute("*OPC?") == "1"


@given(st.lists(st.sampled_from(["a", ";", ",", '"b;c"', "'d,;'", "(@1!1,1!2)", " "])), st.sampled_from(";,"))
def test_a_message_is_cut_at_separators_outside_of_quotes_and_parentheses(parts: list[str], separator: str) -> None:
    pieces = split("".join(parts), separator)
    assert separator.join(pieces) == "".join(parts)
    assert len(pieces) == 1 + parts.count(separator)


def test_replies_of_one_message_come_in_one_line() -> None:
    source = EmulatedKeithley6221("source", "EMU1", one_resistor())
    assert source.execute("*OPC?;:SOUR:CURR:COMP?;RANG?;*OPC?") == "1;1.000000E+01;1.000000E-01;1"
    assert source.execute("SOUR:CURR 0") == ""


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (":SOUR:CURR:NONSENSE 1", -113),
        (":SOUR:CURR:COMP", -109),
        (":SOUR:CURR:COMP 1,2", -108),
        (":SOUR:CURR:COMP 1,,2", -109),
        (":SOUR:CURR:COMP abc", -104),
        ("SOUR::CURR 1", -102),
        (":*OPC?", -102),
        ("*OPC? 1", -108),
        (":SOUR:CURR:COMP 1\x07", -101),
        (":SOUR:CURR:COMP 1\u00e9", -101),
        (":OUTP:RESP 1", -104),
    ],
)
def test_a_command_error_drops_the_rest_of_the_message(message: str, error: int) -> None:
    source = EmulatedKeithley6221("source", "EMU1", one_resistor())
    source.execute("*CLS")
    assert source.execute(f":SOUR:CURR:FILT 1;*OPC?;{message};*OPC?;:SOUR:CURR:FILT 0") == "1"
    assert source.execute("STAT:QUE?;*ESR?").startswith(f"{error},")
    assert source.values["filter"] is True


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("SOUR:CURR:COMP 106", -222),
        ("SOUR:CURR:COMP 1e999", -222),
        ("OUTP:RESP MEDIUM", -224),
        ("SOUR:WAVE:ARB:DATA " + ",".join(["0"] * 101), -223),
        ("SOUR:WAVE:INIT", -221),
    ],
)
def test_after_an_execution_error_the_message_goes_on(message: str, error: int) -> None:
    source = EmulatedKeithley6221("source", "EMU1", one_resistor())
    source.execute("*CLS")
    assert source.execute(f"{message};*OPC?;:STAT:QUE?;*ESR?") == f'1;{error},"{ERRORS[error]}";16'


def test_numbers_may_be_words() -> None:
    kind = Real(1.0, 5.0, infinite=True)
    assert [kind.read(word) for word in ("MIN", "maximum", "INF", "9.9E37", "+.2E1")] == [
        1.0,
        5.0,
        INFINITE,
        INFINITE,
        2.0,
    ]
    with pytest.raises(ScpiError):
        Real(1.0, 5.0).read("INF")


def test_words_are_answered_in_their_short_form() -> None:
    choice = Choice("BEST", "FIXed", "ARBitrary0")
    assert [choice.show(choice.read(word)) for word in ("FIXED", "fix", "arbitrary0", "Best")] == [
        "FIX",
        "FIX",
        "ARB0",
        "BEST",
    ]


def test_a_message_is_compiled_once() -> None:
    language = Language([Command("LEVel", lambda value: None, exactly_one(Real(0.0, 1.0)))])
    assert language.compile("LEV 0.5;LEVEL 0.25") is language.compile("LEV 0.5;LEVEL 0.25")


def test_channel_lists_may_have_ranges_and_cross_cards() -> None:
    assert channels(["(@1!1, 1!39:2!2)"]) == ("1!1", "1!39", "1!40", "2!1", "2!2")


@pytest.mark.parametrize(("text", "code"), [("1!1", -104), ("(@1-1)", -102), ("(@3!1)", -222), ("(@1!41)", -222)])
def test_what_is_no_channel_list_is_refused(text: str, code: int) -> None:
    with pytest.raises(ScpiError) as refused:
        channels([text])
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("text", "volts"), [("5", 5.0), ("5 V", 5.0), ("5000mV", 5.0), ("5E3 MV", 5.0), ("0.005 kV", 5.0), ("DEF", 10.0),
                        ("MIN", 0.1), ("MAXimum", 105.0), ("#H0A", 10.0), ("#B101", 5.0), ("#q17", 15.0)],
)  # fmt: skip
def test_a_number_may_have_a_unit_or_another_base_or_be_a_word(text: str, volts: float) -> None:
    source = EmulatedKeithley6221("source", "EMU1", one_resistor())
    source.execute("*CLS")
    assert float(source.execute(f"SOUR:CURR:COMP {text};COMP?")) == pytest.approx(volts)
    assert source.execute("STAT:QUE?").startswith("0,")


@pytest.mark.parametrize(
    ("text", "error"),
    [("5 A", -131), ("5 XV", -131), ("#X1", -104), ("#B2", -104), ("#H", -104), ("#", -104), ("DEFA", -104)],
)
def test_what_is_no_number_is_refused(text: str, error: int) -> None:
    source = EmulatedKeithley6221("source", "EMU1", one_resistor())
    source.execute(f"*CLS;:SOUR:CURR:COMP {text}")
    assert source.execute("STAT:QUE?").startswith(f"{error},")
    source.execute("SOUR:SWE:POIN 5 V")
    assert source.execute("STAT:QUE?").startswith("-138,")


def test_megahertz_and_milliampere_are_told_apart() -> None:
    assert Real(0.0, 1e9, unit="HZ").read("1 MHZ") == 1e6
    assert Real(0.0, 1e9, unit="A").read("1 MA") == 1e-3
    assert Real(0.0, 1e9, unit="V").read("1 MAV") == 1e6


def shortest(pattern: str) -> str:
    """A header without its optional parts."""
    while optional := re.search(r"\[[^][]*\]", pattern):
        pattern = pattern.replace(optional[0], "", 1)
    return pattern


def test_no_command_hides_another() -> None:
    for instrument in instruments():
        language = Language(instrument.commands())
        for command in instrument.commands():
            found = language.resolve(shortest(command.pattern).upper())
            assert found is not None
            assert found.pattern == command.pattern


MODELS = {instrument.identity.split(",")[1]: instrument for instrument in instruments()}


@pytest.mark.parametrize("instrument", MODELS.values(), ids=list(MODELS))
def test_a_setting_that_is_a_number_says_its_limits_and_its_default(instrument: Instrument) -> None:
    for setting in instrument.settings:
        header = shortest(setting.pattern)
        replies = instrument.execute(f"*CLS;:{header}? MIN;:{header}? MAX;:{header}? DEF;:{header}?").split(";")
        if hasattr(setting.kind, "limit"):
            shown = setting.kind.show
            assert replies[:2] == [shown(setting.kind.limit(most=most)) for most in (False, True)]
            assert replies[2] == shown(setting.default)
            assert instrument.execute("STAT:QUE?") == '0,"No error"'
        else:
            assert replies == [""], header
            assert instrument.execute("STAT:QUE?").startswith("-108")


@pytest.mark.parametrize("instrument", MODELS.values(), ids=list(MODELS))
def test_every_setting_takes_its_default_and_gives_it_back(instrument: Instrument) -> None:
    for setting in instrument.settings:
        header = shortest(setting.pattern)
        shown = setting.kind.show(setting.default)
        reply = instrument.execute(f"*RST;*CLS;:{header} {shown};:{header}?;:STAT:QUE?")
        assert reply == f'{shown};0,"No error"', header
