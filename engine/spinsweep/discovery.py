"""Sweeps by name: installed ones by entry point, others as ``module:NAME``, ``file.py:NAME``, or ``file.py`` alone
where it has one sweep."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

from spinsweep.axis import closest
from spinsweep.errors import SpecError
from spinsweep.plugins import EXECUTORS, installed, renamed
from spinsweep.printable import said
from spinsweep.spec import Sweep
from spinsweep.user_modules import UserModules


def find(name: str) -> Sweep:
    """The sweep called ``name``.

    Raises
    ------
    SpecError
        There is no such sweep, module, file or object.
    """
    points = installed()
    point = points.get(name)
    sweep = _imported(f"the sweep {name!r} ({point.value})", point.load) if point else _named(name, list(points))
    if not isinstance(sweep, Sweep):
        raise SpecError(f"{name} is a {type(sweep).__name__}, not a Sweep")
    return sweep


def executor_named(name: str) -> Any:
    """What starts the executor called ``name``; see :mod:`spinsweep.executors.protocol`.

    Raises
    ------
    SpecError
        There is none of that name, or it cannot be imported.
    """
    point = executor_point(name)
    return _imported(f"the executor {name!r} ({point.value})", point.load)


def executor_point(name: str) -> EntryPoint:
    """Where the executor called ``name`` is; nothing is imported.

    Raises
    ------
    SpecError
        There is none of that name.
    """
    points = installed(EXECUTORS)
    if name not in points:
        raise SpecError(f"there is no executor {name!r}{closest(name, points)}; installed are {', '.join(points)}")
    return points[name]


def reference(name: str) -> str:
    """``name`` in the form that finds the sweep again from any folder."""
    if name.endswith(".py"):
        return str(Path(name).resolve())
    module, colon, attribute = name.rpartition(":")
    return f"{Path(module).resolve()}:{attribute}" if colon and module.endswith(".py") else name


def reference_of(sweep: Sweep) -> str:
    """``MODULE:NAME`` or ``FILE.py:NAME`` by which the sweep is found again, or its name."""
    module = sys.modules.get(getattr(sweep.function, "__module__", ""))
    for name, value in vars(module).items() if module else ():
        if isinstance(value, Sweep) and value.name == sweep.name:
            file = getattr(module, "__file__", None)
            installed = module is not None and module.__name__ != "__main__" and "." in module.__name__
            return f"{Path(file).resolve()}:{name}" if file and not installed else f"{module.__name__}:{name}"  # type: ignore[union-attr]
    return sweep.name


def figures(sweep: Sweep) -> dict[str, Callable[..., Any]]:
    """The sweep's figures: file stem -> function Dataset -> Figure.

    Raises
    ------
    SpecError
        The sweep's reference leads to no such mapping.
    """
    if not sweep.figures:
        return {}
    builders = _attribute(sweep, "figures")
    if not isinstance(builders, Mapping) or not all(isinstance(n, str) and callable(f) for n, f in builders.items()):
        is_mapping = isinstance(builders, Mapping)
        what = "a mapping of something else" if is_mapping else f"of type {type(builders).__name__}"
        raise SpecError(
            f"sweep {sweep.name!r}: figures {sweep.figures!r} is {what}; "
            "it is a mapping from file stem to a function Dataset -> Figure"
        )
    return dict(builders)


def on_bench(sweep: Sweep, bench: Any) -> Sweep:
    """The sweep as it is measured on a bench.

    Raises
    ------
    SpecError
        It is computed only, or its reference leads to nothing.
    """
    if not sweep.on_bench:
        raise SpecError(f"sweep {sweep.name!r} is only computed; it cannot be measured on a bench")
    measured: Sweep = _attribute(sweep, "on_bench")(sweep, bench)
    return measured


def _attribute(sweep: Sweep, field: str) -> Any:
    """The object that the sweep refers to in ``field`` as ``module:NAME``."""
    reference: str = getattr(sweep, field)
    module_name, colon, name = reference.partition(":")
    what = f"sweep {sweep.name!r}: {field} {reference!r}"
    if not (_is_module(module_name) and colon and name):
        raise SpecError(f"{what} is not MODULE:NAME, such as {module_name or 'mine'}:{name or field.upper()}")
    module = _imported(f"{what}: module {module_name!r}", lambda: importlib.import_module(module_name))
    if not hasattr(module, name):
        raise SpecError(f"{what}: module {module_name!r} has no {name!r}{closest(name, vars(module))}")
    return getattr(module, name)


def _imported(what: str, load: Callable[[], Any]) -> Any:
    """What ``load`` imports; the code is the user's and may raise anything, which is one line then."""
    try:
        return load()
    except KeyboardInterrupt:
        raise
    except SystemExit as end:
        raise SpecError(
            f"{what} cannot be imported: it ends the process (exit status {end.code}); put what must not run then "
            'under `if __name__ == "__main__":`'
        ) from end
    except BaseException as error:
        old = ((isinstance(error, ImportError) and error.name) or "").partition(".")[0]
        hint = f"; spinsweep's {old} is called {renamed(old)} now: write that name instead" if renamed(old) else ""
        raise SpecError(f"{what} cannot be imported: {said(error)}{_location(error)}{hint}") from error


