"""A thermometer as an auxiliary instrument: it only reads, and nothing is fired outside of its bounds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from auxiliaries import THERMOMETER, emulated, opened
from emulated import Emulated

from spinneurons.device.pulse_cycle import PulseTrains
from spinsweep.bench.acquire import acquire_bench
from spinsweep.bench.bench_file import Bench
from spinsweep.bench.errors import BenchError, InstrumentFault
from spinsweep.bench.journal import Journal

RESET, WRITE, READ = -8e-4, 8e-4, 5e-5
COLUMN = "temperature_cryostat"

Made = Callable[..., tuple[Emulated, Bench]]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    with emulated(tmp_path, THERMOMETER) as make:
        yield make


def test_a_temperature_is_read(made: Made) -> None:
    running, bench = made()
    with opened(bench, "cryostat") as driver:
        driver.safe()
        driver.start()
        assert driver.measured() == {"temperature": 295.0}
        running.control.set("temperature", "cryostat", kelvin=300.5)
        assert driver.measured() == {"temperature": 300.5}


def test_an_open_sensor_gives_no_temperature(made: Made) -> None:
    running, bench = made()
    with opened(bench, "cryostat") as driver:
        driver.start()
        running.control.set("sensor", "cryostat")
        with pytest.raises(InstrumentFault, match="sensor A gives no temperature: sensor over range"):
            driver.verify()
        with pytest.raises(InstrumentFault, match="sensor A gives no temperature"):
            driver.measured()


def test_a_sensor_that_a_model_does_not_have_is_refused(made: Made) -> None:
    with pytest.raises(BenchError, match=r"auxiliary\.cryostat\.input: string should match"):
        made(cryostat={"input": "C"})
    _, bench = made(cryostat={"input": "B"})
    with opened(bench, "cryostat") as driver:
        driver.start()


def test_a_temperature_out_of_bounds_lets_no_pulse_leave(made: Made) -> None:
    running, bench = made()
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        running.control.set("temperature", "cryostat", kelvin=311.0, after=3)
        with pytest.raises(InstrumentFault, match="reads 311 K, not within 290 to 310 K"):
            trains.run("one", ["a"], np.full((9, 1), WRITE), [RESET], READ)
        assert running.control.exposure()["overall"]["pulses"] < 4
        assert running.control.state()["source"]["output"] is False


def test_a_column_that_cannot_be_recorded_makes_the_bench_safe_before_a_pulse(made: Made) -> None:
    running, bench = made()
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        session.route(bench.named("a"))
        running.control.set("sensor", "cryostat")
        with pytest.raises(InstrumentFault, match="sensor A gives no temperature"):
            trains.run("one", ["a"], np.full((2, 1), WRITE), [RESET], READ)
        assert running.control.exposure()["overall"]["pulses"] == 0
        assert running.control.state()["switch"]["closed"] == []


def test_what_was_recorded_is_in_the_journal_and_comes_back_with_the_train(made: Made, tmp_path: Path) -> None:
    running, bench = made()
    writes = np.full((2, 1), WRITE)
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        running.control.set("temperature", "cryostat", kelvin=305.0, after=6)
        first = trains.run("one", ["a"], writes, [RESET], READ)
        path = trains.journal.path
    assert first.measured == [{COLUMN: 295.0}, {COLUMN: 305.0}]
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["op"] for row in rows] == [
        "open", "intent", "measured", "fire", "result", "fire", "result", "measured", "end",
    ]  # fmt: skip
    assert rows[2]["values"] == {COLUMN: 295.0}
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        assert trains.run("one", ["a"], writes, [RESET], READ).measured == first.measured
    assert running.control.exposure()["overall"]["pulses"] == 4


def test_a_train_of_a_journal_from_before_there_were_columns_goes_on(made: Made) -> None:
    _, bench = made()
    bench.folder.mkdir(parents=True)
    plan = {"cycles": 2, "devices": ["a"], "i_write": [[WRITE], [WRITE]], "i_reset": [RESET], "i_read": READ}
    journal = Journal(bench.folder / "journal", "key", 1)
    journal.intend("one", {**plan, "width": bench.timing.pulse_width})
    journal.fire("one", 0)
    journal.result("one", 0, [1.0, 2.0])
    journal.close()
    (bench.folder / "pulses.json").write_text('{"a": 4}')
    (bench.folder / "epoch").write_text("1\n")
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        run = trains.run("one", ["a"], [[WRITE], [WRITE]], [RESET], READ)
    assert run.v_write[0, 0] == 2.0
    assert run.measured == [{COLUMN: 295.0}, {COLUMN: 295.0}]


def test_a_link_that_breaks_while_a_column_is_recorded_is_opened_anew(made: Made) -> None:
    running, bench = made()
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        running.control.set("drop", "cryostat", match="KRDG")
        run = trains.run("one", ["a"], np.full((2, 1), WRITE), [RESET], READ)
    assert len(run.measured) == 2
    assert running.control.exposure()["overall"]["pulses"] == 4
