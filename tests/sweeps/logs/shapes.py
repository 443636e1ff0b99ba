"""The same measurement as laboratories keep it: in their units, with their names, in their formats."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

COLUMNS = ("width_um", "device", "i_write_A", "cycle", "r_reset_ohm", "r_write_ohm")


def measured(widths: tuple[float, ...] = (2.0, 0.5), cycles: int = 6) -> pd.DataFrame:
    """Two devices of each width at five currents; every number has few digits, as an instrument's have."""
    rng = np.random.default_rng(5)
    rows = []
    for width in widths:
        for device in (0, 1):
            currents = np.round(np.linspace(0.4, 0.8, 5) * width / 2, 4) * 1e-3
            for i_write, p in zip(currents, (0.05, 0.2, 0.5, 0.8, 0.95), strict=True):
                for cycle in range(cycles):
                    switched = rng.random() < p
                    reset, write = np.round(rng.normal([-0.3, 0.35 if switched else -0.3], 0.004), 6)
                    rows.append((width, device, float(f"{i_write:.6g}"), cycle, reset, write))
    return pd.DataFrame(rows, columns=COLUMNS)


def text(path: Path, frame: pd.DataFrame, before: str = "", after: str = "", **options: object) -> Path:
    encoding = str(options.pop("encoding", "utf-8"))
    body = frame.to_csv(index=False, lineterminator="\n", **options)  # type: ignore[call-overload]
    path.write_bytes((before + body + after).encode(encoding))
    return path


def renamed(frame: pd.DataFrame, **names: str) -> pd.DataFrame:
    return frame.rename(columns=names)


def scaled(frame: pd.DataFrame, column: str, name: str, by: float) -> pd.DataFrame:
    numbers = [float(f"{v:.9g}") for v in frame[column] * by]
    return frame.assign(**{column: numbers}).rename(columns={column: name})


PYMEASURE = (
    "#Procedure: <lab.switching.PulsedHall>\n#Parameters:\n#\tRead current: 50 uA\n#\tPulse width: 100 us\n"
    "#Metadata:\n#\tStart time: 1718900000.0\n#Data:\n"
)
WORDS = {
    "width_um": "Bar width (um)", "device": "Device", "i_write_A": "Current (A)", "cycle": "Cycle",
    "r_reset_ohm": "R reset (ohm)", "r_write_ohm": "R write (ohm)",
}  # fmt: skip
LABVIEW = (
    "LabVIEW Measurement\t\nWriter_Version\t2\nReader_Version\t2\nSeparator\tTab\nDecimal_Separator\t{mark}\n"
    "Multi_Headings\tNo\nX_Columns\tNo\nOperator\tlab\n***End_of_Header***\t\n\t\nChannels\t6\t\t\t\t\t\n"
    "***End_of_Header***\t\t\t\t\t\t\n"
)
Writer = Callable[[Path, pd.DataFrame], Path]

