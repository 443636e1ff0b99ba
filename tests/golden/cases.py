"""What is kept, and how it is computed: through the command line, and cubes as any reader of zarr sees them.

Everything is done in the working directory, which is to be an empty folder, so that no path gets into a cube.
"""

from __future__ import annotations

import base64
import json
import math
import random
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from tests.golden import record
from tests.golden.api import COMMAND, Batch, CellGrid, Draws, Programmed, find, kind, main, make, plane

DIGITS = "data=digits epochs=3"
SWEEPS = {
    "characterization": "width=5,0.3 device=1,2 currents=10 cycles=20 resamples=50",
    "endurance": "width=5,0.3 device=0,3 cycles=60",
    "persistence": "width=1,0.4 device=2 day=0,7 currents=9 cycles=20",
    "codesign": f"width=5,0.3 variation=0,0.2 seed=0,1 images=30 steps=8 {DIGITS}",
    "codesign-crossbar": "width=5,0.3 variation=0.1 seed=0 levels=0,4 stuck_off=0,0.05 stuck_on=0.001 read_noise=0,1 "
    f"images=20 steps=6 {DIGITS}",
    "macrospin": "width=60,120 pulse=1e-9 currents=6 trajectories=40",
    "macrospin in-plane": "torque=in-plane field_x=11000 rest=1e-9 rise=1e-10 width=60 pulse=1e-9 currents=4 "
    "trajectories=25",
    "hysteresis": "width=1,0.3 device=0,1 steps=15 cycles=4",
    "anisotropy": "width=0.7,5 device=0,1 fields=15 spread=0.05",
    "hil": "seed=0 images=4 test_images=4 steps=10 epochs=2 currents=6 cycles=8",
    "hil layers": "seed=3 hidden=3 neurons=7 bias=fitted images=4 test_images=4 steps=8 epochs=1 currents=8 "
    "cycles=30",
    "hil-multiplexed": "seed=1 images=4 test_images=2 steps=8 epochs=2 currents=6 cycles=8",
    "frontier": "pulses=0,28,90 variation=0.2 ratio=25.2 i0_variation=0.1 seed=0 images=4 test_images=30 steps=8 "
    "epochs=2",
    "hil-replicates": "variation=0,0.2 ratio=10 seed=0,1 images=4 test_images=30 steps=8 epochs=2",
}
"""Settings by case; the first word of a case is the sweep's name."""
MEASURED = {
    "hil": "mode=hil seed=0 classes=0,2 neurons=2 devices=0,1 images=2 test_images=2 steps=3 epochs=2 currents=4 "
    "cycles=4",
    "characterization": "width=0.5 device=0,2 currents=5 cycles=4 resamples=20",
}
"""Settings of the sweeps that are measured on the emulated bench, one after the other."""
FLEETING = ("cube_id", "root_sha256", "created", "provenance")
"""Attributes of a cube that are its own."""
STATE = Path("state") / "emulated"
"""Folder of the emulated bench's state."""


def sweep(case: str) -> dict[str, Any]:
    """Cells of a sweep: every output, its declared bound, and what the cube says of itself."""
    name = case.split()[0]
    if DIGITS in SWEEPS[case]:
        _write_digits(Path("digits"))
    store = Path(case.replace(" ", "-") + ".zarr")
    _run(name, store, SWEEPS[case], "--workers", "0", "--block", "100")
    asked = find(name)
    attributes, arrays = _described(store)
    weights = attributes.pop("network_sha256", None)
    return {
        "processor": kind(),
        "settings": SWEEPS[case],
        "default_digest": asked.digest,
        "default_shape": list(asked.shape),
        "bounds": {output.name: output.tolerance for output in asked.outputs},
        "attributes": attributes,
        "arrays": arrays,
        **({"weights": weights} if weights else {}),
        **_numbers(store),
    }


def spikes() -> dict[str, Any]:
    """A plane of the co-design kernel: a chip, images and draws that come from whole numbers alone."""
    rng = np.random.default_rng(20240901)
    layers = [
        Programmed.ideal((rng.integers(-512, 513, shape) / scale).astype(np.float32))
        for shape, scale in (((784, 60), 2048), ((60, 10), 512))
    ]
    chip = make(layers, np.random.default_rng(1), np.random.default_rng(2))
    images, labels = _digits(24, seed=5)
    batch = Batch.first(images.reshape(24, -1), labels, 24)
    found = {}
    for ties in ("fraction", "random"):
        grid = CellGrid([0.0, 0.1, 0.25], [10.0, 18.9, 30.0], 57, ties)
        result = plane(chip, batch, Draws((11, 12)), grid, threads=1)
        for name in ("accuracy", "spikes_hidden", "spikes_output", "weight_read"):
            found[f"{name}, ties {ties}"] = record.of(getattr(result, name))
    return {"processor": kind(), "outputs": found}


