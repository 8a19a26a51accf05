"""The identity of code of one's own: its source, and all that it refers to."""

import importlib
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from torch import nn

from geobench.errors import GeobenchError
from geobench.registry import own_code


class Notebook:
    """Runs cells as a kernel does; each is a file of its own for Python."""

    def __init__(self) -> None:
        self.shell = InteractiveShell()
        self.main = sys.modules["__main__"]
        sys.modules["__main__"] = self.shell.user_module

    def run(self, cell: str) -> dict[str, Any]:
        outcome = self.shell.run_cell(cell, store_history=True)
        outcome.raise_error()
        return self.shell.user_ns

    def digest(self, cell: str, name: str = "step") -> str:
        return own_code.digest(self.run(cell)[name], name)


@pytest.fixture
def notebook() -> Iterator[Notebook]:
    cells = Notebook()
    yield cells
    sys.modules["__main__"] = cells.main


STEP = "def step(history, noise):\n    return history[:, -1] * 0.9\n"


def test_a_cell_that_is_run_again_has_the_same_identity(notebook: Notebook) -> None:
    first = notebook.digest(STEP)
    notebook.run("x = 3")
    assert notebook.digest(STEP) == first
    assert notebook.digest(f"# another cell\n\n{STEP}") == first  # where it stands does not count


def test_an_edited_function_is_a_new_one(notebook: Notebook) -> None:
    assert notebook.digest(STEP) != notebook.digest(STEP.replace("0.9", "0.8"))


def test_a_value_that_a_function_reads_belongs_to_it(notebook: Notebook) -> None:
    cell = "def step(history, noise):\n    return history[:, -1] * FACTOR\n"
    first = notebook.digest(f"FACTOR = 0.9\n{cell}")
    assert notebook.digest(f"FACTOR = 0.8\n{cell}") != first
    assert notebook.digest(f"FACTOR = 0.9\nOTHER = 1\n{cell}") == first


def test_a_function_that_it_calls_belongs_to_it(notebook: Notebook) -> None:
    cell = "def step(history, noise):\n    return helper(history)\n"
    first = notebook.digest(f"def helper(x):\n    return x[:, -1]\n{cell}")
    assert notebook.digest(f"def helper(x):\n    return x[:, -1] * 2\n{cell}") != first


def test_functions_that_call_each_other_end(notebook: Notebook) -> None:
    cell = "def even(n):\n    return n == 0 or odd(n - 1)\ndef odd(n):\n    return even(n - 1)\n"
    assert len(notebook.digest(cell, "even")) == 12


CLASS = """
from typing import ClassVar
from geobench import EnsembleModel
class Mine(EnsembleModel):
    name: ClassVar[str] = "mine"
    width: int = 8
    def fit(self, training, run): ...
    def restore(self, weights, task): ...
"""


def test_a_class_of_a_cell_changes_with_its_source_alone(notebook: Notebook) -> None:
    first = notebook.digest(CLASS, "Mine")
    assert notebook.digest(f"\n\n# further down\n{CLASS}", "Mine") == first
    assert notebook.digest(CLASS.replace("width: int = 8", "width: int = 9"), "Mine") != first
    assert (
        notebook.digest(
            CLASS.replace("(self, training, run): ...", "(self, training, run): 1"), "Mine"
        )
        != first
    )


def test_what_the_body_of_a_class_reads_belongs_to_it(notebook: Notebook) -> None:
    cell = CLASS.replace("width: int = 8", "width: int = WIDTH")
    first = notebook.digest(f"WIDTH = 8\n{cell}", "Mine")
    assert notebook.digest(f"WIDTH = 9\n{cell}", "Mine") != first


def test_a_base_class_of_a_cell_belongs_to_it(notebook: Notebook) -> None:
    cell = "class Mine(Base):\n    def f(self):\n        return 1\n"
    base = "class Base:\n    def g(self):\n        return {}\n"
    first = notebook.digest(base.format(1) + cell, "Mine")
    assert notebook.digest(base.format(2) + cell, "Mine") != first


NET = """
from torch import nn
class Net(nn.Module):
    def __init__(self, scale=1.0):
        super().__init__()
        self.scale = scale
        self.body = nn.Linear(2, 2)
    def forward(self, history, noise):
        return self.scale * self.body(history)
import torch
torch.manual_seed(0)
step = Net()
"""


