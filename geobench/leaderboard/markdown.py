"""The ranking as a Markdown table."""

import re

from geobench.leaderboard.board import Board
from geobench.leaderboard.ranking import Text, ranking
from geobench_catalog.plain_text import plain


def table(board: Board) -> str:
    """Return a pipe table with its caption; names are text, whatever stands in them."""
    told = ranking(board)
    marks = [":--" if heading == "model" else "--:" for heading in told.headings]
    lines = [
        [escaped(each) for each in told.headings],
        marks,
        *([_cell(each) for each in row] for row in told.rows),
    ]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{body}\n\n{escaped(told.caption)}\n"


def _cell(each: Text) -> str:
    text = escaped(each.text)
    return f"**{text}**" if each.best else text


def escaped(text: str) -> str:
    """Escape what Markdown, or HTML in it, would take for more than text."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", plain(" ".join(text.split())))
