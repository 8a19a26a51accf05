"""The shell fills in references and names of plugins, quickly."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from geobench.cli import main
from geobench_catalog import Catalog

HEAVY = {"torch", "xarray", "xskillscore", "zarr", "numpy", "matplotlib", "numba"}


def _completed(words: str, incomplete: str = "") -> list[str]:
    shell = ShellComplete(main, {}, "geobench", "_GEOBENCH_COMPLETE")
    found = shell.get_completions(words.split(), incomplete)
    return [each.value if each.type == "plain" else f"<{each.type}>" for each in found]


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    catalog = Catalog(tmp_path / "catalog", create=True)
    data = xr.Dataset({"q": ("x", np.zeros(3, np.float32))})
    for kind in ("dataset", "forecaster"):
        with catalog.draft(kind, "twin", recipe={}) as draft:  # type: ignore[arg-type] # is a Kind
            draft.write(data)
            draft.publish()
    catalog.alias("dataset/twin@1", "paper")
    return catalog


def test_commands_and_options_complete() -> None:
    assert _completed("", "s") == [
        "study", "simulate", "score", "scorers", "simulator", "schema",
    ]  # fmt: skip
    assert _completed("run", "quic") == ["quick"]
    assert _completed("catalog", "re") == ["reindex"]
    assert "--tolerance" in _completed("reproduce", "--")
    assert _completed("completion", "") == ["bash", "zsh", "fish"]


def test_references_complete_by_kind(catalog: Catalog) -> None:
    where = f"--catalog {catalog.url}"
    datasets = ["dataset/twin@1", "dataset/twin@paper"]
    assert _completed(f"{where} catalog show") == [
        "dataset/twin@1",
        "forecaster/twin@1",
        "dataset/twin@paper",
    ]
    assert _completed(f"{where} train fgn --dataset") == datasets
    assert _completed(f"{where} forecast") == ["forecaster/twin@1"]
    assert _completed(f"{where} score") == []
    assert _completed(f"{where} reproduce", "f") == ["forecaster/twin@1"]
    assert _completed("--catalog nowhere forecast") == []


def test_names_of_plugins_complete(tmp_path: Path) -> None:
    assert _completed("train", "flow") == ["flow-matching", "flow-map"]
    assert _completed("score --scorer", "energ") == ["energy"]
    assert _completed("simulate", "lorenz95-l") == ["lorenz95-lowrank"]
    assert _completed("simulator describe", "shallow-water") == [
        "shallow-water",
        "shallow-water-analysis",
    ]
    assert _completed("plugins show", "3d") == ["3dvar"]
    # Where files can be named as well, the shell goes on with those.
    assert _completed("simulate", "my") == ["<file>"]
    assert _completed("run", "my") == ["<file>"]
    plugin = tmp_path / "broken.py"
    plugin.write_text("import no_such_module")
    assert _completed(f"--plugin {plugin} train", "flow-ma") == ["flow-matching", "flow-map"]


def test_completion_imports_nothing_heavy(catalog: Catalog) -> None:
    code = (
        "import sys\nfrom click.shell_completion import ShellComplete\n"
        "from geobench.cli import main\n"
        "shell = ShellComplete(main, {}, 'geobench', '_GEOBENCH_COMPLETE')\n"
        "assert shell.get_completions(['train'], 'fg')\n"
        f"assert shell.get_completions(['--catalog', {catalog.url!r}, 'forecast'], '')\n"
        f"print('heavy:', sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_asks_geobench(shell: str) -> None:
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0
    assert f"_GEOBENCH_COMPLETE={shell}_complete" in result.stdout
    unknown = CliRunner().invoke(main, ["completion", "tcsh"])
    assert unknown.exit_code == 2
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in unknown.stderr
