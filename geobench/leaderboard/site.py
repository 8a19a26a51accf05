"""The leaderboard as a site: pages in a folder, which need no server, no network and no script.

Everything is written aside and takes the place of the last build once it is whole. Equal boards
make equal files: no page says when it was built.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from geobench.errors import GeobenchError
from geobench.leaderboard import changes, page, replacing
from geobench.leaderboard.pages import Sheet
from geobench.leaderboard.rooms import Room, page_of

ASSETS = Path(__file__).parent / "assets"
FOLDERS = ("assets", "experiments", "entries", "gallery")


def check_apart(named: Sequence[tuple[str, str]]) -> None:
    """Raise unless all boards, (study, experiment), have pages of their own."""
    seen = [page_of(*each) for each in named]
    if len(set(seen)) < len(seen):
        twice = next(each for each in seen if seen.count(each) > 1)
        raise GeobenchError(
            f"two boards would have the page {twice}. Name each study once, under another file "
            f"name each."
        )


def build(
    rooms: Sequence[Room], out: Path, *, title: str, notes: Sequence[str] = ()
) -> dict[str, Any]:
    """Write the site into `out`; return what its board.json says."""
    before = changes.last_build(out)
    told = changes.document(title, [(room.page, room.told) for room in rooms], before)
    try:
        with replacing.replaced(out) as aside:
            _write(aside, rooms, told, title, notes)
            _keep_others(out, aside)
    except OSError as error:
        raise GeobenchError(
            f"{out} cannot be written ({error.strerror}). Name another folder."
        ) from error
    return told


def _write(
    out: Path, rooms: Sequence[Room], told: Mapping[str, Any], title: str, notes: Sequence[str]
) -> None:
    for folder in FOLDERS:
        (out / folder).mkdir()
    for asset in ASSETS.iterdir():
        shutil.copyfile(asset, out / "assets" / asset.name)
    for path, text in _framed(rooms, told, title, notes):
        (out / path).write_text(text, "utf-8")
    for room in rooms:
        for name, png in room.pictures.items():
            (out / name).parent.mkdir(exist_ok=True)
            (out / name).write_bytes(png)
    text = json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    (out / changes.NAME).write_text(text + "\n", "utf-8")


def _framed(
    rooms: Sequence[Room], told: Mapping[str, Any], title: str, notes: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Return each page: its path in the site, and its text."""
    from markupsafe import Markup

    newest = max((room.newest for room in rooms), default=None)
    made = f"{newest:%Y-%m-%d %H:%M} UTC" if newest else "–"
    hall = {"title": title, "rooms": rooms, "newest": made, "told": told, "notes": notes}
    templates = page.environment()
    frame, index = (templates.get_template(f"site/{name}.html") for name in ("frame", "index"))
    first = Sheet("index.html", "", "", index.render(hall=hall))
    for sheet in (first, *(sheet for room in rooms for sheet in room.sheets)):
        root = "../" * sheet.path.count("/")
        text = Markup(sheet.text)  # noqa: S704 # names in it are escaped
        yield sheet.path, frame.render(hall=hall, sheet=sheet, root=root, text=text)


def _keep_others(out: Path, aside: Path) -> None:
    """Keep what is beside the site in its folder, such as a CNAME or a .git."""
    for path in sorted(out.iterdir()) if out.is_dir() else ():
        if path.name not in FOLDERS and not (aside / path.name).exists():
            replacing.keep(path, aside / path.name)
