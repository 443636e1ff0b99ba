"""What the documentation of pymeasure shows for a 6221 and a 2000, call by call.

    pymeasure_examples.py SOURCE METER

Where it names instruments that are not here (a 2400 as current source, service requests over GPIB) the 6221 and the
status byte stand for them.  Prints what was measured as JSON.
"""

from __future__ import annotations

import json
import sys
import time
import warnings

import numpy as np

warnings.simplefilter("ignore")

from pymeasure.instruments.keithley import Keithley2000, Keithley6221  # noqa: E402

OPTIONS = {"visa_library": "@py", "read_termination": "\n", "write_termination": "\n", "timeout": 2000}
END_OF_WAVE = 128
found: dict[str, object] = {}


def wait_for(instrument: Keithley6221) -> None:
    """Until it has done what was sent: the two instruments have lines of their own, and one may be late."""
    found["complete"] = instrument.complete


def current_and_voltage(source: Keithley6221, meter: Keithley2000) -> None:
    """As the example of an IV curve: up and down again."""
    meter.measure_voltage()
    meter.voltage_range = 10
    meter.voltage_nplc = 1
    source.source_range = 0.01
    source.source_compliance = 20
    source.enable_source()
    currents = np.concatenate([np.arange(-10, 10, 5), np.arange(10, -10, -5)]) * 1e-3
    voltages = []
    for current in currents:
        source.source_current = current
        wait_for(source)
        voltages.append(meter.voltage)
    source.disable_source()
    found["ohms"] = [v / i for v, i in zip(voltages, currents, strict=True) if abs(i) > 1e-10]


def square_wave(source: Keithley6221) -> None:
    """As the documentation of the driver: 100 cycles, and the status byte tells their end."""
    source.clear()
    source.waveform_function = "square"
    source.waveform_amplitude = 0.005
    source.waveform_offset = 0
    source.source_compliance = 10
    source.waveform_dutycycle = 50
    source.waveform_frequency = 347
    source.waveform_ranging = "best"
    source.waveform_duration_cycles = 100
    source.operation_event_enabled = END_OF_WAVE
    source.srq_event_enabled = END_OF_WAVE
    source.waveform_arm()
    source.waveform_start()
    while not int(source.status) & 64:
        time.sleep(0.001)
    found["end of the square wave"] = source.operation_events & END_OF_WAVE
    source.waveform_abort()


def endless_sine(source: Keithley6221, meter: Keithley2000) -> None:
    """An alternating current without end, with its phase marker, and the voltage that it makes."""
    source.waveform_function = "sine"
    source.waveform_frequency = 1000
    source.waveform_amplitude = 1e-3
    source.waveform_use_phasemarker = True
    source.waveform_phasemarker_phase = 180
    source.waveform_phasemarker_line = 3
    source.waveform_duration_set_infinity()
    source.waveform_arm()
    source.waveform_start()
    wait_for(source)
    meter.measure_voltage(max_voltage=0.1, ac=True)
    meter.voltage_ac_bandwidth = 300
    found["root mean square"] = meter.voltage
    meter.measure_frequency()
    found["frequency"] = meter.frequency
    source.waveform_abort()


def arbitrary_wave(source: Keithley6221) -> None:
    source.define_arbitary_waveform([0, 0.5, 1, 0.5, 0], location=2)
    source.waveform_duration_cycles = 3
    source.waveform_arm()
    source.waveform_start()
    while source.source_enabled:
        time.sleep(0.001)
    found["function"] = source.waveform_function


def delta(source: Keithley6221) -> None:
    """Delta mode, which needs a 2182A: without one arming is an error."""
    found["2182A"] = source.delta_connected
    source.delta_unit = "Ohms"
    source.delta_high_source = 0.001
    source.delta_delay = 0.1
    source.delta_cycles = "INF"
    source.delta_buffer_points = 10
    source.delta_arm()
    found["arming delta"] = [error[0] for error in source.check_errors()]


def buffer(source: Keithley6221, meter: Keithley2000) -> None:
    """Ten readings in the meter's buffer, with a filter."""
    source.source_current = 1e-3
    source.enable_source()
    wait_for(source)
    meter.measure_voltage(max_voltage=0.1)
    meter.enable_filter(type="repeat", count=2)
    meter.config_buffer(10, 0.01)
    meter.start_buffer()
    meter.wait_for_buffer(timeout=10)
    found["buffer"] = meter.buffer_data.tolist()
    meter.stop_buffer()
    meter.disable_buffer()
    meter.disable_filter()


def reference(meter: Keithley2000) -> None:
    meter.reset()
    meter.measure_voltage(max_voltage=0.1)
    found["voltage"] = meter.voltage
    meter.acquire_reference()
    meter.enable_reference()
    found["voltage above the reference"] = meter.voltage
    meter.disable_reference()
    meter.auto_range()


def triggers(source: Keithley6221) -> None:
    source.trigger_immediately()
    source.set_timed_arm(0.01)
    source.trigger_on_external(line=2)
    source.output_trigger_on_external(line=3)
    source.disable_output_trigger()
    found["triggers"] = [error[0] for error in source.check_errors()]
    source.trigger_on_bus()  # sends TRIG:SOUR BUS as well, which a 6221 has not
    found["bus trigger"] = [error[0] for error in source.check_errors()]


def panel(source: Keithley6221, meter: Keithley2000) -> None:
    source.display_enabled = False
    source.display_enabled = True
    source.beep(1000, 0.01)
    meter.beep(1000, 0.01)
    meter.local()
    meter.remote()
    meter.remote_lock()
    found["panel"] = [error[0] for instrument in (source, meter) for error in instrument.check_errors()]


def functions(meter: Keithley2000) -> None:
    """Each function is configured; what the wires cannot show reads overflow, as with open leads."""
    meter.measure_current(0.01)
    found["current"] = meter.current
    for measure in (meter.measure_resistance, meter.measure_temperature, meter.measure_diode,
                    meter.measure_continuity, meter.measure_period):  # fmt: skip
        measure()
        found[meter.mode] = meter.voltage
    meter.measure_resistance(1e4, wires=4)
    found["functions"] = [error[0] for error in meter.check_errors()]


def main() -> None:
    source, meter = Keithley6221(sys.argv[1], **OPTIONS), Keithley2000(sys.argv[2], **OPTIONS)
    for instrument in (source, meter):
        instrument.reset()
        found[instrument.name] = instrument.id
        found[f"after the reset of {instrument.name}"] = [error[0] for error in instrument.check_errors()]
    current_and_voltage(source, meter)
    square_wave(source)
    endless_sine(source, meter)
    arbitrary_wave(source)
    delta(source)
    buffer(source, meter)
    reference(meter)
    source.disable_source()
    triggers(source)
    panel(source, meter)
    functions(meter)
    source.shutdown()
    print(json.dumps(found))


main()
