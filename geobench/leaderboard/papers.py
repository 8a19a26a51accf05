"""Figures of a board for papers: each as SVG and as PDF, in files of their own."""

from pathlib import Path

from geobench.errors import GeobenchError
from geobench.leaderboard import chart_files
from geobench.leaderboard.exhibit import Exhibit
from geobench.leaderboard.looks import looks
from geobench.leaderboard.pages import every_figure
from geobench.leaderboard.slugs import slug


def save(exhibit: Exhibit, folder: Path) -> list[Path]:
    """Write every figure of an exhibit into `folder`, as it is seen first; return the files."""
    own = looks(exhibit.board)
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for figure in every_figure(exhibit):
            name, _ = figure.variants[figure.chosen]
            for ending in ("svg", "pdf"):
                path = folder / f"{slug(exhibit.board.name)}-{figure.key}.{ending}"
                chart_files.save(figure.chart, own, path, title=f"{figure.title}: {name}")
                written.append(path)
    except OSError as error:
        raise GeobenchError(
            f"{folder} cannot be written ({error.strerror}). Name another folder."
        ) from error
    return written
