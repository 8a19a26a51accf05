"""The page of a site that defines the headings of its tables."""

from collections.abc import Sequence

from geobench.site.board_pages import BoardPages
from geobench.site.page import GLOSSARY, Links, Page
from geobench.site.rendering import render
from geobench.tables.glossary import Chapter, chapters


def glossary(boards: Sequence[BoardPages], links: Links) -> Page:
    """The words of geobench, and what the scorers of the boards say of themselves."""
    scores = {term.anchor: term for board in boards for term in board.scores}
    own = [Chapter("Scores of these boards", list(scores.values()))] if scores else []
    text = render(
        "glossary.html",
        chapters=[*chapters(), *own],
        id=lambda name: links.id(GLOSSARY, name),
    )
    return Page(GLOSSARY, "", "Glossary", text)
