"""The identity of code that is no installed plugin: a function, a class or a module of a session.

    digest(thing)  # 12 hex digits: equal source and equal values, equal digits

What counts is the source of the thing and of all that it refers to: functions and classes of the
same notebook or script, modules of one's own that it imports, values it closes over. Of installed
libraries the names count alone. Where the source stands does not count: a cell may be renamed.
"""

import ast
import dis
import functools
import hashlib
import inspect
import linecache
import sys
import textwrap
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from geobench.errors import GeobenchError
from geobench.registry import own_values, plugin_files
from geobench.registry.libraries import is_library

if TYPE_CHECKING:
    from torch import nn


def digest(thing: object, name: str) -> str:
    """Return 12 hex digits that change with the source of `thing` and what it refers to.

    `GeobenchError` names what has no identity, and says what to pass instead.
    """
    walk = _Walk(name)
    walk.add(name, thing)
    return hashlib.sha256("\n".join(walk.lines).encode()).hexdigest()[:12]


def source(thing: Any) -> str:
    """Return the source of a class or function, as it was written; "" if nobody knows it."""
    try:
        return _source_of_class(thing) if inspect.isclass(thing) else _source_of_function(thing)
    except (OSError, TypeError, SyntaxError, AttributeError):
        return ""


def networks(thing: object, name: str) -> "dict[str, nn.Module]":
    """Return the networks that a thing is or refers to, by the path to each; "": it is one."""
    walk = _Walk(name, lenient=True)
    walk.add(name, thing)
    return {path.removeprefix(name).lstrip("."): net for path, net in walk.networks.items()}


