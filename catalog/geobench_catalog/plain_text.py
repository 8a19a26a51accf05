"""Text that nobody obeys: names, titles and units may come from anywhere."""

import re
import unicodedata

_FORMULA = re.compile(r"\s*[=+\-@]")
_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")
_OBEYED = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, format, surrogates, line and paragraph ends


def plain(text: str) -> str:
    """Put � for what a terminal would obey or hide: control characters and turns of direction."""
    if text.isascii() and text.isprintable():
        return text
    return "".join("\N{REPLACEMENT CHARACTER}" if _obeyed(letter) else letter for letter in text)


def _obeyed(letter: str) -> bool:
    return letter not in "\n\t" and unicodedata.category(letter) in _OBEYED


def csv_cell(value: object) -> object:
    """Put ' before a text that a spreadsheet would take for a formula."""
    if not isinstance(value, str):
        return value
    text = plain(value).replace("\n", " ").replace("\t", " ")
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text
