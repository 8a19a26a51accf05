"""The page on Python runs, block after block, as cells of a notebook."""

import re
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from IPython.core.interactiveshell import InteractiveShell

PAGE = Path(__file__).parents[2] / "docs/python.md"


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    main = sys.modules["__main__"]
    shell = InteractiveShell()
    sys.modules["__main__"] = shell.user_module
    try:
        shell.run_cell("import geobench as gb\n_open = gb.open\n").raise_error()
        shell.user_module.gb.open = lambda *words: shell.user_module._open(*words, quiet=True)
        values = []
        for block in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S):
            done = shell.run_cell(block, store_history=True)
            done.raise_error()
            values.append(done.result)
        return values
    finally:
        shell.user_module.gb.open = shell.user_module._open
        sys.modules["__main__"] = main


def test_the_blocks_of_the_page_run_one_after_the_other(results: list[Any]) -> None:
    board, compared, still, names, scores = results
    assert "persistence" in repr(board)
    assert "mine" in repr(compared)
    assert still.label == "still"
    assert names == ["small--forcing-8", "small--forcing-9"]
    assert list(scores.columns) == ["CRPS"]
