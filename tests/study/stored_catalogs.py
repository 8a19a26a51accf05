"""Catalogs of earlier versions that are stored beside the tests."""

import tarfile
from pathlib import Path

from click.testing import CliRunner, Result

from geobench.cli import main


def unpacked(stored: Path, folder: Path) -> Path:
    """Unpack `catalog.tar.xz` of the folder `stored` into `folder`."""
    with tarfile.open(stored / "catalog.tar.xz") as packed:
        packed.extractall(folder, filter="data")
    return folder / "catalog"


def geobench(catalog: Path, *words: object) -> Result:
    """Run a command on a catalog."""
    return CliRunner().invoke(main, ["-q", "--catalog", str(catalog), *map(str, words)])
