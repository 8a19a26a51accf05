"""Figures in files, for papers: each as SVG and PDF, one column wide, with a text of captions.

A figure has no title inside: its caption belongs to the paper, and stands in `captions.md`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from geobench.board.comparison import Comparison
from geobench.board.slugs import slug
from geobench.errors import GeobenchError
from geobench.plots.chart import Chart
from geobench.plots.drawing import draw, size
from geobench.plots.figures import figures, series_styles
from geobench.plots.styles import MATPLOTLIB, Style


def save_all(comparison: Comparison, folder: Path) -> list[Path]:
    """Write every figure of a board into `folder`, as it is seen first; return the files."""
    board = comparison.board
    styles, written, captions = series_styles(board), [], []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for figure in figures(board, comparison):
            name, chart = figure.variants[figure.chosen]
            stem = f"{slug(board.name)}-{figure.key}"
            for ending in ("svg", "pdf"):
                written.append(folder / f"{stem}.{ending}")
                save(chart, styles, written[-1])
            captions.append(f"## {stem}\n\n{figure.title}: {name}. {figure.caption}\n")
        text = folder / f"{slug(board.name)}-captions.md"
        text.write_text("\n".join(captions), "utf-8")
    except OSError as error:
        raise GeobenchError(
            f"{folder} cannot be written ({error.strerror}). Name another folder."
        ) from error
    return [*written, text]


def save(chart: Chart, styles: Sequence[Style], path: Path, *, title: str = "") -> None:
    """Write the chart to a file, by its ending .svg or .pdf."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # Saved within the style: part of it is only looked at then. Nothing says when it was made, so
    # that equal boards make equal files.
    when = "CreationDate" if path.suffix == ".pdf" else "Date"
    undated: dict[str, Any] = {when: None, "Creator": None}
    with mpl.rc_context(MATPLOTLIB | {"pdf.fonttype": 42}):
        figure = Figure(figsize=size(chart), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        draw(chart, styles, ax=axes, title=title)
        figure.savefig(path, metadata=undated)