TEXTS: dict[str, Writer] = {
    "commas": lambda p, f: text(p / "a.csv", f),
    "tabs": lambda p, f: text(p / "a.tsv", f, sep="\t"),
    "semicolons and decimal commas": lambda p, f: text(p / "a.csv", f, sep=";", decimal=",", encoding="utf-8-sig"),
    "tabs and decimal commas": lambda p, f: text(p / "a.txt", f, sep="\t", decimal=","),
    "carriage returns": lambda p, f: crlf(p, f),
    "spaces": lambda p, f: text(p / "a.txt", f, sep=" "),
    "bars": lambda p, f: text(p / "a.txt", f, sep="|"),
    "no names": lambda p, f: text(p / "a.txt", f, sep="\t", header=False),
    "no names, spaces": lambda p, f: text(p / "a.dat", f, sep=" ", header=False, float_format="%.9e"),
    "UTF-16": lambda p, f: text(p / "a.csv", f, encoding="utf-16"),
    "UTF-16 without a mark": lambda p, f: text(p / "a.csv", f, encoding="utf-16-le"),
    "Latin-1": lambda p, f: text(p / "a.csv", f, "# Temperatur 21 °C, Bediener Jörg\n", encoding="latin-1"),
    "gzip": lambda p, f: packed(p, f),
    "a comment above": lambda p, f: text(p / "a.csv", f, "# lab book 7, page 3\n#\n"),
    "names in a comment": lambda p, f: text(p / "a.txt", f, "# " + "\t".join(COLUMNS) + "\n", sep="\t", header=False),
    "a preamble of keys": lambda p, f: text(p / "a.csv", f, "Instrument: 6221\nOperator = ada\nDate,2026-11-20\n\n"),
    "PPMS": lambda p, f: text(p / "a.dat", f, "[Header]\nTITLE, switching\nBYAPP,MultiVu\n[Data]\n"),
    "pymeasure": lambda p, f: text(p / "a.csv", renamed(f, **WORDS), PYMEASURE),
    "LabVIEW": lambda p, f: text(p / "a.lvm", f.assign(Comment=""), LABVIEW.format(mark="."), sep="\t"),
    "LabVIEW, decimal comma": lambda p, f: text(
        p / "a.lvm", f.assign(Comment=""), LABVIEW.format(mark=","), sep="\t", decimal=","
    ),
    "units below the names": lambda p, f: text(
        p / "a.csv", f, ",".join(COLUMNS) + "\num,,A,,ohm,ohm\n", header=False
    ),
    "units in brackets below": lambda p, f: text(
        p / "a.csv", renamed(f), "width,device,i_write,cycle,r_reset,r_write\n[um],,[A],,[ohm],[ohm]\n", header=False
    ),
    "a title above the names": lambda p, f: text(p / "a.csv", f, "switching of chip 4,,,,,\n"),
    "a footer": lambda p, f: text(p / "a.csv", f, after="\nEnd of measurement\n"),
    "separators behind": lambda p, f: text(p / "a.csv", f.assign(**{"": ""})),
    "columns that are empty": lambda p, f: text(p / "a.csv", f.assign(note="", spare=np.nan)),
    "quotes": lambda p, f: text(p / "a.csv", f, quoting=2),
    "another order": lambda p, f: text(p / "a.csv", f[list(reversed(COLUMNS))].sample(frac=1, random_state=3)),
}
OTHERS: dict[str, Writer] = {
    "mA": lambda p, f: text(p / "a.csv", scaled(f, "i_write_A", "i_write_mA", 1e3)),
    "uA in brackets": lambda p, f: text(p / "a.csv", scaled(f, "i_write_A", "Write current (µA)", 1e6)),
    "nm": lambda p, f: text(p / "a.csv", scaled(f, "width_um", "width [nm]", 1e3)),
    "milliohm": lambda p, f: text(p / "a.csv", scaled(f, "r_write_ohm", "R_write / mΩ", 1e3)),
    "negative": lambda p, f: text(p / "a.csv", f.assign(i_write_A=-f["i_write_A"])),
    "no cycle": lambda p, f: text(p / "a.csv", f.drop(columns="cycle")),
    "Excel": lambda p, f: excel(p, f),
    "Parquet": lambda p, f: (f.to_parquet(p / "a.parquet", index=False), p / "a.parquet")[1],
    "HDF5": lambda p, f: hdf5(p, f),
    "HDF5, one table": lambda p, f: hdf5(p, f, one=True),
    "netCDF 3": lambda p, f: (f.to_xarray().to_netcdf(p / "a.nc", engine="scipy"), p / "a.nc")[1],
    "netCDF 4": lambda p, f: netcdf4(p, f),
    "MATLAB": lambda p, f: matlab(p, f),
    "MATLAB, a struct": lambda p, f: matlab(p, f, struct=True),
    "NumPy": lambda p, f: (np.savez(p / "a.npz", **{n: f[n].to_numpy() for n in f}), p / "a.npz")[1],
    "NumPy, compressed table": lambda p, f: (
        np.savez_compressed(p / "a.npz", log=f.to_records(index=False)), p / "a.npz",
    )[1],
}  # fmt: skip


def crlf(folder: Path, frame: pd.DataFrame) -> Path:
    path = text(folder / "a.csv", frame)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    return path


def packed(folder: Path, frame: pd.DataFrame) -> Path:
    path = text(folder / "a.csv", frame)
    with gzip.open(folder / "a.csv.gz", "wb") as file:
        file.write(path.read_bytes())
    return folder / "a.csv.gz"


def excel(folder: Path, frame: pd.DataFrame) -> Path:
    with pd.ExcelWriter(folder / "a.xlsx", engine="openpyxl") as book:
        pd.DataFrame({"about": ["chip 4"]}).to_excel(book, sheet_name="notes", index=False)
        frame.to_excel(book, sheet_name="data", index=False, startrow=2)
        book.sheets["data"]["A1"] = "Switching of chip 4"
    return folder / "a.xlsx"


def hdf5(folder: Path, frame: pd.DataFrame, one: bool = False) -> Path:
    import h5py

    with h5py.File(folder / "a.h5", "w") as file:
        file.attrs["operator"] = "ada"
        if one:
            file["entry/log"] = frame.to_records(index=False)
        else:
            for name in frame:
                file[f"entry/{name}"] = frame[name].to_numpy()
    return folder / "a.h5"


def netcdf4(folder: Path, frame: pd.DataFrame) -> Path:
    import h5py

    plain = frame.rename(columns={name: name.rpartition("_")[0] or name for name in frame if name[-1] in "mA"})
    with h5py.File(folder / "a.nc", "w") as file:
        for old, new in zip(frame, plain, strict=True):
            file[new] = plain[new].to_numpy()
            if old != new:
                file[new].attrs["units"] = old.rpartition("_")[2]
    return folder / "a.nc"


def matlab(folder: Path, frame: pd.DataFrame, struct: bool = False) -> Path:
    from scipy.io import savemat

    columns = {name: frame[name].to_numpy() for name in frame}
    savemat(folder / "a.mat", {"log": columns} if struct else columns)
    return folder / "a.mat"
