"""``spinsweep import`` and ``spinsweep card``: a laboratory's log is as good as the model."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from spinneurons.neurons import card as cards
from spinsweep.cli import main


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small characterization of the model."""
    path = tmp_path_factory.mktemp("simulated") / "characterization.zarr"
    settings = ["--set", "width=5,0.5", "--set", "device=0:3", "--set", "cycles=50", "--set", "currents=14"]
    assert main(["run", "characterization", "--workers", "0", "--store", str(path), *settings]) == 0
    return path


@pytest.fixture
def frame(simulated: Path) -> pd.DataFrame:
    """Its readings as a laboratory would log them, in a random order, with further columns."""
    raw = (
        xr.open_zarr(simulated)[["i_write", "r_reset", "r_write"]]
        .to_dataframe()
        .reset_index()
        .drop(columns="current")
    )
    raw = raw.rename(
        columns={"width": "width_um", "i_write": "i_write_A", "r_reset": "r_reset_ohm", "r_write": "r_write_ohm"}
    )
    raw["temperature_K"] = 295 + raw["cycle"] / 100
    raw["operator"] = np.where(raw["device"] == 1, "Ann B", "Bo")
    return raw.sample(frac=1, random_state=1)


def test_an_imported_log_gives_the_cube_that_made_it(simulated: Path, frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_csv(tmp_path / "lab.csv", index=False)
    code = main(["import", str(tmp_path / "lab.csv"), str(tmp_path / "lab.zarr")])
    got, want = xr.open_zarr(tmp_path / "lab.zarr").load(), xr.open_zarr(simulated).load()

    assert code == 0
    for name in ("i_write", "r_reset", "r_write", "switched", "valid", "deviance", "i_bias", "i_bias_stderr", "i0"):
        np.testing.assert_array_equal(got[name].values, want[name].values, err_msg=name)
        assert got[name].attrs == want[name].attrs
    np.testing.assert_allclose(got.i_bias_low, want.i_bias_low, rtol=2e-3)  # another resampling
    assert got.temperature_K.sel(cycle=20).values == pytest.approx(295.2)
    assert got.operator.attrs["labels"] == '["Ann B", "Bo"]'
    assert (got.operator.isel(device=1) == 0).all()
    assert got.attrs["imported_from"] == "lab.csv"

    chunk = next(p for p in sorted((tmp_path / "lab.zarr/r_write/c").rglob("*")) if p.is_file())
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:-1])
    assert main(["verify", str(tmp_path / "lab.zarr"), "--repair"]) == 0
    assert (xr.open_zarr(tmp_path / "lab.zarr").cell_state == 2).sum() == 1  # failed, until the log is read again
    assert main(["import", str(tmp_path / "lab.csv"), str(tmp_path / "lab.zarr")]) == 0
    assert chunk.read_bytes() == whole