def imported() -> dict[str, Any]:
    """A log that is imported, its fits, and the card that is made of them."""
    _write_log(Path("lab.csv"))
    assert main(["import", "lab.csv", "lab.zarr", "--resamples", "60"]) == 0
    assert main(["card", "lab.zarr", "--out", "card.toml"]) == 0
    attributes, arrays = _described(Path("lab.zarr"))
    bounds = {output.name: output.tolerance for output in find("characterization").outputs}
    return {
        "processor": kind(),
        "bounds": bounds,
        "attributes": attributes,
        "arrays": arrays,
        "card": Path("card.toml").read_text(encoding="utf-8").splitlines(),
        **_numbers(Path("lab.zarr")),
    }


def measured() -> dict[str, Any]:
    """Sweeps measured on the emulated bench: cubes in which nothing is done yet, journals, and what comes out."""
    with emulator() as pulses:
        for name, settings in MEASURED.items():
            _run(name, Path(f"{name}.zarr"), settings, "--workers", "0", "--on", "bench.toml")
    return {
        "processor": kind(),
        "pulses": pulses[0],
        "state": {name: (STATE / name).read_text() for name in ("epoch", "pulses.json")},
        "journals": {path.name: _rows(path) for path in sorted((STATE / "journal").glob("*.jsonl"))},
        "cubes": {name: _undone(Path(f"{name}.zarr")) for name in MEASURED},
        "bounds": {name: {o.name: o.tolerance for o in find(name).outputs} for name in MEASURED},
        "outputs": {name: _numbers(Path(f"{name}.zarr"))["outputs"] for name in MEASURED},
    }


