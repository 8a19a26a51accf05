from pathlib import Path

import pytest

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