def _location(error: BaseException) -> str:
    """Where in the imported code an exception came up, in words; a SyntaxError says it by itself."""
    if isinstance(error, SyntaxError):
        return ""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<frozen")]
    user_frames = [f for f in frames if f.filename != __file__ and "importlib" not in Path(f.filename).parts]
    return f" ({user_frames[-1].filename}:{user_frames[-1].lineno})" if user_frames else ""


def _is_module(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def _named(name: str, known: list[str]) -> Any:
    module_name, _, attribute = (name, "", "") if name.endswith(".py") else name.rpartition(":")
    if not (name.endswith(".py") or (attribute and (module_name.endswith(".py") or _is_module(module_name)))):
        raise SpecError(
            f"there is no sweep {name!r}{closest(name, known)}; installed are {', '.join(known)}; "
            "name your own as FILE.py, FILE.py:NAME or MODULE:NAME"
        )
    if module_name.endswith(".py"):
        loaded = _file(Path(module_name))
    else:
        UserModules.finder().add(Path.cwd())
        loaded = _imported(f"module {module_name!r}", lambda: importlib.import_module(module_name))
    sweeps = [n for n, v in vars(loaded).items() if isinstance(v, Sweep)]
    if attribute:
        try:
            return getattr(loaded, attribute)
        except AttributeError:
            names = ", ".join(sweeps) or "none"
            raise SpecError(f"{module_name} has no {attribute!r}; its sweeps are {names}") from None
    different = {id(getattr(loaded, n)): n for n in sweeps}
    if len(different) == 1:
        return getattr(loaded, sweeps[0])
    if not different:
        raise SpecError(f"{module_name} has no sweep: assign a Sweep to a name at the top level of the file")
    raise SpecError(
        f"{module_name} has {len(different)} sweeps: {', '.join(sweeps)}; "
        f"name one of them, as in {module_name}:{sweeps[0]}"
    )


def _file(path: Path) -> ModuleType:
    """The module in a file, sent to workers by value since they may not have the file."""
    try:
        exists = path.is_file()
    except OSError:  # a name that is too long
        exists = False
    if not exists:
        raise SpecError(f"{path} does not exist; name your own sweep as FILE.py or FILE.py:NAME")
    UserModules.finder().add(path.resolve().parent)  # for modules beside it
    name = path.stem
    if name in sys.modules:  # a module of that name is in use: this one gets another
        name += "_" + hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    spec: Any = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        _imported(str(path), lambda: spec.loader.exec_module(module))
    except BaseException:
        sys.modules.pop(name, None)
        raise
    from cloudpickle import register_pickle_by_value  # late: most sweeps are installed

    register_pickle_by_value(module)
    return module
