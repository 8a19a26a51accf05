"""The boards of studies as a site: pages in a folder, which need no server, network or script.

Everything is written aside and takes the place of the last build once it is whole. Equal boards
make equal files: no page says when it was built.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from geobench.errors import GeobenchError
from geobench.site import changes, replacing
from geobench.site.board_pages import BoardPages, page_of
from geobench.site.glossary import glossary
from geobench.site.page import GLOSSARY, Links, Page
from geobench.site.rendering import render
from geobench.tables.html import html

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = ("plotly-basic.min.js", "charts.js", "site.js")
"""In the order in which a page runs them."""
FOLDERS = ("assets", "experiments", "entries", "gallery")


def check_apart(names: Sequence[tuple[str, str]]) -> None:
    """Raise unless all boards, (study, experiment), have pages of their own."""
    pages = [page_of(*name) for name in names]
    if len(set(pages)) < len(pages):
        twice = next(page for page in pages if pages.count(page) > 1)
        raise GeobenchError(
            f"two boards would have the page {twice}. Name each study once, under another file "
            f"name each."
        )


def build(
    boards: Sequence[BoardPages], out: Path, *, title: str, notes: Sequence[str] = ()
) -> dict[str, Any]:
    """Write the site into `out`; return what its board.json says."""
    before = changes.last_build(out)
    document = changes.document(title, [(board.page, board.numbers) for board in boards], before)
    try:
        with replacing.replaced(out) as aside:
            _write(aside, boards, document, title, notes)
            _keep_others(out, aside)
    except OSError as error:
        raise GeobenchError(
            f"{out} cannot be written ({error.strerror}). Name another folder."
        ) from error
    return document


def _write(
    out: Path,
    boards: Sequence[BoardPages],
    document: Mapping[str, Any],
    title: str,
    notes: Sequence[str],
) -> None:
    for folder in FOLDERS:
        (out / folder).mkdir()
    for asset in ASSETS.iterdir():
        shutil.copyfile(asset, out / "assets" / asset.name)
    for path, text in _framed(boards, document, title, notes):
        (out / path).write_text(text, "utf-8")
    for board in boards:
        for name, png in board.pictures.items():
            (out / name).parent.mkdir(exist_ok=True)
            (out / name).write_bytes(png)
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    (out / changes.NAME).write_text(text + "\n", "utf-8")


def _framed(
    boards: Sequence[BoardPages], document: Mapping[str, Any], title: str, notes: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Return each page: its path in the site, and its text."""
    site, links = described(boards, title, notes), Links("")
    index = render(
        "index.html",
        site=site,
        document=document,
        changes_table=changes.table,
        most=changes.SHOWN,
        table=partial(html, definition=links.definition),
    )
    first = Page("index.html", "", "", index)
    for page in (
        first,
        glossary(boards, links),
        *(page for board in boards for page in board.pages),
    ):
        root = "../" * page.path.count("/")
        yield (
            page.path,
            render(
                "frame.html", site=site, page=page, root=root, scripts=SCRIPTS, glossary=GLOSSARY
            ),
        )


def described(boards: Sequence[BoardPages], title: str, notes: Sequence[str]) -> dict[str, Any]:
    """What every page says of the whole."""
    newest = max((board.newest for board in boards if board.newest), default=None)
    when = f"{newest:%Y-%m-%d %H:%M} UTC" if newest else "–"
    return {"title": title, "boards": boards, "newest": when, "notes": notes}


def _keep_others(out: Path, aside: Path) -> None:
    """Keep what is beside the site in its folder, such as a CNAME or a .git."""
    for path in sorted(out.iterdir()) if out.is_dir() else ():
        if path.name not in FOLDERS and not (aside / path.name).exists():
            replacing.keep(path, aside / path.name)
