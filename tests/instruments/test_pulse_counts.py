"""The pulses that devices have had in their lives: nothing is fired when their number is not known."""

from __future__ import annotations

import numpy as np
import pytest
from emulated import Emulated

from spinneurons.device.pulse_cycle import PulseTrains
from spinsweep.bench.acquire import acquire_bench
from spinsweep.bench.bench_file import Bench
from spinsweep.bench.errors import BenchError
from spinsweep.bench.session import pulses

RESET, WRITE, READ = -8e-4, 8e-4, 5e-5


def fire(bench: Bench, train: str) -> None:
    with acquire_bench(bench) as session, PulseTrains(session, "key") as trains:
        trains.run(train, ["a"], np.full((2, 1), WRITE), [RESET], READ)


DAMAGES = [b"", b"\0\0\0\0", b'{"a": 4', b"[4]", b'{"a": -4}', b'{"a": null}', b"\xff", None]


@pytest.mark.parametrize("content", DAMAGES)
def test_a_bench_whose_pulses_are_not_known_is_not_touched(
    bench: Bench, emulated: Emulated, content: bytes | None
) -> None:
    fire(bench, "one")
    file = bench.folder / "pulses.json"
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    before = emulated.control.state()["connections"]
    with pytest.raises(BenchError, match=r"pulses\.json is (damaged|gone), .* not known; write it into that file"):
        fire(bench, "two")
    assert emulated.control.state()["connections"] == before
    file.write_text('{"a": 4}')
    fire(bench, "two")
    assert pulses(bench) == {"a": 8}


def test_a_bench_that_never_fired_needs_no_counts(bench: Bench) -> None:
    with acquire_bench(bench) as session, PulseTrains(session, "key"):
        pass
    assert pulses(bench) == {}
    fire(bench, "one")
    assert pulses(bench) == {"a": 4}
