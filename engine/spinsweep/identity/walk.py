"""From a function to all of the user's own code and values that it reaches, each by name and digest."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import platform
import sys
import types
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np

from spinsweep.identity import bytecode, source
from spinsweep.identity.objects import (
    attribute_of,
    attributes,
    closure_values,
    functions_of,
    innermost,
    is_state,
    object_named,
    python_function,
)
from spinsweep.identity.owner import Owners, label
from spinsweep.identity.parts import ROOT, Identity, in_words
from spinsweep.identity.syntax import Chain, Syntax, methods, without_methods
from spinsweep.identity.values import Values

LARGE_PACKAGE = 3000
"""Parts of one installed package beyond which it counts by its version."""
_LIBRARY = "library"


def identify(function: Any, by_content: Collection[str] = (), reached: Sequence[Any] = ()) -> Identity:
    """The identity of a function, or of another object that is called, with all that it reaches.

    Parameters
    ----------
    by_content : top-level packages that count by content even where they were installed as published ones are
    reached : classes and functions that it finds while it runs, such as those of a plug-in
    """
    top = (getattr(innermost(function), "__module__", None) or "").partition(".")[0]
    return _walked([function, *reached], (), {*by_content, top} - {""})


def imported_here(identity: Identity) -> Identity:
    """The parts of an identity as this process imports them; those that travel by value are left out."""
    whole = [n for n in identity.parts if ":" in n and not {",", "<", "#"} & set(n)]  # others are found from these
    imported = sorted(n for n in {*whole, *identity.named} if n.partition(":")[0] not in identity.by_value)
    names = [n for n in imported if n in identity.parts]
    walked = _walked([], imported, identity.content_packages)
    parts = {n: "" for n in names} | {n: d for n, d in walked.parts.items() if "#" not in n}
    parts = {ROOT: identity.parts[ROOT], **parts}
    return Identity(parts, walked.packages, content_packages=walked.content_packages, notes=walked.notes)


class _TooLarge(Exception):
    def __init__(self, package: str) -> None:
        self.package = package


def _walked(roots: Sequence[Any], names: Iterable[str], by_content: Collection[str]) -> Identity:
    foreign: set[str] = set()
    while True:
        walk = _Walk(Owners({*by_content} - foreign, foreign))
        try:
            if roots:
                walk.parts[ROOT] = " with ".join([walk.edge(ROOT, value) for value in roots])
            for name in names:
                walk.imported(name)
            return walk.identity()
        except _TooLarge as error:
            foreign.add(error.package)


class _Walk:
    """One walk; functions and classes first, then the values, since code may say that it changes a value itself."""

    def __init__(self, owners: Owners) -> None:
        self.owners = owners
        self.parts: dict[str, str] = {}
        self._packages: set[str] = set()
        self._notes: dict[str, None] = {}
        self._code: deque[tuple[str, Any]] = deque()
        self._values: deque[tuple[str, Any]] = deque()
        self._files: dict[str, str] = {}
        """File of each global value's module."""
        self._changed: set[str] = set()
        """Global values that the code itself changes, such as what it keeps for the next call."""
        self._folders: set[str] = set()
        self._by_value: set[str] = set()
        self._labels: dict[str, str] = {}
        self._used: set[str] = set()
        self._names: dict[int, tuple[str, Any]] = {}
        """By id: a function's or class's name, and the object itself, so that the id stays its own."""
        self._taken: Counter[str] = Counter()
        self._sizes: Counter[str] = Counter()

    def identity(self) -> Identity:
        """All that is reached."""
        while self._code or self._values:
            if self._code:
                name, value = self._code.popleft()
                describe = self._class if isinstance(value, type) else self._function
                self.parts[name] = describe(name, value)
            else:
                name, value = self._values.popleft()
                self.parts[name] = "" if name in self._changed else self._values_of(name).digest(value)
        for name in sorted(self._changed & set(self.parts)):
            self._notes.setdefault(f"{in_words(name)} is changed by the code itself: what it holds does not count")
            text = source.assignments(self._files[name], name.partition(":")[2])
            self.parts[name] = hashlib.sha256(f"begins as {text}".encode()).hexdigest()
        content_packages = frozenset(n.partition(":")[0].partition(".")[0] for n in self.parts if ":" in n)
        parts, notes = dict(sorted(self.parts.items())), tuple(self._notes)
        packages, by_value, named = map(frozenset, (self._packages, self._by_value, self._used))
        return Identity(parts, packages, by_value, content_packages, named, notes)

    def imported(self, name: str) -> None:
        """Begin with what ``module:name`` is here, if it is there."""
        module, _, path = name.partition(":")
        try:
            self._from_module(importlib.import_module(module), tuple(path.split(".")))
        except Exception as error:  # the module is the user's, and may raise anything
            self._notes.setdefault(f"{module} cannot be imported: {type(error).__name__}: {error}")

    def edge(self, name: str, value: Any) -> str:
        """What ``value`` is called; it and its parts are noted, a plain value under ``name``."""
        reference = self._reference(value)
        if reference is not None:
            return reference
        if isinstance(value, types.MethodType):
            function = self.edge(name, value.__func__)
            return f"{function} of {self.edge(name, value.__self__)}"
        if id(value) in self._names:
            return self._names[id(value)][0]
        if isinstance(value, functools.partial):
            function = self.edge(name, value.func)
            arguments = {**{str(i): v for i, v in enumerate(value.args)}, **value.keywords}
            return self._whole_of(value, f"partial {function}", function, "argument", arguments)
        if self.owners.package(type(value).__module__) is None:
            state = attributes(value)
            if state is not None:
                kind = self.edge(name, type(value))
                return self._whole_of(value, f"object {kind}", kind, "attribute", state)
        if name not in self.parts:
            self.parts[name] = ""
            self._values.append((name, value))
        return name

    def _whole_of(self, value: Any, name: str, whole: str, what: str, values: Mapping[str, Any]) -> str:
        """What an object is called that has parts; the parts are noted with it, and may lead back to it."""
        name = self._free(name)
        self._names[id(value)] = name, value
        parts = [f"{n}={self.edge(self._free(f'{whole}, {what} {n}'), v)}" for n, v in sorted(values.items())]
        self._names[id(value)] = f"{name}({', '.join(parts)})", value
        return self._names[id(value)][0]

    def _free(self, name: str) -> str:
        """``name``, with a number where another object has it."""
        self._taken[name] += 1
        return name if self._taken[name] == 1 else f"{name}#{self._taken[name]}"

    def _reference(self, value: Any) -> str | None:
        """What a function, class or module is called; None for a value."""
        kind = type(value)
        if kind in (str, int, float, tuple, list, dict, np.ndarray):
            return None
        if isinstance(value, types.ModuleType):
            return self._from_module(value, ())
        if isinstance(value, types.FunctionType):
            return self._named(value, value.__globals__.get("__name__") or "", value.__code__.co_qualname)
        if isinstance(value, type):
            return self._named(value, value.__module__, value.__qualname__)
        if isinstance(value, types.BuiltinFunctionType):
            owner = value.__self__
            if owner is None or isinstance(owner, types.ModuleType):
                return self._outer(value.__module__ or "builtins", value.__qualname__)
            return None
        if isinstance(value, np.ufunc) and value.__name__.isidentifier():
            return self._outer("numpy", value.__name__)
        inner = python_function(value)
        if inner is not None:
            options = attribute_of(value, "targetoptions")
            name = self._reference(inner) or ""
            if options and f"{name}, compiled" not in self.parts:
                self.edge(f"{name}, compiled", {n: v for n, v in options.items() if isinstance(v, bool | str | int)})
            return name
        module, qualname = (attribute_of(value, n) for n in ("__module__", "__qualname__"))
        if isinstance(module, str) and isinstance(qualname, str) and self.owners.package(module) is not None:
            return self._outer(module, qualname) if object_named(module, qualname) is value else None
        return None

    def _outer(self, module: str, name: str) -> str:
        """The name of what is not the user's own; a package is noted with its version."""
        package = self.owners.package(module)
        if package is not None and package[0]:
            self.parts.setdefault(package[0], package[1])
            self._packages.add(package[0])
            return f"{package[0]} {name}"
        return f"{module.partition('.')[0] if package is None else _LIBRARY} {name}"

    def _named(self, value: Any, module: str, qualname: str) -> str:
        """A function's or class's name; it is kept to be looked at if it is the user's."""
        known = self._names.get(id(value))
        if known is not None:
            return known[0]
        package = self.owners.package(module)
        if package is None:
            name = self._free(f"{self._label(module)}:{qualname}")
            self._code.append((name, value))
            self._sizes[module.partition(".")[0]] += 1
            top = module.partition(".")[0]
            if self._sizes[top] > LARGE_PACKAGE and self.owners.is_installed(top):
                raise _TooLarge(top)
        else:
            name = self._outer(module, qualname)
            if isinstance(value, types.FunctionType) and object_named(module, qualname) is not value:
                self._names[id(value)] = name, value
                name = f"{name}({self._made(name, value)})"
        self._names[id(value)] = name, value
        return name

    def _made(self, name: str, function: types.FunctionType) -> str:
        """What a function that another's code made holds: of a decorator, the user's function."""
        cells = closure_values(function)
        registry = getattr(function, "registry", None)
        if registry is not None and hasattr(function, "dispatch"):  # functools.singledispatch
            cells = {f"{kind.__module__}.{kind.__qualname__}": case for kind, case in registry.items()}
        if name.startswith(_LIBRARY):  # whose own variables differ between versions of Python
            return ", ".join(r for _, v in sorted(cells.items()) if ":" in (r := self._reference(v) or ""))
        values = self._values_of(name)
        return ", ".join(f"{n}={self._reference(v) or values.digest(v)}" for n, v in sorted(cells.items()))

    def _values_of(self, name: str) -> Values:
        return Values(self._reference, functools.partial(self._opaque, name), self._folders)

    def _label(self, module: str) -> str:
        if module not in self._labels:
            self._labels[module] = self._new_label(module)
        return self._labels[module]

    def _new_label(self, module: str) -> str:
        loaded = sys.modules.get(module)
        name = label(loaded, module)
        file = getattr(loaded, "__file__", None)
        if file:
            depth = module.count(".") + (Path(file).stem == "__init__") if module != "__main__" else 0
            self._folders.add(str(Path(file).resolve().parents[depth]))
            self._folders.add(str(Path(file).absolute().parents[depth]))
        top = module.partition(".")[0]
        if module == "__main__" or name != module or {module, top} & cloudpickle.list_registry_pickle_by_value():
            self._by_value.add(name)
        return name

    def _from_module(self, module: types.ModuleType, path: Chain) -> str:
        """What the dotted name ``path`` in a module is called."""
        while path:
            inner = vars(module).get(path[0])
            if inner is None:
                inner = sys.modules.get(f"{module.__name__}.{path[0]}")
            if not isinstance(inner, types.ModuleType):
                break
            module, path = inner, path[1:]
        name = module.__name__
        if self.owners.package(name) is not None:
            return self._outer(name, ".".join((name, *path)))
        if not path:
            return f"all of {self._whole(module)}"
        if path[0].startswith("__"):
            return path[0]
        try:
            value = getattr(module, path[0])
        except AttributeError:
            return f"missing {path[0]}"
        return self._global(name, path[0], value, getattr(module, "__file__", None) or "")

    def _whole(self, module: types.ModuleType) -> str:
        """All that a module defines, where it is used as a value."""
        name = self._label(module.__name__)
        if id(module) not in self._names:
            self._names[id(module)] = name, module
            for key, value in sorted(vars(module).items()):
                if not key.startswith("__") and not isinstance(value, types.ModuleType):
                    self._global(module.__name__, key, value, module.__file__ or "")
        return name

    def _global(self, module: str, name: str, value: Any, file: str) -> str:
        part = f"{self._label(module)}:{name}"
        self._files[part] = file
        self._used.add(part)
        return self.edge(part, value)

    def _function(self, name: str, function: types.FunctionType) -> str:
        """A function's digest, of its syntax and of what its names lead to."""
        code = function.__code__
        syntax = source.of_function(code)
        if syntax is None:
            self._notes.setdefault(
                f"{in_words(name)} has no source that is the loaded one: its bytecode of Python "
                f"{'.'.join(platform.python_version_tuple()[:2])} counts"
            )
            syntax = bytecode.of_bytecode(code, function.__doc__)
        edges = list(self._edges(function, syntax, name))
        for variable, value in closure_values(function).items():
            edges.append(f"{variable}={self.edge(f'{name}, closure {variable}', value)}")
        defaults = function.__defaults__, function.__kwdefaults__
        if any(defaults):
            edges.append(self.edge(f"{name}, defaults", defaults))
        for attribute, value in sorted(vars(function).items()):
            edges.append(f".{attribute}={self.edge(f'{name}, attribute {attribute}', value)}")
        return _digest(syntax.text, edges)

    def _edges(self, function: types.FunctionType, syntax: Syntax, name: str) -> Iterator[str]:
        """What a function's names lead to, outside of it."""
        scope, module = function.__globals__, function.__globals__.get("__name__") or ""
        names = bytecode.global_names(function.__code__)
        imported = dict(self._imports(syntax, scope))
        file = function.__code__.co_filename
        for changed in syntax.changed & names:
            self._changed.add(f"{self._label(module)}:{changed}")
        outer = [c for c in syntax.outer if "<locals>" not in name]
        for chain in dict.fromkeys([*syntax.names, *outer]):
            root, rest = chain[0], chain[1:]
            if root in imported:
                known = imported[root]
                to = known if isinstance(known, str) else self._from_module(known, rest)
            elif (root in names or chain in outer) and root in scope and not root.startswith("__"):
                value = scope[root]
                is_module = isinstance(value, types.ModuleType)
                to = self._from_module(value, rest) if is_module else self._global(module, root, value, file)
            else:
                continue
            yield f"{'.'.join(chain)}={to}"

    def _imports(self, syntax: Syntax, scope: Mapping[str, Any]) -> Iterator[tuple[str, str | types.ModuleType]]:
        """Names that imports within a function bind, to modules or to what is noted already.

        Only the user's own modules are imported for it.
        """
        for module, level, name, local in syntax.imports:
            try:
                whole = importlib.util.resolve_name("." * level + module, scope.get("__package__") or "")
                if self.owners.package(whole) is not None:
                    self._outer(whole, name)
                    continue
                value: Any = importlib.import_module(whole)
                if name:
                    value = getattr(value, name, None) or importlib.import_module(f"{whole}.{name}")
                    if not isinstance(value, types.ModuleType):
                        value = self._global(whole, name, value, sys.modules[whole].__file__ or "")
                elif local == whole.partition(".")[0]:
                    value = sys.modules[local]
            except Exception as error:  # it may be there on workers only
                self._notes.setdefault(f"{'.' * level}{module} cannot be imported: {type(error).__name__}")
                continue
            yield local, value

    def _class(self, name: str, kind: type) -> str:
        """A class's digest: of its body but for its methods, which are parts of their own."""
        module = sys.modules.get(kind.__module__)
        functions = {n: list(functions_of(member)) for n, member in sorted(vars(kind).items())}
        files = [f.__code__.co_filename for fs in functions.values() for f in fs if f.__module__ == kind.__module__]
        candidates = dict.fromkeys([getattr(module, "__file__", None), *files])
        nodes = next((n for f in candidates if f and (n := source.class_nodes(f, kind.__qualname__))), [])
        bodies = [without_methods(n) for n in nodes]
        scope = vars(module) if module else {}
        edges = [f"base {self.edge(name, b)}" for b in kind.__bases__ if b is not object]
        if type(kind) is not type:
            edges.append(f"metaclass {self.edge(name, type(kind))}")
        for chain in dict.fromkeys(c for body in bodies for c in body.names):
            if chain[0] in scope and not chain[0].startswith("__"):
                value = scope[chain[0]]
                if isinstance(value, types.ModuleType):
                    edges.append(f"{'.'.join(chain)}={self._from_module(value, chain[1:])}")
                else:
                    file = getattr(module, "__file__", None) or ""
                    edges.append(f"{chain[0]}={self._global(kind.__module__, chain[0], value, file)}")
        written = {name for n in nodes for name in methods(n)}
        for attribute, member in sorted(vars(kind).items()):
            if attribute.startswith("__") and attribute not in written and (nodes or kind.__bases__ == (tuple,)):
                continue  # what a decorator or base made follows from what is written
            edges += [f"{attribute}: {self.edge(name, function)}" for function in functions[attribute]]
            if not functions[attribute] and is_state(kind, attribute, member):
                edges.append(f"{attribute}={self.edge(f'{name}.{attribute}', member)}")
        return _digest("|".join(body.text for body in bodies), edges)

    def _opaque(self, name: str, kind: str) -> None:
        self._notes.setdefault(f"{in_words(name)} holds a {kind}, which counts by its type only")


def _digest(text: str, edges: Iterable[str]) -> str:
    return hashlib.sha256("\n".join((text, *edges)).encode("utf-8", "surrogatepass")).hexdigest()
