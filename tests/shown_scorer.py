"""What a study that names no scorers shows of a stranger's one, `gap` of `third_party_scorer`."""

from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).parent / "third_party_scorer"
FILE = PROJECT / "geobench_gap/__init__.py"
STUDY = """
experiments:
  tiny:
    use: lorenz95
    spin_up: 5
    train: {trajectories: 10, steps: 10}
    validation: {trajectories: 2, steps: 10}
    test: {trajectories: 8}
    leads: 2
models:
  climatology: {use: climatology}
  persistence: {use: persistence}
members: 4
reference: {members: 8}
"""


def check_that_gap_is_shown(folder: Path, run: Callable[..., str]) -> None:
    """Make the board, the site and the figures for papers; `run` calls geobench, gives stdout."""
    study, site, figures = (folder / name for name in ("study.yaml", "site", "figures"))
    study.write_text(STUDY)
    board = run("run", study)
    assert "gap" in board
    run("leaderboard", "build", study, "--out", site)
    page = (site / "experiments/study-tiny.html").read_text()
    assert "Gaps &amp; &lt;holes&gt;</h2>" in page
    assert 'data-score="gap"' in page
    assert "Gaps between members" in page
    run("leaderboard", study, "--figures", figures)
    assert {"tiny-gaps.svg", "tiny-gaps.pdf", "tiny-spread.pdf"} <= {
        path.name for path in figures.iterdir()
    }
    told = run("plugins", "show", "gap")
    assert "family: Gaps & <holes>\nused by studies that name no scorers" in told
