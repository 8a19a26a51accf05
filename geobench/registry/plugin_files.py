"""A plugin that is one Python file, with the modules beside it that it imports.

The file and these modules are read once, when the plugin is loaded. Their text is what runs and
what the identity is computed from, also when a module is first imported hours later.

Each plugin file is a package of its own: two files that import `helper` from different folders get
the `helper` beside them, and no file gets a stale compiled copy.
"""

import ast
import builtins
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from geobench.errors import GeobenchError

_OURS = {"geobench", "geobench_plugins", "geobench_catalog"}
_Sources = dict[str, bytes]  # of each module, by its file's path under the folder


def load(file: Path) -> tuple[ModuleType, str]:
    """Import a plugin file; return the module and the digest that belongs to its identity.

    The digest has 12 hex digits and covers the file and all modules of its folder that it imports.
    That of a file without such modules is the SHA-256 of its text. The folder's place is left out.
    """
    if not file.is_file():
        raise GeobenchError(f"there is no file {file}")
    if file.suffix != ".py":
        raise GeobenchError(f"{file} is not a Python file")
    folder = file.absolute().parent
    texts = sources(folder, file.name)
    digest = _digest(file, texts)
    # Equal names for equal files in every process: objects of these modules can be pickled.
    identifier = hashlib.sha256(f"{file.absolute()} {digest}".encode()).hexdigest()[:16]
    package = f"geobench_file_{identifier}"
    for name in [
        module_name for module_name in sys.modules if module_name.partition(".")[0] == package
    ]:
        del sys.modules[name]  # classes are made anew for each registry
    root = ModuleType(package)
    root.__path__ = [str(folder)]
    sys.modules[package] = root
    main = file.stem.replace(".", "_")
    _Finder.install().packages[package] = _Package(package, folder, main, file.name, texts)
    return importlib.import_module(f"{package}.{main}"), digest[:12]


def sources(folder: Path, file: str) -> dict[str, bytes]:
    """Text of a file and of all modules that it imports from a folder, at any depth.

    By path under the folder.
    """
    texts: _Sources = {}
    waiting = [file]
    while waiting:
        path = waiting.pop()
        if path not in texts:
            texts[path] = (folder / path).read_bytes()
            waiting += _imported(folder, path, texts[path])
    return texts


def _digest(file: Path, sources: Mapping[str, bytes]) -> str:
    file_digest = hashlib.sha256(sources[file.name]).hexdigest()
    others = [
        f"{path} {hashlib.sha256(sources[path]).hexdigest()}"
        for path in sorted(sources)
        if path != file.name
    ]
    return (
        hashlib.sha256("\n".join([file_digest, *others]).encode()).hexdigest()
        if others
        else file_digest
    )


