"""Figures of a board for papers: each as SVG and as PDF, in files of their own."""

from pathlib import Path

from geobench.board.comparison import Comparison
from geobench.board.figures import figures, series_styles
from geobench.board.slugs import slug
from geobench.charts import paper
from geobench.errors import GeobenchError


def save(comparison: Comparison, folder: Path) -> list[Path]:
    """Write every figure of a board into `folder`, as it is seen first; return the files."""
    board = comparison.board
    styles, written = series_styles(board), []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for figure in figures(board, comparison):
            name, chart = figure.variants[figure.chosen]
            for ending in ("svg", "pdf"):
                path = folder / f"{slug(board.name)}-{figure.key}.{ending}"
                paper.save(chart, styles, path, title=f"{figure.title}: {name}")
                written.append(path)
    except OSError as error:
        raise GeobenchError(
            f"{folder} cannot be written ({error.strerror}). Name another folder."
        ) from error
    return written