def test_a_device_that_does_not_exist_is_no_cell_and_figures_still_work(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame[(frame.width_um != 5) | (frame.device != 2)].to_csv(tmp_path / "lab.csv", index=False)
    assert main(["import", str(tmp_path / "lab.csv"), str(tmp_path / "lab.zarr")]) == 0

    ds = xr.open_zarr(tmp_path / "lab.zarr")
    assert ds.device.values.tolist() == ["5um/0", "5um/1", "0.5um/0", "0.5um/1", "0.5um/2"]
    assert ds.width.dims == ("device",)
    assert main(["status", str(tmp_path / "lab.zarr")]) == 0
    assert main(["figures", str(tmp_path / "lab.zarr"), "--only", "fig3a_i_bias"]) == 0
    assert (tmp_path / "lab-figures" / "fig3a_i_bias.svg").stat().st_size > 1000


@pytest.mark.parametrize(
    ("line", "text", "says"),
    [
        (
            5,
            "5,0,abc,1,-1.8,3.6,295,Bo",
            "lab.csv:5: column 'i_write_A' holds 'abc', where i_write is a number",
        ),
        (7, "5,0,0.001", "lab.csv:7: column 'cycle' is missing"),
        (9, "5,0.5,0.001,1,-1.8,3.6,295,Bo", "lab.csv:9: column 'device' holds '0.5'; it takes a whole number"),
    ],
)
def test_a_malformed_row_is_named_and_nothing_is_imported(
    frame: pd.DataFrame, tmp_path: Path, capfd: pytest.CaptureFixture[str], line: int, text: str, says: str
) -> None:
    columns = ["width_um", "device", "i_write_A", "cycle", "r_reset_ohm", "r_write_ohm", "temperature_K", "operator"]
    lines = frame[columns].to_csv(index=False).splitlines()
    lines[line - 1] = text
    (tmp_path / "lab.csv").write_text("\n".join(lines))
    code = main(["import", str(tmp_path / "lab.csv"), str(tmp_path / "lab.zarr")])

    assert code == 2
    error = capfd.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert os.listdir(tmp_path) == ["lab.csv"]  # noqa: PTH208


def test_a_card_from_a_cube_is_measured_and_every_sweep_takes_it(simulated: Path, tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    assert main(["card", str(simulated), "--out", str(path)]) == 0
    card, ds = cards.load(path), xr.open_zarr(simulated)

    assert card["i_bias"]["slope"]["provenance"] == "measured"
    assert [d["i_bias"] for d in card["device"]] == ds.i_bias.values.ravel().tolist()
    for sweep in ("characterization", "endurance", "persistence"):
        settings = ["--set", f"card={path}", "--set", "width=0.5", "--set", "device=1", "--set", "cycles=50"]
        store = tmp_path / f"{sweep}.zarr"
        assert main(["run", sweep, "--workers", "0", "--store", str(store), *settings]) == 0
    again = xr.open_zarr(tmp_path / "characterization.zarr")
    original = ds.sel(width=0.5, device=1)
    sigma = float(np.hypot(again.i_bias_stderr.squeeze(), original.i_bias_stderr))
    assert abs(float(again.i_bias.squeeze() - original.i_bias)) < 4 * sigma


def test_a_card_wants_a_characterization(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "e.zarr"
    settings = ["--set", "width=0.5", "--set", "device=0", "--set", "cycles=10"]
    assert main(["run", "endurance", "--workers", "0", "--store", str(store), *settings]) == 0
    capfd.readouterr()

    assert main(["card", str(store)]) == 2
    assert "holds the sweep endurance; a card is fitted from a characterization" in capfd.readouterr().err


def fails(words: list[object], capfd: pytest.CaptureFixture[str]) -> str:
    """The one line of a command that ends with status 2."""
    capfd.readouterr()
    assert main([str(w) for w in words]) == 2
    out, error = capfd.readouterr()
    assert (out, error.count("\n")) == ("", 1)
    return error


@pytest.mark.slow
def test_a_store_that_holds_another_log_is_named_with_a_remedy_that_import_has(
    simulated: Path, frame: pd.DataFrame, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log, store = tmp_path / "lab.csv", tmp_path / "lab.zarr"
    frame.to_csv(log, index=False)
    words = ["import", log, store, "--resamples", "10"]
    assert main([str(w) for w in words]) == main([str(w) for w in words]) == 0
    remedy = f"; give another store, or remove {store} first\n"

    error = fails([*words, "--link", "cloglog"], capfd)
    assert error == f"spinsweep: {store} was imported with link = 'logistic', and not with 'cloglog'{remedy}"
    frame.assign(r_reset_ohm=frame.r_reset_ohm + 1e-3).to_csv(log, index=False)
    error = fails(words, capfd)
    assert error.startswith(f"spinsweep: {store}: {log}:2: r_reset is ")
    assert " when it was imported; rows that are in the cube stay: give another store" in error
    error = fails(["import", log, simulated], capfd)
    assert f"{simulated} holds the sweep characterization, which is no imported log; give another store" in error


def test_too_few_resamples_are_a_mistake_in_a_parameter(
    frame: pd.DataFrame, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    frame.to_csv(tmp_path / "lab.csv", index=False)
    error = fails(["import", tmp_path / "lab.csv", tmp_path / "lab.zarr", "--resamples", 2], capfd)
    assert "parameter 'resamples': 2 is out of range; it takes whole numbers from 10 to 1000000" in error


def test_a_card_is_not_written_over_a_file_unless_forced(
    simulated: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text("# edited by hand")

    error = fails(["card", simulated, "--out", mine], capfd)
    assert f"--out {mine} is there already; give another name, or --force to write over it" in error
    assert mine.read_text() == "# edited by hand"
    assert main(["card", str(simulated), "--out", str(mine), "--force"]) == 0
    assert cards.load(mine)["title"] == "Hall bars as measured: fit of characterization.zarr, 6 devices"


def test_a_card_is_not_written_into_a_folder_that_is_not_there(
    simulated: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    error = fails(["card", simulated, "--out", tmp_path / "none" / "x.toml"], capfd)
    assert f"there is no folder {tmp_path / 'none'}; make it first" in error
    assert "is a folder; give a file in it" in fails(["card", simulated, "--out", tmp_path], capfd)
    assert not list(tmp_path.iterdir())


def test_a_cube_without_fits_gives_no_card_and_is_named_with_a_remedy(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "c.zarr"
    settings = ["width=0.5", "device=0", "cycles=1", "currents=2", "resamples=10"]
    chosen = [word for setting in settings for word in ("--set", setting)]
    assert main(["run", "characterization", "--workers", "0", "--store", str(store), *chosen]) == 0

    error = fails(["card", store], capfd)
    assert f"{store}: measured card: no width has a fitted device; characterize devices at currents from" in error