def _imported(folder: Path, path: str, source: bytes) -> Iterator[str]:
    """Files under the folder that a module imports, wherever in its text the import stands."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return  # whoever imports it will say so
    parts = path.removesuffix(".py").split("/")
    package = parts[:-1]  # of the module, and of an __init__.py the package itself
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files(folder, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            start = node.module.split(".") if node.module else []
            if node.level > len(package) + 1:
                continue
            if node.level:
                start = [*package[: len(package) + 1 - node.level], *start]
            names = [alias.name for alias in node.names]
            yield from _files(folder, start, names, relative=node.level > 0)
        elif isinstance(node, ast.Call) and (name := _named_in_call(node)):
            inner = name.lstrip(".")
            start = package[: len(package) + 1 - (len(name) - len(inner))]
            whole = [*start, *inner.split(".")] if inner != name else name.split(".")
            yield from _files(folder, whole, relative=inner != name)


def _named_in_call(call: ast.Call) -> str:
    """The module of `import_module("name")` and `__import__("name")`."""
    called = getattr(call.func, "attr", getattr(call.func, "id", ""))
    first = call.args[0] if call.args else None
    if called not in ("import_module", "__import__") or not isinstance(first, ast.Constant):
        return ""
    return first.value if isinstance(first.value, str) else ""


def _files(
    folder: Path, parts: Sequence[str], names: Sequence[str] = (), *, relative: bool = False
) -> Iterator[str]:
    """Files that importing a module runs: its packages, itself, and what `names` name of it."""
    if parts and not relative and not _is_beside(folder, parts[0]):
        return
    prefix = ""
    for part in parts:
        file = _module_file(folder, f"{prefix}{part}")
        if file:
            yield file
        prefix += f"{part}/"
    inside = folder / prefix
    for name in names:
        if name == "*":  # __all__ may name any of its modules
            for module in sorted(inside.glob("*.py") if prefix else ()):
                yield f"{prefix}{module.name}"
        elif file := _module_file(folder, f"{prefix}{name}"):
            yield file


def _module_file(folder: Path, path: str) -> str | None:
    """The file of a module under the folder, as Python would choose it."""
    for file in (f"{path}/__init__.py", f"{path}.py"):
        if (folder / file).is_file():
            return file
    return None


def _is_beside(folder: Path, name: str) -> bool:
    """Whether `import name` in a plugin file means a module in its folder.

    The standard library and geobench come first, then the folder, then what is installed. As in
    Python, a folder without `__init__.py` comes last.
    """
    if name in sys.stdlib_module_names or name in _OURS:
        return False
    if _module_file(folder, name):
        return True
    if not (folder / name).is_dir():
        return False
    elsewhere = PathFinder.find_spec(name)
    return elsewhere is None or elsewhere.loader is None


@dataclass(frozen=True)
class _Package:
    """The modules of one plugin file, which is itself the module `main`."""

    name: str
    folder: Path
    main: str
    file: str
    sources: _Sources

    def find(self, inner: str) -> ModuleSpec | None:
        """Find the module `inner` of this package."""
        name, path = f"{self.name}.{inner}", inner.replace(".", "/")
        file = self.file if inner == self.main else _module_file(self.folder, path)
        if file is None and not (self.folder / path).is_dir():
            return None
        if file is None:  # a folder without __init__.py
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [str(self.folder / path)]
            return spec
        whole = self.folder / file
        inside = [str(whole.parent)] if file.endswith("/__init__.py") else None
        loader = _Loader(name, str(whole), self, self.sources.get(file))
        return importlib.util.spec_from_file_location(
            name, whole, loader=loader, submodule_search_locations=inside
        )

    def importer(self) -> Callable[..., ModuleType]:
        """Make the `__import__` of its modules: what lies beside the plugin file comes first."""

        def import_here(
            name: str,
            globals: Mapping[str, Any] | None = None,  # Python's own names
            locals: Mapping[str, Any] | None = None,
            fromlist: Sequence[str] | None = (),
            level: int = 0,
        ) -> ModuleType:
            first, given = name.partition(".")[0], fromlist or ()
            if level or not _is_beside(self.folder, first):
                return builtins.__import__(name, globals, locals, given, level)
            try:
                module = builtins.__import__(f"{self.name}.{name}", globals, locals, given, 0)
            except ModuleNotFoundError as error:
                message = str(error).replace(f"{self.name}.", "")
                raise ModuleNotFoundError(message, name=error.name, path=error.path) from error
            return module if given else sys.modules[f"{self.name}.{first}"]

        return import_here


class _Finder:
    """Finds the modules of plugin files."""

    def __init__(self) -> None:
        self.packages: dict[str, _Package] = {}

    @classmethod
    def install(cls) -> "_Finder":
        """Return the one of this process."""
        for finder in sys.meta_path:
            if isinstance(finder, _Finder):
                return finder
        finder = cls()
        sys.meta_path.insert(0, finder)
        return finder

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module of a plugin file; None: it is none of them."""
        package, _, inner = name.partition(".")
        return self.packages[package].find(inner) if inner and package in self.packages else None


class _Loader(SourceFileLoader):
    """Runs the text that was read when the plugin was loaded; no compiled copy is kept."""

    def __init__(self, name: str, path: str, package: _Package, source: bytes | None) -> None:
        super().__init__(name, path)
        self._package, self._source = package, source

    def get_code(self, fullname: str) -> Any:
        """Compile the text."""
        path = self.get_filename(fullname)
        source = self.get_data(path) if self._source is None else self._source
        return self.source_to_code(source, path)

    def exec_module(self, module: ModuleType) -> None:
        """Run it; where there are modules beside it, these are what it imports, now and later."""
        if len(self._package.sources) > 1:
            overrides = {"__import__": self._package.importer()}
            module.__dict__["__builtins__"] = vars(builtins) | overrides
        super().exec_module(module)
