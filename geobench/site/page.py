"""A page: what is within the frame that all pages of a site have, and how it refers to others."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from geobench.board.slugs import slug

GLOSSARY = "glossary.html"
"""Path of the page that defines the headings of all tables."""


@dataclass(frozen=True)
class Page:
    """`path` is its place in the site. `board`: the name of its board's page, if it has one."""

    path: str
    board: str
    title: str
    text: str
    scripts: bool = False


@dataclass(frozen=True)
class Links:
    """How the pages of a site in a folder refer to one another, and to pictures.

    `root` leads from the folder of a page to that of the site.
    """

    root: str = "../"

    def to(self, path: str) -> str:
        """Where a link to another page leads."""
        return f"{self.root}{path}"

    def definition(self, anchor: str) -> str:
        """Where the link of a heading leads."""
        return f"{self.to(GLOSSARY)}#{anchor}"

    def picture(self, path: str) -> str:
        """Where a picture comes from."""
        return f"{self.root}{path}"

    def id(self, path: str, name: str) -> str:
        """The id of an element of a page."""
        return name


@dataclass(frozen=True, kw_only=True)
class LinksInFile(Links):
    """The same for pages that stand in one file, with pictures in it."""

    pictures: Mapping[str, bytes] = field(default_factory=dict)

    def to(self, path: str) -> str:
        """Lead to the place in the file."""
        return f"#{slug(path)}"

    def definition(self, anchor: str) -> str:
        """Lead to the word in the glossary of the file."""
        return f"#{self.id(GLOSSARY, anchor)}"

    def picture(self, path: str) -> str:
        """Return the picture itself."""
        return f"data:image/png;base64,{base64.b64encode(self.pictures[path]).decode()}"

    def id(self, path: str, name: str) -> str:
        """Several pages have an element of this name."""
        return f"{slug(path)}-{name}"
