"""The first notebook runs, smaller than it is published; at its own size it is a slow test."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from IPython.core.interactiveshell import InteractiveShell
from matplotlib import pyplot as plt

NOTEBOOK = Path(__file__).parents[2] / "docs/notebooks/first_steps.ipynb"
SMALLER = {
    r"passes=[\d_]+": "passes=128",
    r'"trajectories": \d+, "steps": \d+': '"trajectories": 6, "steps": 20',
    r'test=\{"trajectories": \d+\}': 'test={"trajectories": 12}',
    r"!geobench (.*)": r'out = run_command("\1")',
}


def cells() -> list[str]:
    notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    return ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]


@pytest.fixture
def namespace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    from click.testing import CliRunner

    from geobench.cli import main

    def command(words: str) -> str:
        done = CliRunner().invoke(main, words.split())
        assert done.exit_code == 0, done.output
        return done.stdout

    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    outer = sys.modules["__main__"]
    shell = InteractiveShell()
    sys.modules["__main__"] = shell.user_module
    try:
        shell.user_ns["run_command"] = command
        for cell in cells():
            smaller = cell
            for pattern, change in SMALLER.items():
                smaller = re.sub(pattern, change, smaller)
            shell.run_cell(smaller, store_history=True).raise_error()
    finally:
        sys.modules["__main__"] = outer
    return shell.user_ns


def test_the_first_notebook_runs_from_an_empty_folder(
    namespace: dict[str, Any], tmp_path: Path
) -> None:
    labels = {row.label for row in namespace["board"].numbers.rows}
    assert labels == {"oracle", "climatology", "fgn", "mine"}
    assert (tmp_path / "site/index.html").exists()
    for model in ("fgn", "mine"):
        assert f"lorenz95.{model}.s0@1" in namespace["out"]
    assert len(plt.get_fignums()) == 6  # the first trajectory, and five of the comparison
    plt.close("all")


def test_the_notebook_is_published_with_what_its_cells_gave() -> None:
    notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    outputs = [o for cell in notebook["cells"] for o in cell.get("outputs", ())]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 6
    assert not [output for output in outputs if output["output_type"] == "error"]