def gone_on(kept: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The kept cube of a measured sweep goes on with the kept state of the bench, as after a driver's death."""
    (STATE / "journal").mkdir(parents=True)
    for file, text in kept["state"].items():
        (STATE / file).write_text(text)
    for file, rows in kept["journals"].items():
        (STATE / "journal" / file).write_text("".join(_line(row) for row in rows))
    cube = kept["cubes"][name]
    _restore(Path(f"{name}.zarr"), cube["root"], cube["chunks"])
    with emulator() as pulses:
        _run(name, Path(f"{name}.zarr"), MEASURED[name], "--workers", "0", "--on", "bench.toml")
    return {
        "pulses": pulses[0],
        "journals": {path.name: _rows(path) for path in sorted((STATE / "journal").glob("*.jsonl"))},
        "outputs": _numbers(Path(f"{name}.zarr"))["outputs"],
    }


def trains(rows: list[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """A journal without what is its own cube's and time's: its key, and plan, outcome and end of each train."""
    keys = {row["key"].partition("/")[2] for row in rows if row["op"] == "open"}
    found: dict[str, Any] = {r["train"]: {"plan": r["plan"], "volts": {}} for r in rows if r["op"] == "intent"}
    for row in rows:
        if row["op"] == "result":
            found[row["train"]]["volts"][row["cycle"]] = row["volts"]
        elif row["op"] in ("lost", "end"):
            found[row["train"]].setdefault(row["op"], []).append(row.get("cycle"))
    return keys.pop(), found


@contextmanager
def emulator() -> Iterator[list[int]]:
    """The emulated bench at ``bench.toml``, which it writes; afterwards the list holds the pulses that it saw."""
    pulses: list[int] = []
    command = [*COMMAND, "emulate", "bench.toml", "--speed", "1e6", "--seed", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        while "control port" not in (line := process.stdout.readline()):
            assert line, "the emulator did not start"
        yield pulses
    finally:
        process.terminate()
        said = process.communicate(timeout=60)[0]
    pulses.append(int(re.search(r"ended after (\d+) pulses", said)[1]))  # type: ignore[index]


def _run(name: str, store: Path, settings: str, *words: str) -> None:
    chosen = [word for setting in settings.split() for word in ("--set", setting)]
    assert main(["run", name, "--store", str(store), *words, *chosen]) == 0


def _described(store: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Attributes of a cube, and of each array what a reader is told."""
    root = json.loads((store / "zarr.json").read_text())
    attributes = {name: value for name, value in root["attributes"].items() if name not in FLEETING}
    for name in ("sweep_definition", "parameters", "coordinates_sha256"):
        attributes[name] = json.loads(attributes[name])
    arrays = {}
    for name, content in root["consolidated_metadata"]["metadata"].items():
        parts = ("attributes", "data_type", "dimension_names", "fill_value")
        codecs = " ".join(codec["name"] for codec in content["codecs"])
        arrays[name] = {**{part: content[part] for part in parts}, "codecs": codecs}
    del arrays["cell_code"]["fill_value"]  # names the code that made most of the cube
    return attributes, arrays


def _numbers(store: Path) -> dict[str, Any]:
    """Coordinates and outputs of a cube in which everything is done."""
    cube = xr.open_zarr(store).load()
    assert (cube.cell_state == 1).all()
    outputs = [str(name) for name in cube.data_vars if not str(name).startswith("cell_")]
    return {
        "coordinates": {str(name): record.of(values.values) for name, values in cube.coords.items()},
        "outputs": {name: record.of(cube[name].values) for name in sorted(outputs)},
    }


def _undone(store: Path) -> dict[str, Any]:
    """A cube as it was before its first cell was done: its root, and the chunks of its coordinates."""
    root = json.loads((store / "zarr.json").read_text())
    for name in ("provenance", "created"):
        del root["attributes"][name]
    arrays = root["consolidated_metadata"]["metadata"]
    for name, content in arrays.items():
        assert json.loads((store / name / "zarr.json").read_text()) == content
    coordinates = json.loads(root["attributes"]["coordinates_sha256"])
    places = [place for name in coordinates for place in (f"{name}/c/0", f"cell_state/copies/{name}/c/0")]
    return {"root": root, "chunks": {p: base64.b64encode((store / p).read_bytes()).decode() for p in places}}


def _restore(store: Path, root: Mapping[str, Any], chunks: Mapping[str, str]) -> None:
    """Such a cube on disk."""
    for name in ("runs", "errors", "codes"):
        (store / name).mkdir(parents=True)
        group = {"zarr_format": 3, "node_type": "group", "attributes": {}}
        (store / name / "zarr.json").write_text(json.dumps(group))
    for name, content in root["consolidated_metadata"]["metadata"].items():
        (store / name).mkdir()
        (store / name / "zarr.json").write_text(json.dumps(content))
    for place, data in chunks.items():
        (store / place).parent.mkdir(parents=True)
        (store / place).write_bytes(base64.b64decode(data))
    for place in ("cell_state/copies/root.json", "zarr.json"):
        (store / place).write_text(json.dumps(root))


def _rows(journal: Path) -> list[dict[str, Any]]:
    """Rows of a journal without times and places."""
    rows = [json.loads(line) for line in journal.read_text().splitlines()]
    return [{name: v for name, v in row.items() if name not in ("time", "process", "host", "boot")} for row in rows]


def _line(row: Mapping[str, Any]) -> str:
    """A row as it stands in a journal; the machine has been started since."""
    return json.dumps({**row, "boot": "another"} if row["op"] == "open" else row, separators=(",", ":")) + "\n"


def _digits(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels in MNIST's shape: for each class two bright lines, among some noise."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) * 7 % 10).astype(np.uint8)
    images = rng.integers(0, 256, (n, 28, 28)) * (rng.integers(0, 10, (n, 28, 28)) == 0)
    for image, label in zip(images, labels.tolist(), strict=True):
        image[4 + 2 * label, 6:22] = image[6:22, 4 + 2 * label] = 255
    return images.astype(np.uint8), labels


def _write_digits(folder: Path) -> None:
    """A folder of such images, small enough to train a network in no time."""
    folder.mkdir(exist_ok=True)
    for part, n, seed in (("train", 500, 3), ("t10k", 40, 4)):
        images, labels = _digits(n, seed)
        for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            (folder / name).write_bytes(head + array.tobytes())


def _write_log(path: Path) -> None:
    """A laboratory's log of four devices, with further columns."""
    rng = random.Random(7)
    lines = ["width_um,device,i_write_A,cycle,r_reset_ohm,r_write_ohm,temperature_K,operator"]
    for width, bias, scale in ((2.0, 9.0e-4, 3.5e-5), (0.5, 4.0e-4, 2.5e-5)):
        for device in (0, 1):
            for step in range(-4, 5):
                current = round(bias * (1 + 0.03 * device) + 0.8 * step * scale, 7)
                p = 1 / (1 + math.exp(-(current - bias * (1 + 0.03 * device)) / scale))
                for cycle in range(20):
                    reset, write = -1.8 + rng.gauss(0, 0.03), (3.6 if rng.random() < p else -1.8) + rng.gauss(0, 0.03)
                    place = f"{width},{device},{current:.7f},{cycle}"
                    further = f"{295 + cycle / 100:.2f},{'Ann B' if device else 'Bo'}"
                    lines.append(f"{place},{reset:.3f},{write:.3f},{further}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
