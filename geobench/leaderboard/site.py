"""The leaderboard as a site: pages in a folder, which need no server, no network and no script.

Everything is written aside and takes the place of the last build once it is whole. Equal boards
make equal files: no page says when it was built.
"""

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geobench.errors import GeobenchError
from geobench.leaderboard import changes, pages
from geobench.leaderboard.exhibit import Exhibit
from geobench.leaderboard.gallery import Scene, scenes
from geobench.leaderboard.pages import Exact, Room
from geobench.leaderboard.plain import plain
from geobench.leaderboard.provenance import newest
from geobench.leaderboard.slugs import slug

ASSETS = Path(__file__).parent / "assets"
FOLDERS = ("assets", "experiments", "entries", "gallery")


@dataclass(frozen=True)
class Hung:
    """An exhibit and what was said of it: by which study, with which tests against the law."""

    study: str
    title: str
    exhibit: Exhibit
    exact: Exact


def build(
    hung: Sequence[Hung], out: Path, *, title: str, notes: Sequence[str] = ()
) -> dict[str, Any]:
    """Write the site into `out`; return what its board.json says."""
    before = changes.last_build(out)
    rooms = [_room(each) for each in hung]
    _check_apart(rooms)
    told = plain(
        changes.document(
            title, [(room.page, room.exhibit.board.as_dict()) for room in rooms], before
        )
    )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as scratch:
            aside = Path(scratch)
            _write(aside, rooms, told, title, notes)
            _replace(out, aside)
    except OSError as error:
        raise GeobenchError(
            f"{out} cannot be written ({error.strerror}). Name another folder."
        ) from error
    return dict(told)


def _room(each: Hung) -> Room:
    page = slug(f"{each.study}-{each.exhibit.board.name}")
    entries = [
        slug(f"{page}-{row.label}-s{row.seed}-{row.entries['forecast'].partition('@')[2]}")
        for row in each.exhibit.board.rows
    ]
    return Room(page, each.title, each.exhibit, entries, each.exact, _gallery(each.exhibit))


def _gallery(exhibit: Exhibit) -> list[Scene]:
    return scenes(exhibit) if len(exhibit.spec.dims) <= 2 else []


def _check_apart(rooms: Sequence[Room]) -> None:
    seen = [room.page for room in rooms]
    if len(set(seen)) < len(seen):
        twice = next(page for page in seen if seen.count(page) > 1)
        raise GeobenchError(
            f"two boards would have the page {twice}. Name each study once, under another file "
            f"name each."
        )


def _write(
    out: Path, rooms: Sequence[Room], told: Mapping[str, Any], title: str, notes: Sequence[str]
) -> None:
    for folder in FOLDERS:
        (out / folder).mkdir()
    for asset in ASSETS.iterdir():
        shutil.copyfile(asset, out / "assets" / asset.name)
    shutil.copyfile(_plotly(), out / "assets" / "plotly.min.js")
    hall = pages.Hall(title, rooms, newest([room.exhibit for room in rooms]), told, list(notes))
    for name, text in pages.render(hall):
        (out / name).write_text(text, "utf-8")
    for room in rooms:
        for scene in room.scenes:
            _pictures(out / "gallery" / room.page, scene)
    text = json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    (out / changes.NAME).write_text(text + "\n", "utf-8")


def _pictures(folder: Path, scene: Scene) -> None:
    folder.mkdir(exist_ok=True)
    for strip in scene.strips:
        for picture in strip.pictures:
            (folder / picture.file).write_bytes(picture.png)
    (folder / scene.bar.file).write_bytes(scene.bar.png)


def _plotly() -> Path:
    """The script that draws figures, as its package brings it."""
    import importlib.util

    found = importlib.util.find_spec("plotly")
    folder = Path(found.origin).parent if found and found.origin else None
    path = folder / "package_data" / "plotly.min.js" if folder else None
    if path is None or not path.exists():
        raise GeobenchError(
            "the package plotly is not installed, whose script draws the figures of a site. "
            "Install it: pip install 'plotly>=6'."
        )
    return path


def _replace(out: Path, aside: Path) -> None:
    """Put what was written in the place of the last build; other files there stay."""
    out.mkdir(exist_ok=True)
    for folder in FOLDERS:
        shutil.rmtree(out / folder, ignore_errors=True)
    for path in sorted(aside.iterdir()):
        path.replace(out / path.name)
