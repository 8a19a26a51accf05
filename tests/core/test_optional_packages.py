"""What an installation without extras can do, and what it says of what it cannot."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from geobench import GeobenchError
from geobench.scoring.spreading import spread
from geobench.training import logs, processes

ROOT = Path(__file__).parents[2]
OPTIONAL = ("lightning_fabric", "tensorboardX", "s3fs", "distributed")

STUDY = """
experiments:
  small:
    use: lorenz95
    spin_up: 2
    train: {trajectories: 8, steps: 8}
    validation: {trajectories: 2, steps: 4}
    test: {trajectories: 20}
    leads: 2
models:
  tiny: {use: fgn, backbone: {kind: resnet, width: 4, blocks: 2}, training: {passes: 128}}
members: 3
scorers: [crps]
reference: {members: 4}
"""


def test_the_extras_are_not_required() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]

    def named(requirements: list[str]) -> set[str]:
        return {each.partition(">")[0].partition("[")[0] for each in requirements}

    optional = {"lightning-fabric", "tensorboardX", "s3fs", "distributed"}
    assert not optional & named(project["dependencies"])
    assert extras["all"] == ["geobench-twin[s3,dask,lightning,tensorboard]"]
    every = [extras[name] for name in ("s3", "dask", "lightning", "tensorboard")]
    assert set().union(*map(named, every)) == optional
    assert "geobench-twin[all]" in extras["dev"]


@pytest.mark.slow
def test_without_extras_a_study_is_run_and_its_catalog_read(tmp_path: Path) -> None:
    """In a process of its own, in which they cannot be imported."""
    (tmp_path / "study.yaml").write_text(STUDY)
    blocked = f"import sys; sys.modules |= dict.fromkeys({OPTIONAL!r})\n"

    def geobench(*words: str) -> subprocess.CompletedProcess[str]:
        code = f"{blocked}from geobench.cli import main\nmain({['-q', *words]!r})"
        return subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
        )

    done = geobench("--catalog", "catalog", "run", "study.yaml", "--json")
    assert done.returncode == 0, done.stderr
    (board,) = json.loads(done.stdout)
    assert [row["label"] for row in board["rows"] if not row["knows_law"]].count("tiny") == 1
    (told,) = [line for line in done.stderr.splitlines() if "tensorboardX" in line]
    assert "pip install 'geobench-twin[tensorboard]'" in told
    read = geobench(
        "--catalog", "catalog", "catalog", "show", "forecaster/small.tiny.s0@1", "--json"
    )
    assert read.returncode == 0, read.stderr
    kept = {path.name for path in (tmp_path / "catalog").rglob("*training*")}
    assert logs.CSV in kept
    assert logs.EVENTS not in kept


def test_several_processes_without_lightning_are_refused_on_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(GeobenchError, match=r"pip install 'geobench-twin\[lightning\]'") as error:
        processes.together("cpu", "float32")
    assert "\n" not in str(error.value)
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert isinstance(processes.together("cpu", "float32"), processes.Alone)


def test_a_scheduler_without_distributed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(GeobenchError, match=r"Install 'geobench-twin\[dask\]'"):
        next(spread(str, [1], "tcp://127.0.0.1:1"))
