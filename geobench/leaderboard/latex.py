"""The ranking as a LaTeX table, with booktabs."""

from geobench.leaderboard.board import Board
from geobench.leaderboard.ranking import Text, ranking
from geobench_catalog.plain_text import plain

_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "−": "$-$", "–": "--",
    "•": r"$\bullet$", "“": "``", "”": "''",
}  # fmt: skip


def table(board: Board) -> str:
    r"""Return a `table` environment; it needs `\usepackage{booktabs}`."""
    told = ranking(board)
    columns = "".join("l" if heading == "model" else "r" for heading in told.headings)
    lines = [
        r"% \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(told.caption)}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _line([escaped(heading) for heading in told.headings]),
        r"\midrule",
        *(_line([_cell(each) for each in row]) for row in told.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(each: Text) -> str:
    text = escaped(each.text)
    return rf"\textbf{{{text}}}" if each.best else text


def escaped(text: str) -> str:
    """Escape what LaTeX would take for more than text."""
    return "".join(_ESCAPES.get(letter, letter) for letter in plain(" ".join(text.split())))
