"""What kills.py and faults.py share: a small study, its catalog, and looks at what is there."""

import hashlib
import os
import shutil
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import yaml
from click.testing import CliRunner, Result

from geobench.cli import main
from geobench_catalog import Catalog

STUDY = {
    "title": "A small study",
    "experiments": {
        "tiny": {
            "use": "lorenz95",
            "spin_up": 2,
            "train": {"trajectories": 8, "steps": 8},
            "validation": {"trajectories": 2, "steps": 8},
            "test": {"trajectories": 8},
            "leads": 2,
            "events": [],
        }
    },
    "models": {
        "climatology": "climatology",
        "persistence": "persistence",
        "fgn": {
            "use": "fgn",
            "backbone": {"kind": "resnet", "width": 8, "blocks": 1},
            "training": {"passes": 640, "rows": 32},
        },
    },
    "members": 4,
    "scorers": ["crps"],
    "reference": {"members": 6},
}
DATASET = "dataset/tiny@1"


def tree(folder: Path) -> dict[str, str]:
    """Each file of a folder with the digest of its content."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def geobench(catalog: Path, *words: object) -> Result:
    """Run a command in this process."""
    given = ["--quiet", "--catalog", catalog, *words]
    return CliRunner().invoke(main, [*map(str, given)])


def well(catalog: Path, *words: object) -> str:
    """Run a command that must succeed; return what it printed."""
    result = geobench(catalog, *words)
    if result.exit_code not in (0, 3):  # 3: a row is degenerate
        raise SystemExit(f"{' '.join(map(str, words))}: {result.output}")
    return result.stdout


def make(made: Path) -> None:
    """Run the small study, and make what commands need."""
    made.mkdir()
    (made / "study.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
    (made / "new.yaml").write_text(yaml.safe_dump({**STUDY, "title": "Another"}, sort_keys=False))
    catalog = made / "catalog"
    well(catalog, "run", made / "study.yaml")
    opened = Catalog(catalog)
    last = [str(entry.reference) for entry in opened.entries("score")]
    well(catalog, "catalog", "alias", DATASET, "paper")
    well(catalog, "catalog", "tag", DATASET, "good")
    well(catalog, "catalog", "export", *last, "--to", made / "all.tar")
    well(catalog, "leaderboard", "build", made / "study.yaml", "--out", made / "site")
    well(catalog, "leaderboard", "build", made / "new.yaml", "--out", made / "new-site")
    theirs = opened.get("forecast/tiny.fgn.s0@1").load()
    for variable in theirs.variables.values():
        variable.encoding.clear()
    theirs.drop_attrs(deep=False).drop_vars("member").to_netcdf(made / "theirs.nc")
    (made / "board.json").write_text(well(catalog, "leaderboard", made / "study.yaml", "--json"))
    shutil.copytree(catalog, made / "adopted")
    words = ("import-forecast", made / "theirs.nc", "--dataset", DATASET, "--model", "theirs")
    well(made / "adopted", "catalog", *words)
