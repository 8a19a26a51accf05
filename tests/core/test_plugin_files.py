"""A plugin file and the modules beside it: what runs, and what its identity covers."""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from geobench import GeobenchError
from geobench.registry import Registry
from geobench_catalog.record import identity

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


# -- fields that are paths to files

WITH_FILE = '''
from pathlib import Path
from pydantic import FilePath
from geobench import EnsembleModel, Forecaster, hookimpl
from geobench.contracts.plugin import Fields

class Inner(Fields):
    """A group."""
    mask: Path | None = None

class Still(EnsembleModel):
    """The state at init time."""
    name = "still"
    winds: FilePath
    more: tuple[Path, ...] = ()
    named: dict[str, Path] = {}
    inner: Inner = Inner()
    def fit(self, training, run): return _Still()
    def restore(self, weights, task): return _Still()

class _Still(Forecaster):
    def weights(self): return {}
    def step(self, history, noise): return history[:, -1]

@hookimpl
def geobench_models():
    return [Still]
'''


@pytest.fixture
def with_file(tmp_path: Path) -> Registry:
    (tmp_path / "mine.py").write_text(WITH_FILE)
    return Registry([tmp_path / "mine.py"])


def _key(recipe: Mapping[str, Any]) -> str:
    return identity("forecaster", {"model": recipe, "seed": 0}, {})


def test_a_file_counts_by_its_content(with_file: Registry, tmp_path: Path) -> None:
    """It may be moved and renamed; an edited file is another one, though as long and as old."""
    winds = tmp_path / "winds.npz"
    winds.write_bytes(b"calm")
    fields = {"use": "still", "winds": str(winds)}
    first = with_file.model(fields).recipe()
    told = {"file": str(winds), "sha256": hashlib.sha256(b"calm").hexdigest()}
    assert first["winds"] == told
    (tmp_path / "elsewhere").mkdir()
    moved = winds.rename(tmp_path / "elsewhere" / "other.npz")
    second = with_file.model(fields | {"winds": str(moved)}).recipe()
    assert _key(second) == _key(first)
    times = moved.stat()
    moved.write_bytes(b"gale")
    os.utime(moved, ns=(times.st_atime_ns, times.st_mtime_ns))
    third = with_file.model(fields | {"winds": str(moved)}).recipe()
    assert _key(third) != _key(first)


def test_files_count_wherever_the_field_holds_them(with_file: Registry, tmp_path: Path) -> None:
    for name in "abcd":
        (tmp_path / name).write_text(name)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "e").write_text("e")
    a, b, c, d, folder = (str(tmp_path / name) for name in ("a", "b", "c", "d", "folder"))
    fields = {"use": "still", "winds": a, "more": [b, folder], "named": {"c": c}}
    fields |= {"inner": {"mask": d}}
    keys = set()
    for edited in (None, "b", "c", "d", "folder/e"):
        if edited:
            (tmp_path / edited).write_text("edited")
        keys.add(_key(with_file.model(fields).recipe()))
    assert len(keys) == 5


def test_a_recipe_makes_its_plugin_again(with_file: Registry, tmp_path: Path) -> None:
    """From where the file was, or from where such a file was seen last."""
    winds = tmp_path / "winds.npz"
    winds.write_bytes(b"calm")
    model = with_file.model({"use": "still", "winds": str(winds)})
    recipe = json.loads(json.dumps(model.recipe()))
    assert with_file.model(recipe) == model
    moved = winds.rename(tmp_path / "moved.npz")
    with pytest.raises(GeobenchError, match=r"is not there\. Put that file back in its place"):
        with_file.model(recipe)
    with_file.model({"use": "still", "winds": str(moved)})
    assert with_file.model(recipe).recipe()["winds"]["file"] == str(moved)
    moved.write_bytes(b"gale")
    winds.write_bytes(b"gale")
    with pytest.raises(GeobenchError, match="holds something else now") as error:
        with_file.model(recipe)
    assert "\n" not in str(error.value)


def test_a_path_to_nothing_is_refused(with_file: Registry, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    gone = str(tmp_path / "gone")
    with pytest.raises(GeobenchError, match=r"winds = .*does not point to a file"):
        with_file.model({"use": "still", "winds": gone})
    with pytest.raises(GeobenchError, match=r"more: there is no file .*gone.*Check the path"):
        with_file.model({"use": "still", "winds": str(tmp_path / "a"), "more": [gone]})


def test_a_file_that_is_edited_while_it_is_used_is_noticed(
    with_file: Registry, tmp_path: Path
) -> None:
    """The recipe is that of the file as it was, and nothing is published under it."""
    winds = tmp_path / "winds.npz"
    winds.write_bytes(b"calm")
    model = with_file.model({"use": "still", "winds": str(winds)})
    before = model.recipe()
    model.check_files()
    winds.write_bytes(b"gale")
    assert model.recipe() == before
    with pytest.raises(GeobenchError, match=r"winds\.npz' changed while it was used"):
        model.check_files()


def test_recipes_without_files_have_the_identity_they_had() -> None:
    """The value is that of the code before files counted."""
    recipe = {"use": "fgn", "version": "3", "file": "a", "deep": [{"x": None}, (1, 2.5)]}
    text = json.dumps({"kind": "score", "recipe": recipe, "parents": {"dataset": "0" * 64}},
                      sort_keys=True, separators=(",", ":"))  # fmt: skip
    own = identity("score", recipe, {"dataset": "0" * 64})
    assert own == hashlib.sha256(text.encode()).hexdigest()
