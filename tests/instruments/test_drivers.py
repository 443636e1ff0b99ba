"""The drivers against an emulated bench in another process, over TCP, with everything that goes wrong on a bench."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator

import pytest
from emulated import COMPLIANCE, ENVELOPE, HIGH, LOW, RANGE, ROUTES, Drivers, Emulated, emulated_bench
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from spinsweep.bench.capabilities import Envelope
from spinsweep.bench.errors import ConnectionLost, InstrumentFault, LimitError
from spinsweep.bench.keithley6221 import LEAST_WIDTH
from spinsweep.bench.visa import Session

WRITE, RESET, READ, WIDTH = 1e-3, -1e-3, 5e-5, 1e-4


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    with emulated_bench(tmp_path_factory.mktemp("bench")) as running:
        yield running


@pytest.fixture
def drivers(emulated: Emulated) -> Iterator[Drivers]:
    """Started drivers at a bench without faults, device a connected and reset."""
    emulated.control.clear()
    drivers = Drivers(emulated)
    try:
        drivers.start()
        drivers.source.pulse(RESET, WIDTH)
        yield drivers
    finally:
        drivers.close()
        emulated.control.clear()


def pulses(emulated: Emulated) -> int:
    """How many pulses have passed any device so far."""
    return int(emulated.control.exposure()["overall"]["pulses"])


def is_safe(emulated: Emulated) -> bool:
    """No wave, no output, no current."""
    source = emulated.control.state()["source"]
    return source["wave"] == "idle" and not source["output"] and source["level"] == 0 == source["current"]


def read(drivers: Drivers) -> float:
    """One reading at the read current, V."""
    drivers.source.read_on(READ)
    try:
        reading = drivers.meter.read()
    finally:
        compliance = drivers.source.read_off()
    assert reading.valid
    assert not compliance
    return reading.volts


# What a bench is for.


def test_pulses_switch_a_device_and_reads_see_it(drivers: Drivers, emulated: Emulated) -> None:
    before = pulses(emulated)
    assert read(drivers) == pytest.approx(READ * LOW)
    assert drivers.source.pulse(WRITE, WIDTH).compliance is False
    assert read(drivers) == pytest.approx(READ * HIGH)
    drivers.source.pulse(RESET, WIDTH)
    assert read(drivers) == pytest.approx(READ * LOW)
    assert pulses(emulated) == before + 2
    assert is_safe(emulated)


def test_a_read_current_flows_until_it_is_switched_off(drivers: Drivers, emulated: Emulated) -> None:
    drivers.source.read_on(-READ)
    assert emulated.control.state()["source"]["current"] == -READ
    drivers.source.read_off()
    assert is_safe(emulated)


def test_an_amplitude_reaches_the_device_with_all_its_digits(drivers: Drivers, emulated: Emulated) -> None:
    current = math.nextafter(ENVELOPE.max_pulse, 0)
    drivers.source.pulse(current, WIDTH)
    assert emulated.control.exposure()["overall"]["max_requested"] == current


def test_the_call_before_firing_comes_before_the_pulse_and_only_if_it_comes(
    drivers: Drivers, emulated: Emulated
) -> None:
    seen: list[int] = []
    drivers.source.on_fire = lambda: seen.append(pulses(emulated))
    before = pulses(emulated)
    drivers.source.pulse(WRITE, WIDTH)
    assert (seen, pulses(emulated)) == ([before], before + 1)
    with pytest.raises(LimitError):
        drivers.source.pulse(1.0, WIDTH)
    emulated.control.set("interlock")
    with pytest.raises(InstrumentFault):
        drivers.source.pulse(WRITE, WIDTH)
    assert (seen, pulses(emulated)) == ([before], before + 1)


def test_a_failing_call_before_firing_stops_the_pulse(drivers: Drivers, emulated: Emulated) -> None:
    def full() -> None:
        raise OSError("no space left on device")

    before = pulses(emulated)
    drivers.source.on_fire = full
    with pytest.raises(OSError, match="no space"):
        drivers.source.pulse(WRITE, WIDTH)
    assert pulses(emulated) == before
    assert is_safe(emulated)


def test_one_device_is_connected_at_a_time_and_never_under_current(drivers: Drivers, emulated: Emulated) -> None:
    drivers.source.pulse(WRITE, WIDTH)
    drivers.switch.connect(ROUTES["b"])
    assert emulated.control.state()["switch"]["closed"] == sorted(ROUTES["b"])
    drivers.source.pulse(RESET, WIDTH)
    states = {name: device["state"] for name, device in emulated.control.state()["devices"].items()}
    assert states == {"a": True, "b": False}
    drivers.switch.open_all()
    assert emulated.control.state()["switch"]["closed"] == []
    exposure = emulated.control.exposure()["overall"]
    assert (exposure["hot_switchings"], exposure["two_connected"]) == (0, 0)


def test_a_cycle_of_reset_read_write_read_takes_few_messages(
    drivers: Drivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    ask = Session.ask

    def counted(self: Session, message: str, answers: int, wait: float = 0.0) -> list[str]:
        sent.append(message)
        return ask(self, message, answers, wait)

    monkeypatch.setattr(Session, "ask", counted)
    for current in (RESET, WRITE):
        drivers.source.pulse(current, WIDTH)
        read(drivers)
    assert len(sent) <= 14
    assert all("?" in message.rpartition(";")[2] for message in sent)


# Limits: nothing beyond them is sent.


@example(current=math.nextafter(ENVELOPE.max_pulse, 1), width=WIDTH)
@example(current=-ENVELOPE.max_pulse, width=ENVELOPE.max_width)
@example(current=0.105, width=WIDTH)
@example(current=math.nan, width=WIDTH)
@example(current=WRITE, width=math.nan)
@example(current=-math.inf, width=WIDTH)
@example(current=WRITE, width=math.nextafter(ENVELOPE.min_width, 0))
@example(current=0.0, width=WIDTH)
@given(
    current=st.one_of(st.floats(-2e-3, 2e-3), st.floats()),
    width=st.one_of(st.floats(4e-5, 2.5e-4), st.floats()),
)
@hypothesis_settings(max_examples=60)
def test_nothing_beyond_the_envelope_ever_reaches_the_wire(
    drivers: Drivers, emulated: Emulated, current: float, width: float
) -> None:
    before = pulses(emulated)
    allowed = (
        2e-12 <= abs(current) <= ENVELOPE.max_pulse and ENVELOPE.min_width <= width <= ENVELOPE.max_width
    )  # fmt: skip
    if allowed:
        drivers.source.pulse(current, width)
    else:
        with pytest.raises(LimitError, match=r"is refused, .* are allowed; nothing was sent") as refused:
            drivers.source.pulse(current, width)
        assert "\n" not in str(refused.value)
    exposure = emulated.control.exposure()["overall"]
    assert exposure["pulses"] == before + allowed
    assert exposure["max_requested"] <= ENVELOPE.max_pulse


@given(current=st.one_of(st.floats(-1e-4, 1e-4), st.floats()))
@hypothesis_settings(max_examples=40)
def test_no_read_current_beyond_the_envelope_ever_flows(drivers: Drivers, emulated: Emulated, current: float) -> None:
    if abs(current) <= ENVELOPE.max_read:
        drivers.source.read_on(current)
        drivers.source.read_off()
    else:
        with pytest.raises(LimitError, match=r"a read current .* is refused"):
            drivers.source.read_on(current)
    assert emulated.control.exposure()["overall"]["max_steady"] <= ENVELOPE.max_read
    assert is_safe(emulated)


def test_no_current_flows_before_limits_are_set(drivers: Drivers, emulated: Emulated) -> None:
    before = pulses(emulated)
    drivers.source.start(COMPLIANCE)
    for act in (lambda: drivers.source.pulse(WRITE, WIDTH), lambda: drivers.source.read_on(READ)):
        with pytest.raises(LimitError, match="before the limits of a device have been set"):
            act()
    with pytest.raises(LimitError, match=r"no range of 0\.003 A; it has 2e-09, .*, 0\.1"):
        drivers.source.limit(ENVELOPE, 3e-3)
    with pytest.raises(LimitError, match=r"a compliance of 10\.0 V is refused"):
        drivers.source.limit(ENVELOPE._replace(max_compliance=9.0), RANGE)
    with pytest.raises(LimitError, match="is not an envelope"):
        drivers.source.limit(ENVELOPE._replace(max_pulse=math.nan), RANGE)
    with pytest.raises(LimitError, match="before the limits"):
        drivers.source.pulse(WRITE, WIDTH)
    assert pulses(emulated) == before


@pytest.mark.parametrize("compliance", [0.05, 106.0, math.nan])
def test_a_compliance_that_the_source_does_not_have_is_refused(drivers: Drivers, compliance: float) -> None:
    with pytest.raises(LimitError, match=r"a compliance of .* V is refused, 0.1 to 105 V are allowed"):
        drivers.source.start(compliance)


def test_what_the_source_cannot_do_is_refused_even_if_the_limits_allow_it(drivers: Drivers) -> None:
    drivers.source.limit(Envelope(0.1, 0.1, 1e-6, 1.0, COMPLIANCE), 20e-6)
    with pytest.raises(LimitError, match=r"2\.1e-05 A are allowed"):
        drivers.source.pulse(1e-3, WIDTH)  # a fixed range would clip it
    with pytest.raises(LimitError, match=r"2\.1e-05 A are allowed"):
        drivers.source.read_on(1e-3)
    with pytest.raises(LimitError, match="5e-06 to 1 s are allowed"):
        drivers.source.pulse(1e-5, LEAST_WIDTH / 2)


# The table of failures: what a link does.


def test_a_bench_that_refuses_connections_is_tried_again_with_patience(emulated: Emulated) -> None:
    emulated.control.set("refuse", "source")
    session = Session(emulated.instrument("source"), "@py")
    with pytest.raises(ConnectionLost, match="tried for"):
        session.open(0.2)
    back = threading.Timer(0.3, emulated.control.clear)
    back.start()
    try:
        session.open(10)
        assert session.ask("*OPC?", 1) == ["1"]
    finally:
        back.join()
        session.close()


def test_a_second_client_waits_for_the_first_to_end(drivers: Drivers, emulated: Emulated) -> None:
    second = Session(emulated.instrument("source"), "@py")
    with pytest.raises(ConnectionLost):
        second.open(0.3)
    end = threading.Timer(0.3, drivers.sessions["source"].close)
    end.start()
    try:
        second.open(10)
    finally:
        end.join()
        second.close()


def test_a_source_that_refuses_for_a_while_after_its_client_died_is_reached_in_the_end(
    drivers: Drivers, emulated: Emulated
) -> None:
    emulated.control.set("hold", "source", seconds=0.5)
    drivers.sessions["source"].close()
    began = time.monotonic()
    drivers.sessions["source"].open(10)
    assert time.monotonic() - began > 0.3


@pytest.mark.parametrize("fault", ["drop", "reset", "partial", "stray", "garbage"])
@pytest.mark.parametrize("role", ["source", "meter"])
def test_a_link_out_of_step_is_given_up_and_works_again_after_the_handshake(
    emulated: Emulated, fault: str, role: str
) -> None:
    emulated.control.clear()
    drivers = Drivers(emulated, timeout=0.3)
    try:
        drivers.start()
        emulated.control.set(fault, role)
        with pytest.raises(ConnectionLost):
            [read(drivers) for _ in range(2)]  # a stray line may be seen only when the next message is due
        with pytest.raises(ConnectionLost, match="open it again"):
            read(drivers)
        drivers.close()
        drivers.start()
        drivers.source.pulse(RESET, WIDTH)
        assert read(drivers) == pytest.approx(READ * LOW)
        assert is_safe(emulated)
    finally:
        drivers.close()


def test_a_late_reply_is_not_taken_for_the_next_one(emulated: Emulated) -> None:
    emulated.control.clear()
    drivers = Drivers(emulated, timeout=0.2)
    try:
        drivers.start()
        drivers.source.pulse(RESET, WIDTH)
        drivers.source.read_on(READ)
        emulated.control.set("slow", "meter", seconds=0.5)
        with pytest.raises(ConnectionLost, match="no complete reply within"):
            drivers.meter.read()
        drivers.source.read_off()
        drivers.source.pulse(WRITE, WIDTH)
        drivers.sessions["meter"].open(5)
        drivers.meter.start()
        drivers.source.read_on(READ)
        assert drivers.meter.read().volts == pytest.approx(READ * HIGH)
    finally:
        drivers.close()


def test_a_carriage_return_before_the_line_feed_does_not_matter(drivers: Drivers, emulated: Emulated) -> None:
    for role in ("source", "meter", "switch"):
        emulated.control.set("crlf", role)
    drivers.close()
    drivers.start()
    drivers.source.pulse(WRITE, WIDTH)
    assert read(drivers) == pytest.approx(READ * HIGH)


def test_a_link_that_breaks_as_the_pulse_leaves_is_no_sign_that_none_was_fired(
    drivers: Drivers, emulated: Emulated
) -> None:
    before = pulses(emulated)
    emulated.control.set("drop", "source", match=":ARM")
    with pytest.raises(ConnectionLost) as lost:
        drivers.source.pulse(WRITE, WIDTH)
    assert "no pulse" not in str(lost.value)
    assert pulses(emulated) == before + 1


@pytest.mark.parametrize("role", ["source", "meter", "switch"])
def test_another_identity_is_refused(emulated: Emulated, role: str) -> None:
    emulated.control.clear()
    emulated.control.set("idn", role)
    session = Session(emulated.instrument(role), "@py")
    with pytest.raises(InstrumentFault, match=r"'ACME INC\.,MODEL 1,0,1' answered; the bench file says model"):
        session.open(30)
    emulated.control.clear()


def test_swapped_addresses_are_refused(emulated: Emulated) -> None:
    emulated.control.clear()
    emulated.control.set("swap", "source", other="meter")
    session = Session(emulated.instrument("meter"), "@py")
    with pytest.raises(InstrumentFault, match=r"MODEL 6221,EMU6221.* model 2000, serial EMU2000"):
        session.open(30)
    emulated.control.clear()


# What the source does.


def test_whatever_the_source_does_it_is_made_safe(drivers: Drivers, emulated: Emulated) -> None:
    ask = drivers.sessions["source"].ask
    ask(":SOUR:CURR 1e-5;:OUTP 1;*OPC?", 1)
    drivers.source.safe()
    assert is_safe(emulated)
    ask(
        ":SOUR:WAVE:ARB:DATA 1,0;:SOUR:WAVE:DUR:CYCL 1000;:SOUR:WAVE:FREQ 0.001;AMPL 1e-5;:SOUR:WAVE:ARM;INIT;*OPC?",
        1,
    )
    assert emulated.control.state()["source"]["wave"] == "running"
    drivers.source.safe()
    assert is_safe(emulated)


def test_an_output_that_was_left_on_survives_the_link_and_ends_with_the_next_handshake(
    drivers: Drivers, emulated: Emulated
) -> None:
    drivers.source.read_on(READ)
    drivers.close()
    assert emulated.control.state()["source"]["current"] == READ
    drivers.start()
    assert is_safe(emulated)
    assert emulated.control.exposure()["overall"]["hot_switchings"] == 0


def test_a_voltage_limit_that_a_pulse_runs_into_is_told(drivers: Drivers, emulated: Emulated) -> None:
    emulated.control.set("compliance", "source", fraction=0.2)
    assert drivers.source.pulse(WRITE, WIDTH).compliance is True
    assert drivers.source.pulse(WRITE, WIDTH).compliance is False


def test_an_open_contact_is_compliance_at_pulses_and_reads(drivers: Drivers, emulated: Emulated) -> None:
    emulated.control.set("open", device="a")
    assert drivers.source.pulse(WRITE, WIDTH).compliance is True
    drivers.source.read_on(READ)
    assert drivers.source.read_off() is True
    emulated.control.clear()
    drivers.source.read_on(READ)
    assert drivers.source.read_off() is False


def test_a_contact_that_opens_for_a_moment_during_a_read_is_told(drivers: Drivers, emulated: Emulated) -> None:
    drivers.source.read_on(READ)
    emulated.control.set("open", device="a")
    emulated.control.clear()
    assert drivers.source.read_off() is True


def test_a_wave_that_the_range_cannot_hold_is_no_pulse(drivers: Drivers, emulated: Emulated) -> None:
    before = pulses(emulated)
    emulated.control.set("range_low")
    with pytest.raises(InstrumentFault, match=r"-222.*no pulse was fired"):
        drivers.source.pulse(WRITE, WIDTH)
    assert pulses(emulated) == before
    assert is_safe(emulated)
    drivers.source.pulse(WRITE, WIDTH)
    assert pulses(emulated) == before + 1


def test_arming_may_be_slow(emulated: Emulated) -> None:
    emulated.control.clear()
    drivers = Drivers(emulated, timeout=0.2)
    try:
        drivers.start()
        before = pulses(emulated)
        emulated.control.set("slow_arm", seconds=5000.0)  # 0.5 s of real time
        drivers.source.pulse(WRITE, WIDTH)
        assert pulses(emulated) == before + 1
    finally:
        drivers.close()


def test_an_open_interlock_stops_the_source_before_anything_flows(drivers: Drivers, emulated: Emulated) -> None:
    before = pulses(emulated)
    emulated.control.set("interlock")
    with pytest.raises(InstrumentFault, match="interlock is open; close it by hand"):
        drivers.source.pulse(WRITE, WIDTH)
    with pytest.raises(InstrumentFault, match="interlock is open; close it by hand"):
        drivers.source.read_on(READ)
    with pytest.raises(InstrumentFault, match="interlock is open"):
        drivers.source.start(COMPLIANCE)
    assert pulses(emulated) == before
    assert is_safe(emulated)


@pytest.mark.parametrize("command", [":SOUR:CURR:COMP 50", ":SOUR:CURR:RANG 0.1", ":SOUR:WAVE:OFFS 1e-5",
                                     ":SOUR:WAVE:AMPL 1.4e-3", ":SOUR:WAVE:FREQ 100", ":OUTP:RESP SLOW",
                                     ":SOUR:WAVE:FUNC SQU", ":SOUR:WAVE:DUR:CYCL 7"])  # fmt: skip
def test_a_setting_that_somebody_changed_stops_the_next_pulse(
    drivers: Drivers, emulated: Emulated, command: str
) -> None:
    drivers.source.pulse(RESET, WIDTH)
    before = pulses(emulated)
    drivers.sessions["source"].ask(f"{command};*OPC?", 1)
    header, _, _ = command[1:].partition(" ")
    with pytest.raises(InstrumentFault, match=rf"{header} reads .* where .* was sent; start the instrument again"):
        drivers.source.pulse(RESET, WIDTH)
    assert pulses(emulated) == before


def test_an_output_that_is_on_already_stops_the_next_pulse(drivers: Drivers, emulated: Emulated) -> None:
    before = pulses(emulated)
    drivers.sessions["source"].ask(":SOUR:CURR 1e-5;:OUTP 1;*OPC?", 1)
    with pytest.raises(InstrumentFault, match="its output reads 1 instead of 0"):
        drivers.source.pulse(WRITE, WIDTH)
    drivers.source.safe()
    assert pulses(emulated) == before


@pytest.mark.parametrize("match", [":SOUR:WAVE:ARB:DATA", ":OUTP 1"])
def test_a_power_cycle_of_the_source_is_noticed_and_told_once(
    drivers: Drivers, emulated: Emulated, match: str
) -> None:
    before = pulses(emulated)
    emulated.control.set("power_cycle", "source", match=match)
    act = {":SOUR:WAVE:ARB:DATA": lambda: drivers.source.pulse(WRITE, WIDTH), ":OUTP 1": lambda: read(drivers)}[match]
    with pytest.raises(InstrumentFault, match="its power was off"):
        act()
    assert pulses(emulated) == before
    assert drivers.sessions["source"].powered_on()
    assert not drivers.sessions["source"].powered_on()
    drivers.source.start(COMPLIANCE)
    drivers.source.limit(ENVELOPE, RANGE)
    drivers.source.pulse(WRITE, WIDTH)
    assert pulses(emulated) == before + 1


def test_a_power_cycle_just_before_the_pulse_leaves_fires_nothing(drivers: Drivers, emulated: Emulated) -> None:
    before = pulses(emulated)
    emulated.control.set("power_cycle", "source", match=":ARM")
    with pytest.raises(InstrumentFault, match="no pulse was fired"):
        drivers.source.pulse(WRITE, WIDTH)
    assert pulses(emulated) == before
    assert is_safe(emulated)


def test_a_full_error_queue_is_told_and_emptied(drivers: Drivers, emulated: Emulated) -> None:
    before = pulses(emulated)
    emulated.control.set("errors", "source")
    with pytest.raises(InstrumentFault, match=r"-221.*350.*when a pulse was prepared; no pulse was fired"):
        drivers.source.pulse(WRITE, WIDTH)
    assert pulses(emulated) == before
    drivers.source.pulse(WRITE, WIDTH)
    assert pulses(emulated) == before + 1


def test_an_error_names_its_code_and_text(drivers: Drivers) -> None:
    drivers.sessions["source"].ask(":SOUR:WAVE:ARM;:SOUR:WAVE:AMPL 1e-5;*OPC?", 1)
    with pytest.raises(InstrumentFault, match=r'reports \+?404,".*" when'):
        drivers.source.pulse(WRITE, WIDTH)


# What the meter does.


@pytest.mark.parametrize(("fault", "reason"), [("overflow", "overflow"), ("nan", "NAN is not within the range")])
def test_a_reading_that_is_none_is_not_valid_and_says_why(
    drivers: Drivers, emulated: Emulated, fault: str, reason: str
) -> None:
    emulated.control.set(fault, "meter")
    drivers.source.read_on(READ)
    volts, valid, why = drivers.meter.read()
    assert math.isnan(volts)
    assert not valid
    assert reason in why
    assert drivers.meter.read() == (pytest.approx(READ * LOW), True, "")


def test_a_voltage_beyond_the_range_is_no_reading(drivers: Drivers, emulated: Emulated) -> None:
    emulated.control.set("offset", "source", ohm=3000.0)
    drivers.source.read_on(READ)
    assert drivers.meter.read().reason == "overflow"


@pytest.mark.parametrize("fault", ["units", "power_cycle", "errors"])
def test_a_meter_that_lost_its_settings_or_reports_errors_gives_no_reading(
    drivers: Drivers, emulated: Emulated, fault: str
) -> None:
    emulated.control.set(fault, "meter")
    drivers.source.read_on(READ)
    with pytest.raises(InstrumentFault, match=r"format was lost|power was off|350"):
        drivers.meter.read()
    drivers.meter.start()
    assert drivers.meter.read().volts == pytest.approx(READ * LOW)


def test_each_reading_is_a_new_one(drivers: Drivers) -> None:
    drivers.source.read_on(READ)
    assert drivers.meter.read().volts == pytest.approx(READ * LOW)
    drivers.source.read_off()
    assert drivers.meter.read().volts == 0
    drivers.source.read_on(-READ)
    assert drivers.meter.read().volts == pytest.approx(-READ * LOW)


def test_the_zero_is_measured_between_blocks_only(drivers: Drivers) -> None:
    ask = drivers.sessions["meter"].ask
    drivers.meter.rezero()
    assert ask(":SYST:AZER:STAT?;:SENS:VOLT:DC:NPLC?;:TRIG:COUN?", 3) == ["0", "1.000000E+00", "1"]


# What the switch does.


def test_a_relay_that_does_not_close_is_fatal_and_leaves_all_open(drivers: Drivers, emulated: Emulated) -> None:
    emulated.control.set("relay_open", channel="1!12")
    with pytest.raises(InstrumentFault, match=r"closed relays are 1!2 instead of 1!2, 1!12; check the relays"):
        drivers.switch.connect(ROUTES["b"])
    assert emulated.control.state()["switch"]["closed"] == []


def test_a_relay_that_does_not_open_is_fatal(drivers: Drivers, emulated: Emulated) -> None:
    emulated.control.set("relay_closed", channel="1!1")
    with pytest.raises(InstrumentFault, match="closed relays are 1!1 instead of none"):
        drivers.switch.connect(ROUTES["b"])
    assert "1!2" not in emulated.control.state()["switch"]["closed"]


def test_a_relay_that_closes_along_with_others_is_fatal(drivers: Drivers, emulated: Emulated) -> None:
    emulated.control.set("relay_closed", channel="1!1", after=1, times=1)
    with pytest.raises(InstrumentFault, match=r"closed relays are 1!1, 1!2, 1!12 instead of 1!2, 1!12"):
        drivers.switch.connect(ROUTES["b"])
    assert emulated.control.state()["switch"]["closed"] == []


def test_a_channel_that_the_switch_does_not_have_is_told(drivers: Drivers, emulated: Emulated) -> None:
    with pytest.raises(InstrumentFault, match="-222"):
        drivers.switch.connect(["1!99"])
    assert emulated.control.state()["switch"]["closed"] == []


def test_errors_of_the_past_do_not_keep_the_relays_closed(drivers: Drivers, emulated: Emulated) -> None:
    drivers.sessions["switch"].ask("*CLS;:ROUT:CLOS (@9!9);*OPC?", 1)
    drivers.switch.open_all()
    assert emulated.control.state()["switch"]["closed"] == []


# Another program, or somebody at the keys


CHANGES = ["SOUR:WAVE:AMPL 2.1e-3", "SOUR:WAVE:OFFS 1e-3", "SOUR:WAVE:DUR:CYCL 50", "SOUR:WAVE:FREQ 100",
           "SOUR:WAVE:FUNC SIN", "SOUR:CURR:RANG 0.02", "SOUR:CURR:COMP 100", "SOUR:WAVE:RANG BEST"]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_what_another_program_writes_between_check_and_pulse_does_not_reach_the_device(
    drivers: Drivers, emulated: Emulated, change: str
) -> None:
    session, header = drivers.source.session, change.split()[0]
    drivers.source.pulse(1e-3, 1e-4)
    before = session.ask(f":{header}?;*OPC?", 2)[0]
    pulses = emulated.control.exposure()["devices"]["a"]["pulses"]
    emulated.control.set("foreign", "source", text=change, match="WAVE:ARM")
    assert not drivers.source.pulse(1e-3, 1e-4).compliance
    assert session.ask(f":{header}?;*OPC?", 2)[0] == before
    seen = emulated.control.exposure()["devices"]["a"]
    assert seen["pulses"] == pulses + 1
    assert seen["max_current"] <= ENVELOPE.max_pulse


def test_a_wave_that_another_program_turned_round_is_told_and_the_source_is_safe(
    drivers: Drivers, emulated: Emulated
) -> None:
    emulated.control.set("foreign", "source", text="SOUR:WAVE:ARB:DATA -1,0", match="WAVE:ARM")
    with pytest.raises(
        InstrumentFault, match=r"ARB:DATA reads -1.*where 1,0 was sent; a pulse was fired with it: another"
    ):
        drivers.source.pulse(1e-3, 1e-4)
    assert emulated.control.state()["source"]["output"] is False


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_changed_between_arming_and_start_is_told_and_the_source_is_safe(
    drivers: Drivers, emulated: Emulated, change: str
) -> None:
    drivers.source.arm_wait = 2.0
    assert not drivers.source.pulse(1e-3, 1e-4).compliance
    emulated.control.set("foreign", "source", text=change, match="WAVE:INIT")
    noted = []
    drivers.source.on_fire = lambda: noted.append(emulated.control.exposure()["devices"]["a"]["pulses"])
    fired = emulated.control.exposure()["devices"]["a"]["pulses"]
    told = r"(404|-221).*when a wave was armed|COMP reads 1.*a pulse was fired with it: another program"
    with pytest.raises(InstrumentFault, match=told):
        drivers.source.pulse(1e-3, 1e-4)
    assert noted == [fired]  # in the journal before it leaves
    assert emulated.control.exposure()["devices"]["a"]["max_current"] <= ENVELOPE.max_pulse
    assert emulated.control.state()["source"]["output"] is False


def test_the_wait_between_arming_and_start_is_kept(drivers: Drivers, emulated: Emulated) -> None:
    clock = drivers.source.clock
    drivers.source.pulse(1e-3, 1e-4)
    began = clock.now()
    drivers.source.arm_wait = 3e4
    drivers.source.pulse(1e-3, 1e-4)
    assert clock.now() - began >= 3e4


@pytest.mark.parametrize(
    ("change", "named"),
    [("SENS:VOLT:DC:NPLC 0.01", "NPLC"), ("SENS:VOLT:DC:RANG 10", "RANG"), ("SENS:VOLT:DC:AVER:STAT 1", "AVER"),
     ("SYST:AZER:STAT 1", "AZER")],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["foreign", "local_key"])
def test_a_reading_with_other_settings_than_the_meter_was_started_with_is_not_used(
    drivers: Drivers, emulated: Emulated, change: str, named: str, kind: str
) -> None:
    assert drivers.meter.read().valid
    emulated.control.set(kind, "meter", text=change, match="READ?")
    words = f"{named}.* reads .* where .* was sent; .*the reading is not used" if kind == "foreign" else "key LOCAL"
    with pytest.raises(InstrumentFault, match=words):
        drivers.meter.read()


def test_a_key_that_was_pressed_at_the_source_is_told_before_any_current(
    drivers: Drivers, emulated: Emulated
) -> None:
    before = emulated.control.exposure()["overall"]["pulses"]
    emulated.control.set("local_key", "source", match="WAVE:ABOR")
    with pytest.raises(InstrumentFault, match="its key LOCAL was pressed"):
        drivers.source.pulse(1e-3, 1e-4)
    emulated.control.set("local_key", "source", match="WAVE:ABOR")
    with pytest.raises(InstrumentFault, match="its key LOCAL was pressed"):
        drivers.source.read_on(5e-5)
    assert emulated.control.exposure()["overall"]["pulses"] == before


def test_relays_that_another_program_moved_are_told_and_none_is_moved(drivers: Drivers, emulated: Emulated) -> None:
    drivers.switch.connect(ROUTES["a"])
    drivers.switch.verify(ROUTES["a"])
    emulated.control.set("foreign", "switch", text="ROUT:OPEN (@1!11)", match="ROUT:CLOS?")
    with pytest.raises(InstrumentFault, match="closed relays are 1!1 instead of 1!1, 1!11; check the relays"):
        drivers.switch.verify(ROUTES["a"])
