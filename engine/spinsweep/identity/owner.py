"""Whose a module is: the standard library's, the engine's, another's package, or the user's own."""

from __future__ import annotations

import json
import re
import sys
import sysconfig
from collections.abc import Collection, Iterator
from contextlib import suppress
from functools import cache
from importlib import metadata, util
from pathlib import Path
from types import ModuleType

ENGINE = "spinsweep"
_FOLDER = Path(__file__).resolve().parents[1]
_LIBRARY = tuple({Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")})
_SITE = ("site-packages", "dist-packages")
# fmt: off
RELEASED = frozenset((
    "annotated-types", "bokeh", "cloudpickle", "cryptography", "dask", "distributed", "fsspec", "google-crc32c",
    "llvmlite", "matplotlib", "numba", "numcodecs", "numpy", "pandas", "pillow", "pint", "portalocker",
    "prometheus-client", "psutil", "pydantic", "pydantic-core", "pyvisa", "pyvisa-py", "pyyaml", "rich", "scipy",
    "statsmodels", "torch", "tornado", "typer", "xarray", "zarr",
))
# fmt: on
"""The engine's own dependencies.

Their releases keep results but for rounding: so their versions are recorded, compared with a worker's and told, but a
new one does not make old cells another code's.
"""


def is_released(package: str) -> bool:
    """Whether a package is one of :data:`RELEASED`."""
    return _normal(package) in RELEASED


class Owners:
    """Answers for one identity.

    Parameters
    ----------
    by_content : top-level packages that count by content however they were installed
    foreign : those that never do
    """

    def __init__(self, by_content: Collection[str] = (), foreign: Collection[str] = ()) -> None:
        self.by_content = set(by_content)
        self.foreign = set(foreign)
        self._packages: dict[str, tuple[str, str] | None] = {}

    def package(self, module: str) -> tuple[str, str] | None:
        """(name, version) of the package that counts in place of the module's content.

        ("", "") for the standard library; None where the content counts.
        """
        top = module.partition(".")[0]
        if top not in self._packages:
            self._packages[top] = self._package(top)
        return self._packages[top]

    def is_installed(self, module: str) -> bool:
        """Whether a module lies where packages are installed."""
        file = _file(module.partition(".")[0])
        return file is not None and any(p.name in _SITE for p in file.parents)

    def _package(self, top: str) -> tuple[str, str] | None:
        if top == "builtins":
            return "", ""
        if top == "__main__":
            return None
        file = _file(top)
        if file is None:
            known = top in sys.stdlib_module_names or top in sys.builtin_module_names
            return ("", "") if known else None
        if file.is_relative_to(_FOLDER):
            return ENGINE, version(ENGINE) or "unknown"
        site = next((p for p in file.parents if p.name in _SITE), None)
        if site is None:
            return ("", "") if any(file.is_relative_to(p) for p in _LIBRARY) else None
        if top in self.by_content:
            return None
        distribution = _distribution(top, site)
        if distribution is None:
            return (top, "unknown") if top in self.foreign else None
        name, number, users = distribution
        if users and top not in self.foreign and not is_released(name):
            return None
        return name, number


@cache
def _file(top: str) -> Path | None:
    """The file of a top-level module, or one in the folder of a package; it is not imported."""
    module = sys.modules.get(top)
    spec = getattr(module, "__spec__", None)
    if spec is None and module is None:
        try:
            spec = util.find_spec(top)
        except (ImportError, ValueError, AttributeError):
            return None
    origin = getattr(module, "__file__", None) or getattr(spec, "origin", None)
    if origin in ("built-in", "frozen"):
        return None
    if origin:
        return Path(origin).resolve()
    for folder in getattr(spec, "submodule_search_locations", None) or ():  # of a namespace
        return Path(folder).resolve() / "__init__.py"
    return None


@cache
def _distribution(top: str, site: Path) -> tuple[str, str, bool] | None:
    """Name and version of the distribution that brought a top-level module, and whether it is the user's own.

    It is when it was not published: installed from a folder, a wheel's file or a repository (PEP 610), or made for
    this engine: it requires it, or brings sweeps.
    """
    distribution = _distribution_at(top, site)
    if distribution is None:
        return None
    name = distribution.metadata["Name"]
    requires = any(_normal(_word(text)) == ENGINE for text in distribution.requires or ())
    plugs_in = any(point.group.startswith(f"{ENGINE}.") for point in distribution.entry_points)
    return name, distribution.version, requires or plugs_in or _unpublished(distribution)


def _distribution_at(top: str, site: Path) -> metadata.Distribution | None:
    for name in _candidates(top):
        with suppress(metadata.PackageNotFoundError):
            distribution = metadata.distribution(name)
            if Path(str(distribution.locate_file(""))).resolve() == site:
                return distribution
    return None


def _candidates(top: str) -> Iterator[str]:
    yield top
    yield from _all_packages().get(top, ())  # which takes long


_all_packages = cache(metadata.packages_distributions)


def _unpublished(distribution: metadata.Distribution) -> bool:
    installer = distribution.read_text("INSTALLER") or ""
    if installer.strip() == "conda":  # its packages say where their builder's folder was
        return False
    try:
        about = json.loads(distribution.read_text("direct_url.json") or "{}")
    except ValueError:
        return False
    folder = about.get("url", "").removeprefix("file://")
    if "dir_info" in about and not about["dir_info"].get("editable"):
        return Path(folder).is_dir()  # else built by a machine's administrator, and gone
    return bool(about)


@cache
def version(name: str) -> str | None:
    """Of an installed package; None where there is none of that name."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _word(requirement: str) -> str:
    word = re.match(r"[\w.-]+", requirement)
    return word[0] if word else ""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def label(module: ModuleType | None, name: str) -> str:
    """A module's name without what depends on where it lies: a script's is its file's."""
    file = getattr(module, "__file__", None)
    if file and (name == "__main__" or "." not in name):
        stem = Path(file).stem
        if stem == "__init__":
            stem = Path(file).parent.name
        if name == "__main__" or re.fullmatch(re.escape(stem) + "_[0-9a-f]{8}", name):
            return stem
    return name
