"""A plugin file and the modules beside it: what runs, and what its identity covers."""

import hashlib
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from geobench.registry import Registry

PLUGIN = """
from geobench import EnsembleModel, Forecaster, hookimpl
{imports}

class Still(EnsembleModel):
    '''The state at init time.'''
    name = "still"
    def value(self):
        {value}
    def fit(self, training, run): return _Still()
    def restore(self, weights, task): return _Still()

class _Still(Forecaster):
    def weights(self): return {{}}
    def step(self, history, noise): return history[:, -1]

@hookimpl
def geobench_models():
    return [Still]
"""


def _written(folder: Path, files: Mapping[str, str], imports: str, value: str) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    folder.mkdir(parents=True, exist_ok=True)
    plugin = folder / "mine.py"
    plugin.write_text(PLUGIN.format(imports=imports, value=value))
    return plugin


def _still(plugin: Path) -> Any:
    registry = Registry([plugin])
    assert ("model", "still") in registry.offers, registry.set_aside
    return registry.model("still")


# files, imports of the plugin, what its value is, the file that matters
SHAPES: dict[str, tuple[dict[str, str], str, str, str]] = {
    "a module": ({"h.py": "SIZE = 1"}, "from h import SIZE", "return SIZE", "h.py"),
    "under another name": ({"h.py": "SIZE = 1"}, "import h as x", "return x.SIZE", "h.py"),
    "in a function": ({"h.py": "SIZE = 1"}, "", "import h; return h.SIZE", "h.py"),
    "beside itself": ({"h.py": "SIZE = 1"}, "from .h import SIZE", "return SIZE", "h.py"),
    "by a dot": ({"h.py": "SIZE = 1"}, "from . import h", "return h.SIZE", "h.py"),
    "through another": (
        {"h.py": "import g\ndef size():\n    return g.SIZE", "g.py": "SIZE = 1"},
        "import h",
        "return h.size()",
        "g.py",
    ),
    "lazily through another": (
        {"h.py": "def size():\n    from g import SIZE\n    return SIZE", "g.py": "SIZE = 1"},
        "import h",
        "return h.size()",
        "g.py",
    ),
    "in a circle": (
        {"h.py": "import g\nSIZE = 1", "g.py": "import h\nimport mine"},
        "import h",
        "return h.SIZE",
        "h.py",
    ),
    "a package": (
        {"p/__init__.py": "from .q import SIZE", "p/q.py": "SIZE = 1"},
        "from p import SIZE",
        "return SIZE",
        "p/q.py",
    ),
    "the start of a package": (
        {"p/__init__.py": "SIZE = 1", "p/q.py": ""},
        "import p.q",
        "return p.SIZE",
        "p/__init__.py",
    ),
    "a module of a package": (
        {"p/__init__.py": "", "p/q.py": "SIZE = 1"},
        "from p import q",
        "return q.SIZE",
        "p/q.py",
    ),
    "two levels up": (
        {
            "p/__init__.py": "",
            "p/r/__init__.py": "",
            "p/r/s.py": "from ..q import SIZE",
            "p/q.py": "SIZE = 1",
        },
        "import p.r.s",
        "return p.r.s.SIZE",
        "p/q.py",
    ),
    "all of a package": (
        {"p/__init__.py": "__all__ = ['q']", "p/q.py": "SIZE = 1"},
        "from p import *",
        "return q.SIZE",
        "p/q.py",
    ),
    "a folder without __init__": (
        {"p/q.py": "SIZE = 1"},
        "import p.q",
        "return p.q.SIZE",
        "p/q.py",
    ),
    "by its name as text": (
        {"h.py": "SIZE = 1"},
        "import importlib",
        "return importlib.import_module('.h', __package__).SIZE",
        "h.py",
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_module_beside_a_plugin_file_belongs_to_its_identity(tmp_path: Path, shape: str) -> None:
    """The edit keeps the length, and the time of the file: no compiled copy may hide it."""
    files, imports, value, matters = SHAPES[shape]
    plugin = _written(tmp_path, files, imports, value)
    first, again = _still(plugin), _still(plugin)
    assert first.value() == 1
    assert first.recipe() == again.recipe()
    times = (tmp_path / matters).stat()
    (tmp_path / matters).write_text(files[matters].replace("SIZE = 1", "SIZE = 3"))
    os.utime(tmp_path / matters, ns=(times.st_atime_ns, times.st_mtime_ns))
    edited = _still(plugin)
    assert edited.value() == 3
    assert edited.recipe()["version"] != first.recipe()["version"]
    # What was loaded before stays what it was, also where it imports only now.
    assert (again.value(), again.recipe()) == (1, first.recipe())


def test_the_folder_and_what_is_not_imported_do_not_count(tmp_path: Path) -> None:
    plugin = _written(tmp_path / "a", {"h.py": "SIZE = 1"}, "import h", "return h.SIZE")
    first = _still(plugin).recipe()
    (tmp_path / "a" / "unused.py").write_text("import h")
    assert _still(plugin).recipe() == first
    moved = Path(shutil.copytree(tmp_path / "a", tmp_path / "b" / "c")) / "mine.py"
    assert _still(moved).recipe() == first


@pytest.mark.parametrize("beside", [None, "statistics.py", "unused.py", "geobench/__init__.py"])
def test_a_plugin_file_alone_has_the_digest_of_its_text(tmp_path: Path, beside: str | None) -> None:
    """The standard library and geobench itself are never taken from its folder."""
    files = {beside: "fmean = None"} if beside else {}
    plugin = _written(tmp_path, files, "import statistics", "return statistics.fmean([1.0])")
    still = _still(plugin)
    assert still.value() == 1
    digest = hashlib.sha256(plugin.read_bytes()).hexdigest()[:12]
    assert still.recipe()["version"] == f"1+{digest}"


@pytest.mark.parametrize("imports", ["import h", ""])
def test_each_plugin_file_gets_the_module_beside_it(
    tmp_path: Path, imports: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not that of another plugin file, and not one that lies on Python's path."""
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "h.py").write_text("SIZE = 9")
    monkeypatch.syspath_prepend(str(tmp_path / "path"))
    plugins = []
    for size in (1, 2):
        files = {"h.py": f"SIZE = {size}"}
        plugin = _written(tmp_path / str(size), files, imports, "import h; return h.SIZE")
        plugin.write_text(plugin.read_text().replace('"still"', f'"still-{size}"'))
        plugins.append(plugin)
    registry = Registry(plugins)
    one, two = (registry.model(f"still-{size}") for size in (1, 2))
    assert [each.value() for each in (one, two, one)] == [1, 2, 1]
    assert "h" not in sys.modules


def test_two_plugin_files_of_one_name_are_two_modules(tmp_path: Path) -> None:
    """Each class is found in its own module, where pydantic and dataclasses look it up."""
    plugins = []
    for size in (1, 2):
        plugin = _written(tmp_path / str(size), {}, "", f"return {size}")
        plugin.write_text(plugin.read_text().replace('"still"', f'"still-{size}"'))
        plugins.append(plugin)
    registry = Registry(plugins)
    for size in (1, 2):
        model = registry.model(f"still-{size}")
        assert model.value() == size
        assert vars(sys.modules[type(model).__module__])["Still"] is type(model)


def test_a_module_that_is_not_there_is_named_as_it_was_imported(tmp_path: Path) -> None:
    plugin = _written(tmp_path, {"p/__init__.py": ""}, "import p.gone", "return 1")
    registry = Registry([plugin])
    _ = registry.offers
    assert registry.set_aside[str(plugin)] == "No module named 'p.gone'"
    (tmp_path / "p" / "gone.py").write_text("def broken(:")
    registry = Registry([plugin])
    _ = registry.offers
    assert "SyntaxError" in registry.set_aside[str(plugin)]


def test_a_file_may_have_any_name(tmp_path: Path) -> None:
    plugin = _written(tmp_path, {"h.py": "SIZE = 1"}, "import h", "return h.SIZE")
    odd = plugin.rename(tmp_path / "my-plugin.v2.py")
    assert _still(odd).value() == 1