class _Walk:
    """Collects a line for each thing and value that is met, in the order of the source."""

    def __init__(self, name: str, *, lenient: bool = False) -> None:
        self.name, self.lines = name, list[str]()
        self.networks: dict[str, nn.Module] = {}
        self._lenient, self._inside = lenient, False
        self._numbers: dict[int, int] = {}
        self._kept: list[object] = []  # ids are those of living things

    def add(self, path: str, thing: Any) -> None:
        """Add a thing that is met at a path, and what it refers to."""
        plain = own_values.plain(thing)
        if plain is not None:
            self.lines.append(f"{path} = {plain}")
            return
        if id(thing) in self._numbers:
            self.lines.append(f"{path} is {self._numbers[id(thing)]}")
            return
        self._numbers[id(thing)] = len(self._numbers)
        self._kept.append(thing)
        self.lines.append(f"{path}: {type(thing).__name__}")
        outermost = own_values.is_network(thing) and not self._inside
        if outermost:
            self.networks[path], self._inside = thing, True
        try:
            for key, part in self._parts(path, thing):
                self.add(f"{path}.{key}", part)
        except GeobenchError:
            if not self._lenient:
                raise
        finally:
            self._inside = self._inside and not outermost

    def _parts(self, path: str, thing: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(thing, ModuleType):
            self._module(thing)
        elif inspect.isclass(thing):
            yield from self._class(path, thing)
        elif isinstance(thing, MethodType):
            yield from (("self", thing.__self__), ("function", thing.__func__))
        elif isinstance(thing, FunctionType):
            yield from self._function(path, thing)
        elif isinstance(inner := _wrapped(thing), FunctionType):
            yield "wrapped", inner
        elif inspect.isroutine(thing):
            self.lines.append(f"{getattr(thing, '__module__', '')}.{thing.__qualname__}")
        elif isinstance(thing, functools.partial):
            yield from (("function", thing.func), ("args", thing.args), ("keys", thing.keywords))
        else:
            yield from own_values.parts(thing, self._refused(path, thing))

    def _module(self, module: ModuleType) -> None:
        if is_library(module):
            self.lines.append(module.__name__)
            return
        file = Path(str(module.__file__))
        depth = module.__name__.count(".") + (file.name == "__init__.py")
        folder = file.parents[depth]
        sources = plugin_files.sources(folder, file.relative_to(folder).as_posix())
        for path, text in sources.items():
            if inner := _loaded(folder / path):
                _check_current(inner, text)
                self.lines += [f"{path} {line}" for line in _plain_values(inner)]
            self.lines.append(f"{path} {hashlib.sha256(text).hexdigest()}")

    def _function(self, path: str, function: FunctionType) -> Iterator[tuple[str, Any]]:
        inner = _wrapped(function)
        home = _home(function.__code__.co_filename)
        if home and is_library(home):
            self.lines.append(f"{home.__name__}.{function.__qualname__}")
            if inner is not None:
                yield "wrapped", inner
                return
        elif home and home.__name__ != "__main__":
            self.lines += [function.__qualname__, _exactly(function)]
            yield "module", home
            used = ((n, function.__globals__.get(n)) for n in _globals_of(function.__code__))
            yield from ((n, value) for n, value in used if own_values.is_network(value))
        else:
            self.lines += [self._text(path, function), _exactly(function)]
            names = dict.fromkeys(_globals_of(function.__code__))
            yield from ((n, function.__globals__[n]) for n in names if n in function.__globals__)
        yield from _closed_over(function)

    def _class(self, path: str, cls: type) -> Iterator[tuple[str, Any]]:
        home = sys.modules.get(cls.__module__)
        if home and is_library(home):
            self.lines.append(f"{cls.__module__}.{cls.__qualname__}")
            return
        inside = _functions(cls)
        if home and getattr(home, "__file__", None) and home.__name__ != "__main__":
            self.lines.append(cls.__qualname__)
            yield "module", home
            for name, function in inside:
                yield from ((f"{name}.{key}", part) for key, part in _closed_over(function))
            return
        text = self._text(path, cls)
        self.lines += [text, *_plain_values(cls)]
        yield from ((f"base {i}", base) for i, base in enumerate(cls.__bases__))
        known = vars(home) if home else {}
        yield from ((name, known[name]) for name in _names_of_body(text) if name in known)
        for name, function in inside:
            for used in dict.fromkeys(_globals_of(function.__code__)):
                if used in function.__globals__:
                    yield f"{name}.{used}", function.__globals__[used]
            yield from ((f"{name}.{key}", part) for key, part in _closed_over(function))

    def _text(self, path: str, thing: Any) -> str:
        text = source(thing)
        if not text:
            raise GeobenchError(
                f"{self.name}: the source of {path} is not to be found, so nobody could tell one "
                f"version from the next. Write it in a notebook's cell or in a file, or pass "
                f"version='…', a text that you change whenever the numbers change."
            )
        return text

    def _refused(self, path: str, thing: object) -> GeobenchError:
        return GeobenchError(
            f"{self.name} refers to {path.removeprefix(self.name + '.')}, which is of the type "
            f"{type(thing).__name__}: its content has no identity that geobench knows. Give it "
            f"numbers, arrays, tensors, networks or functions instead, or pass version='…', a text "
            f"that you change whenever the numbers change."
        )


def _wrapped(thing: Any) -> Any:
    """What a decorator of a library has wrapped; None if it is no such thing."""
    inner = getattr(thing, "__wrapped__", None)
    return getattr(thing, "py_func", None) if inner is None else inner


def _functions(cls: type) -> list[tuple[str, FunctionType]]:
    """The functions that are written in a class: not those that pydantic or dataclass add."""
    named = ((name, _plain(attribute)) for name, attribute in vars(cls).items())
    return [
        (name, f)
        for name, f in named
        if f and f.__module__ == cls.__module__ and f.__code__.co_filename != "<string>"
    ]


def _plain(attribute: object) -> FunctionType | None:
    """The function that an attribute of a class is."""
    for inner in ("__func__", "fget", "func"):
        attribute = getattr(attribute, inner, attribute)
    return attribute if isinstance(attribute, FunctionType) else None


def _home(filename: str) -> ModuleType | None:
    """The module whose file holds some code; None: a cell of a notebook."""
    return _loaded(Path(filename)) if filename.endswith(".py") else None


def _loaded(file: Path) -> ModuleType | None:
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) and Path(str(module.__file__)) == file:
            return module
    return None


