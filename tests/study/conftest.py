import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from geobench.cli import main

STUDY = """
title: A tiny <study> & its test
experiments:
  tiny:
    use: lorenz95
    spin_up: 5
    train: {trajectories: 20, steps: 20}
    validation: {trajectories: 4, steps: 10}
    test: {trajectories: 20}
    leads: 3
models:
  oracle: {use: oracle}
  climatology: {use: climatology}
  fgn: {use: fgn, backbone: {kind: resnet, width: 8, blocks: 1}, training: {passes: 640}}
  fm:
    use: flow-matching
    backbone: {kind: resnet, width: 8, blocks: 1}
    training: {passes: 640}
members: 5
scorers: [crps, spread-skill]
reference: {members: 8}
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture
def ran(once: Callable[..., Path], tmp_path: Path, study: Path) -> Path:
    """A catalog in which the study has run, which a test may change."""

    def make(folder: Path) -> None:
        words = ["--quiet", "--catalog", str(folder / "catalog"), "run", str(study)]
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0, result.output

    return shutil.copytree(once("tiny-study", make) / "catalog", tmp_path / "ran")
