"""The words of geobench: what headings of tables mean.

`glossary.md` beside this file is the only source. `docs/glossary.md` is a copy of it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parent / "glossary.md"

_OTHER_HEADINGS = {
    "created": "made",
    "day": "lead time",
    "experiments": "experiment",
    "found": "check",
    "h": "lead time",
    "log scale": "excess",
    "million passes": "training",
    "models": "model",
    "ms/member": "member",
    "name": "plugin",
    "now": "change",
    "sd": "between seeds",
    "seconds": "made",
    "size": "entry",
    "the law": "true distribution",
    "then": "change",
    "this entry": "entry",
    "title": "study",
    "trainings": "training",
    "what": "entry",
    "what helps": "check",
    "what it is": "plugin",
    "why": "set aside",
}
"""Headings that stand for another word of the glossary."""


@dataclass(frozen=True)
class Term:
    """A word and its definition, in which `code` stands between backticks."""

    word: str
    definition: str
    anchor: str


@dataclass(frozen=True)
class Chapter:
    """Terms that belong together."""

    title: str
    terms: Sequence[Term]


@cache
def chapters() -> Sequence[Chapter]:
    """Read the glossary."""
    parts = re.split(r"^## (.+)$", SOURCE.read_text("utf-8"), flags=re.M)[1:]
    return [
        Chapter(title, list(map(_term, re.split(r"^### ", text, flags=re.M)[1:])))
        for title, text in zip(parts[::2], parts[1::2], strict=True)
    ]


def _term(text: str) -> Term:
    word, _, definition = text.partition("\n")
    return Term(word, " ".join(definition.split()), anchor(word))


def anchor(word: str) -> str:
    """Return the anchor of a word: the one that Markdown viewers give its heading."""
    return re.sub(r"[^a-z0-9_-]+", "-", word.lower())


def word_of(heading: str) -> str:
    """Return the word of the glossary that a heading of a table stands for."""
    word = re.sub(r" ?\(.*|,.*| \d.*|^[\d.]+ (?=h$)", "", heading).lower()
    return _OTHER_HEADINGS.get(word, word)
