"""The published studies: they come with geobench, and are named without a path."""

import difflib
from pathlib import Path

from geobench.errors import GeobenchError

_PACKAGE = Path(__file__).parents[1]
_FOLDERS = (_PACKAGE / "study/published_files", _PACKAGE.parent / "studies")
"""In the wheel, and in the repository, from which the wheel takes them."""


def published() -> dict[str, Path]:
    """Return the files of the published studies, by name."""
    folder = next((folder for folder in _FOLDERS if folder.is_dir()), None)
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))} if folder else {}


def study_file(named: str | Path) -> Path:
    """Return the file of a study: a path, or the name of a published study."""
    path, text = Path(named), str(named)
    known = published()
    if path.exists():
        return path
    if text in known:
        return known[text]
    if path.suffix or len(path.parts) > 1:
        hint = f" The published study is called '{path.stem}'." if path.stem in known else ""
        raise GeobenchError(f"there is no file {path}. Check the path.{hint}")
    close = difflib.get_close_matches(text, known, n=1)
    hint = f"Did you mean '{close[0]}'? " if close else ""
    raise GeobenchError(
        f"there is no study '{text}': neither a file nor a published study is called so. {hint}"
        f"Published studies: {', '.join(known)}. To write one: geobench study new NAME."
    )
