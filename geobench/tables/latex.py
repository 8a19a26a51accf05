"""Tables in LaTeX, with booktabs."""

from geobench.tables import table as tables
from geobench.tables.table import Cell, Column, Table
from geobench_catalog.plain_text import plain

_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "−": "$-$", "–": "--",
    "•": r"$\bullet$", "“": "``", "”": "''",
}  # fmt: skip


def text(table: Table) -> str:
    r"""Return a `table` environment; it needs `\usepackage{booktabs}`."""
    lines = [
        r"% \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(tables.caption(table))}}}",
        rf"\begin{{tabular}}{{{''.join(column.align[0] for column in table.columns)}}}",
        r"\toprule",
        _line([escaped(column.line) for column in table.columns]),
        r"\midrule",
        *(
            _line([_cell(*pair) for pair in zip(table.columns, row.cells, strict=True)])
            for row in table.rows
        ),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(column: Column, cell: Cell) -> str:
    text = escaped(tables.line(column, cell))
    return rf"\textbf{{{text}}}" if "best" in cell.marks else text


def escaped(text: str) -> str:
    """Escape what LaTeX would take for more than text."""
    return "".join(_ESCAPES.get(letter, letter) for letter in plain(" ".join(text.split())))