def test_a_network_is_its_class_its_settings_and_its_weights(notebook: Notebook) -> None:
    first = notebook.digest(NET)
    assert notebook.digest(NET) == first
    assert notebook.digest(NET.replace("self.scale *", "2 * self.scale *")) != first
    assert notebook.digest(NET.replace("Net()", "Net(scale=2.0)")) != first
    assert (
        notebook.digest(f"{NET}\nwith torch.no_grad():\n    step.body.weight[0, 0] += 1") != first
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def _import(name: str) -> ModuleType:
    importlib.invalidate_caches()
    sys.modules.pop(name, None)
    return importlib.import_module(name)


def test_a_helper_module_belongs_to_what_uses_it(notebook: Notebook, folder: Path) -> None:
    cell = "import own_helper\ndef step(history, noise):\n    return own_helper.shift(history)\n"
    helper = folder / "own_helper.py"
    digests = []
    for text in ("def shift(x):\n    return x + 1\n", "def shift(x):\n    return x + 22\n"):
        helper.write_text(text)
        _import("own_helper")
        digests.append(notebook.digest(cell))
    assert digests[0] != digests[1]
    sys.modules.pop("own_helper")


def test_a_module_that_a_helper_imports_belongs_to_it(notebook: Notebook, folder: Path) -> None:
    (folder / "own_second.py").write_text(
        "import own_third\ndef f(x):\n    return own_third.C * x\n"
    )
    digests = []
    for value in (1, 22):
        (folder / "own_third.py").write_text(f"C = {value}\n")
        _import("own_third")
        _import("own_second")
        digests.append(notebook.digest("from own_second import f as step"))
    assert digests[0] != digests[1]


def test_a_helper_that_was_edited_and_not_reloaded_is_refused(
    notebook: Notebook, folder: Path
) -> None:
    (folder / "own_stale.py").write_text("def f(x):\n    return x\n")
    _import("own_stale")
    (folder / "own_stale.py").write_text("def f(x):\n    return x + 1\n")
    with pytest.raises(GeobenchError, match=r"edited after it was imported.*Restart the kernel"):
        notebook.digest("import own_stale\ndef step(h, n):\n    return own_stale.f(h)\n")


def test_two_lambdas_on_one_line_are_two(notebook: Notebook) -> None:
    cell = "both = (lambda h, n: h + 1, lambda h, n: h - 1)\n"
    first, second = notebook.run(cell)["both"]
    assert own_code.digest(first, "step") != own_code.digest(second, "step")
    again, _ = notebook.run(f"\n\n{cell}")["both"]
    assert own_code.digest(again, "step") == own_code.digest(first, "step")
    here = (lambda h, n: h + 1, lambda h, n: h - 1)
    assert len({own_code.digest(one, "step") for one in here}) == 2


def test_values_in_a_helper_count_as_they_are_now(notebook: Notebook, folder: Path) -> None:
    text = "W = 3.0\nclass Settings:\n    k = 1.0\ndef f(x):\n    return W * Settings.k * x\n"
    (folder / "own_values_helper.py").write_text(text)
    helper = _import("own_values_helper")
    cell = "import own_values_helper\ndef step(h, n):\n    return own_values_helper.f(h)\n"
    digests = [notebook.digest(cell)]
    helper.W = 4.0
    digests.append(notebook.digest(cell))
    helper.Settings.k = 2.0
    digests.append(notebook.digest(cell))
    (folder / "own_values_helper.py").write_text(text.replace("3.0", "4.0").replace("1.0", "2.0"))
    digests.append(notebook.digest(cell))  # the text is another one: it was not loaded anew
    assert len(set(digests)) == 4


def test_a_method_that_was_edited_and_not_reloaded_is_refused(
    notebook: Notebook, folder: Path
) -> None:
    text = "class Net:\n    def f(self, x):\n        return 0.5 * x\n"
    (folder / "own_method.py").write_text(text)
    _import("own_method")
    (folder / "own_method.py").write_text(text.replace("0.5", "0.9"))
    with pytest.raises(GeobenchError, match="edited after it was imported"):
        notebook.digest("import own_method\ndef step(h, n):\n    return own_method.Net().f(h)\n")


def test_networks_are_found_wherever_they_are_referred_to(notebook: Notebook) -> None:
    cell = """
from torch import nn
nets, table = [nn.Linear(2, 2)], {"a": nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))}
def helper(x):
    return nets[0](x)
def step(history, noise):
    return helper(table["a"](history))
"""
    found = own_code.networks(notebook.run(cell)["step"], "step")
    assert sorted(type(net).__name__ for net in found.values()) == ["Linear", "Sequential"]
    assert own_code.networks(nn.Linear(2, 2), "step").keys() == {""}


def test_values_that_a_function_closes_over_belong_to_it() -> None:
    def make(factor: object) -> Any:
        return lambda history, noise: history * factor

    pairs = [
        (1, 2),
        (1, 1.0),
        (np.zeros(3), np.ones(3)),
        (np.zeros(3), np.zeros(3, np.float32)),
        (torch.zeros(2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.bfloat16)),
        ({"a": [1, (2, 3)]}, {"a": [1, (2, 4)]}),
        ({1, 2}, {1, 3}),
        (partial(max, 1), partial(max, 2)),
        (partial(max, 1), partial(min, 1)),
        (np.sin, np.cos),
        (nn.Linear(2, 2), nn.Linear(2, 2)),
    ]
    for one, other in pairs:
        first, second = own_code.digest(make(one), "step"), own_code.digest(make(other), "step")
        assert first != second, (one, other)
        assert first == own_code.digest(make(one), "step")


def test_a_value_without_an_identity_is_refused_with_what_to_pass() -> None:
    file = object()

    def step(history: Any, noise: Any) -> Any:
        return file

    with pytest.raises(GeobenchError, match=r"mine refers to file.*of the type object.*version="):
        own_code.digest(step, "mine")


def test_code_without_a_source_is_refused(notebook: Notebook) -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec("def step(h, n):\n    return h", namespace)
    with pytest.raises(GeobenchError, match=r"the source of mine is not to be found.*version="):
        own_code.digest(namespace["step"], "mine")


def test_of_a_library_the_name_counts() -> None:
    assert own_code.digest(nn.functional.relu, "step") != own_code.digest(
        nn.functional.gelu, "step"
    )


def test_what_a_decorator_of_a_library_wraps_counts(notebook: Notebook) -> None:
    cell = f"import torch\n@torch.no_grad()\n{STEP}"
    assert notebook.digest(cell) != notebook.digest(cell.replace("0.9", "0.8"))