def _closed_over(function: FunctionType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if name != "__class__":
            yield name, cell.cell_contents
    yield "defaults", (function.__defaults__ or (), function.__kwdefaults__ or {})


def _globals_of(code: CodeType) -> Iterator[str]:
    """Names of globals that some code reads, in the order in which it does."""
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield str(step.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals_of(constant)


def _plain_values(owner: ModuleType | type) -> Iterator[str]:
    """Plain values in a module and its classes as they are now, whatever the text says."""
    for name, value in sorted(vars(owner).items()):
        if name.startswith("__"):
            continue
        plain = own_values.plain(value)
        if plain is not None:
            yield f"{name} = {plain}"
        elif inspect.isclass(value) and value.__module__ == owner.__name__:
            yield from (f"{name}.{line}" for line in _plain_values(value))


def _exactly(function: FunctionType) -> str:
    """The text of a lambda alone: several may stand on one line."""
    places = [
        ((line, column), (end, end_column))
        for line, end, column, end_column in function.__code__.co_positions()
        if line is not None and end is not None and column is not None and end_column is not None
    ]
    if function.__name__ != "<lambda>" or not places:
        return ""
    first, last = min(start for start, _ in places), max(end for _, end in places)
    lines = linecache.getlines(function.__code__.co_filename)[first[0] - 1 : last[0]]
    if not lines:
        return ""
    encoded = [line.encode() for line in lines]  # columns count bytes
    encoded[-1] = encoded[-1][: last[1]]
    encoded[0] = encoded[0][first[1] :]
    return b"".join(encoded).decode()


def _names_of_body(text: str) -> list[str]:
    """Names that the body of a class reads, its functions left out."""
    (tree,) = ast.parse(text).body
    names: list[str] = []
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            names.append(node.id)
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        waiting += [*node.decorator_list] if isinstance(node, ast.FunctionDef) else []
        waiting += [] if inside else [*ast.iter_child_nodes(node)]
    return list(dict.fromkeys(names))


def _source_of_function(function: FunctionType) -> str:
    return textwrap.dedent(inspect.getsource(function.__code__))


def _source_of_class(cls: type) -> str:
    """The text of a class: also of one in a cell, which Python itself does not find."""
    codes = [function.__code__ for _, function in _functions(cls)]
    inside = {code.co_filename: code.co_firstlineno for code in codes}
    own = [name for name in inside if name in linecache.cache or Path(name).exists()]
    for filename in own or [*reversed(linecache.cache)]:
        text = "".join(linecache.getlines(filename))
        if found := _class_text(text, cls.__name__, inside.get(filename)):
            return found
    return textwrap.dedent(inspect.getsource(cls))


def _class_text(text: str, name: str, line: int | None) -> str:
    """The last class of a name in a text, without its decorators; `line`: one within it."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return ""
    lines = text.splitlines()
    for node in reversed([*ast.walk(tree)]):
        if isinstance(node, ast.ClassDef) and node.name == name:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if line is None or first <= line <= (node.end_lineno or first):
                return textwrap.dedent("\n".join(lines[node.lineno - 1 : node.end_lineno]))
    return ""


def _check_current(module: ModuleType, text: bytes) -> None:
    """Raise if the file of a module is not what runs: it was edited after it was imported."""
    if type(module.__loader__) is not SourceFileLoader:
        return  # what it runs is not the text as it stands
    whole = compile(text, str(module.__file__), "exec", dont_inherit=True)
    compiled = {code.co_qualname: code for code in _codes(whole)}
    methods = {
        f"{name}.{method}": function
        for name, cls in vars(module).items()
        if inspect.isclass(cls) and cls.__module__ == module.__name__
        for method, function in _functions(cls)
    }
    for name, thing in {**vars(module), **methods}.items():
        code = getattr(inspect.unwrap(thing) if callable(thing) else thing, "__code__", None)
        written = compiled.get(name)
        if code is None or written is None or code.co_filename != module.__file__:
            continue
        if code.co_qualname == name and written != code:
            raise GeobenchError(
                f"{module.__file__} was edited after it was imported, so its text is not what "
                f"runs. Restart the kernel, or importlib.reload({module.__name__}) and define "
                f"anew what uses it; or pass version='…', a text that you change whenever the "
                f"numbers change."
            )


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Every code object within another one, those of functions and of methods."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)
